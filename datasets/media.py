r"""What calorimeters are made of: materials, and media of one material or of thin plates in turn.

A shower in plates that are thin beside a radiation length develops as in one medium with effective
constants. With the densities ρ_i and thicknesses d_i of the plates and their shares of the mass
w_i ~ ρ_i d_i (Grindhammer and Peters, hep-ex/0001020):

    Z       Σ w_i Z_i
    1/X0    Σ d_i/X0_i / Σ d_i          (as a length; likewise 1/λ)
    R_M     E_s / Σ w_i E_c,i/X0_i      (X0_i in g/cm²)
    E_c     X0 Σ w_i E_c,i/X0_i
    F_S     X0 / (d_active + d_passive)
    ê       1 / (1 + 0.007 (Z_passive - Z_active))

F_S is the frequency of sampling, ê the ratio of what electrons of a shower and what minimum
ionising particles deposit in the active plates. For one material

    E_c = 2.66 MeV (X0 Z/A)^1.1         (X0 in g/cm²)
    R_M = X0 E_s / E_c,                 E_s = 21.2 MeV.

This module needs Python alone.
"""

from __future__ import annotations

from dataclasses import dataclass

SCALE_ENERGY = 21.2  #: E_s of multiple scattering in MeV


@dataclass(frozen=True)
class Material:
    """One material; of a compound, Z and A are means by mass.

    Attributes:
        z: Atomic number.
        a: Atomic mass.
        density: In g/cm³.
        radiation_length: X0 in g/cm².
        interaction_length: Nuclear interaction length λ in g/cm².

    >>> round(MATERIALS["lead-tungstate"].critical_energy, 2)
    8.74
    """

    z: float
    a: float
    density: float
    radiation_length: float
    interaction_length: float

    @property
    def critical_energy(self) -> float:
        """E_c in MeV."""
        return 2.66 * (self.radiation_length * self.z / self.a) ** 1.1

    @property
    def moliere_radius(self) -> float:
        """R_M in mm."""
        return 10 * self.radiation_length / self.density * SCALE_ENERGY / self.critical_energy


# Radiation and interaction lengths of the Review of Particle Physics ("Atomic and nuclear
# properties of materials"); copper and lead tungstate as in CMS's fast simulation, whose
# interaction lengths are shorter than those of the Review (137.3 and 168.3 g/cm²). The tests derive
# every X0 from the formula of Tsai (to 2 %) and λ from its growth with the third root of A (to 7 %,
# lead tungstate to 13 %).
MATERIALS = {
    "silicon": Material(14, 28.085, 2.329, 21.82, 108.4),
    "argon": Material(18, 39.948, 1.396, 19.55, 119.7),
    "iron": Material(26, 55.845, 7.874, 13.84, 132.1),
    "copper": Material(29, 63.546, 8.96, 12.81, 134.8),
    "tungsten": Material(74, 183.84, 19.30, 6.76, 191.9),
    "lead": Material(82, 207.2, 11.35, 6.37, 199.6),
    "polystyrene": Material(5.61, 11.16, 1.06, 43.79, 81.7),
    "lead-tungstate": Material(68.36, 170.87, 8.28, 7.37, 153.2),
}


@dataclass(frozen=True)
class Plate:
    """A plate of a sampling calorimeter.

    Attributes:
        material: Name, one of :data:`MATERIALS`.
        thickness: In mm.
    """

    material: str
    thickness: float

    @property
    def properties(self) -> Material:
        """Its material."""
        return MATERIALS[self.material]

    @property
    def mass(self) -> float:
        """For each mm², in units that cancel."""
        return self.properties.density * self.thickness


@dataclass(frozen=True)
class Medium:
    """What fills a calorimeter: one active material, or passive and active plates in turn.

    Attributes:
        active: Where the signal arises. The thickness counts beside a passive plate only.
        passive: The absorber; None: the calorimeter is homogeneous.
        resolution: Standard deviation c of the signal over its mean for an electron of 1 GeV; with
            the energy it falls as c/√E.

    >>> medium = MEDIA["tungsten-silicon"]
    >>> round(medium.radiation_length, 2), round(medium.moliere_radius, 2)
    (4.22, 10.87)
    """

    active: Plate
    passive: Plate | None
    resolution: float

    @property
    def plates(self) -> tuple[Plate, ...]:
        """Active, and passive where there is one."""
        return (self.active,) if self.passive is None else (self.active, self.passive)

    @property
    def z(self) -> float:
        """Effective atomic number."""
        return sum(w * p.properties.z for w, p in self._shares)

    @property
    def radiation_length(self) -> float:
        """X0 in mm."""
        return self._length([p.properties.radiation_length for p in self.plates])

    @property
    def interaction_length(self) -> float:
        """λ in mm."""
        return self._length([p.properties.interaction_length for p in self.plates])

    @property
    def critical_energy(self) -> float:
        """E_c in MeV."""
        return SCALE_ENERGY * self.radiation_length / self.moliere_radius

    @property
    def moliere_radius(self) -> float:
        """R_M in mm."""
        # g/cm² become mm by the mean density, in g/cm² for each mm.
        density = 0.1 * sum(p.mass for p in self.plates) / sum(p.thickness for p in self.plates)
        materials = ((w, p.properties) for w, p in self._shares)
        inverse = sum(w * m.critical_energy / m.radiation_length for w, m in materials)
        return SCALE_ENERGY / (inverse * density)

    @property
    def sampling_frequency(self) -> float:
        """F_S; infinite where the calorimeter is homogeneous."""
        if self.passive is None:
            return float("inf")
        return self.radiation_length / (self.active.thickness + self.passive.thickness)

    @property
    def electron_to_mip(self) -> float:
        """ê; 1 where the calorimeter is homogeneous."""
        if self.passive is None:
            return 1.0
        return 1 / (1 + 0.007 * (self.passive.properties.z - self.active.properties.z))

    @property
    def _shares(self) -> list[tuple[float, Plate]]:
        total = sum(plate.mass for plate in self.plates)
        return [(plate.mass / total, plate) for plate in self.plates]

    def _length(self, lengths: list[float]) -> float:
        """Mean length in mm of lengths in g/cm² of the plates."""
        total = sum(plate.thickness for plate in self.plates)
        pairs = zip(self.plates, lengths, strict=True)
        return total / sum(0.1 * plate.mass / length for plate, length in pairs)


MEDIA = {
    # A layer of the CaloChallenge's data sets 2 and 3; the resolution is typical of such plates.
    "tungsten-silicon": Medium(Plate("silicon", 0.3), Plate("tungsten", 1.4), 0.15),
    # Crystals of CMS: CMS collaboration, JINST 2 (2007) P04004.
    "lead-tungstate": Medium(Plate("lead-tungstate", 1.0), None, 0.028),
    # Electromagnetic calorimeter of LHCb: LHCb collaboration, JINST 3 (2008) S08005.
    "lead-scintillator": Medium(Plate("polystyrene", 4.0), Plate("lead", 2.0), 0.10),
    # CALICE's analogue hadronic calorimeter: positrons in JINST 6 (2011) P04003.
    "iron-scintillator": Medium(Plate("polystyrene", 5.0), Plate("iron", 20.0), 0.219),
}
"""Media of real calorimeters, with the resolutions that were measured."""
