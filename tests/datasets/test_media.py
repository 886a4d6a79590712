"""Materials and media: published lengths and energies come out of their formulas."""

from __future__ import annotations

import math

import pytest

from pcgen.datasets.media import MATERIALS, MEDIA, Medium, Plate

# Radiation length and interaction length in cm (Review of Particle Physics; lead tungstate and
# copper as in CMS's fast simulation), critical energy of electrons in MeV, Molière radius in cm.
PUBLISHED = {
    "silicon": (9.37, 46.5, 40.2, 4.94),
    "argon": (14.0, 85.7, 32.8, 9.04),
    "iron": (1.757, 16.77, 21.7, 1.72),
    "copper": (1.43, 15.05, 18.6, 1.57),
    "tungsten": (0.3504, 9.946, 7.97, 0.933),
    "lead": (0.5612, 17.59, 7.43, 1.60),
    "polystyrene": (41.3, 77.1, 93.1, 9.4),
    "lead-tungstate": (0.89, 18.5, 8.74, 2.19),
}


@pytest.mark.parametrize("name", list(MATERIALS))
def test_materials_are_those_of_the_tables(name: str) -> None:
    material, (x0, interaction, critical, moliere) = MATERIALS[name], PUBLISHED[name]
    assert material.radiation_length / material.density == pytest.approx(x0, rel=0.005)
    assert material.interaction_length / material.density == pytest.approx(interaction, rel=0.005)
    # The formula for these two is a fit, good to a tenth in heavy materials.
    assert material.critical_energy == pytest.approx(critical, rel=0.2)
    assert material.moliere_radius == pytest.approx(10 * moliere, rel=0.2)


COMPOUNDS = {
    "polystyrene": {(6, 12.011): 8 * 12.011, (1, 1.008): 8 * 1.008},
    "lead-tungstate": {(82, 207.2): 207.2, (74, 183.84): 183.84, (8, 15.999): 4 * 15.999},
}
"""Z and A of the elements of a compound, and their shares of its mass."""


def tsai(z: int, a: float) -> float:
    """X0 in g/cm² of an element: Y.S. Tsai, Rev. Mod. Phys. 46 (1974) 815, as in the Review.

    716.408 A / (Z² (L - f(Z)) + Z L'), with Tsai's L and L' of hydrogen, and of Z > 4.
    """
    x = (z / 137.035999) ** 2
    coulomb = x * (1 / (1 + x) + 0.20206 - 0.0369 * x + 0.0083 * x**2 - 0.002 * x**3)
    inner, outer = math.log(184.15 * z ** (-1 / 3)), math.log(1194 * z ** (-2 / 3))
    if z == 1:
        inner, outer = 5.31, 6.144
    return 716.408 * a / (z**2 * (inner - coulomb) + z * outer)


def shares(name: str) -> dict[tuple[int, float], float]:
    """Shares of the mass of the elements of a material."""
    material = MATERIALS[name]
    parts = COMPOUNDS.get(name, {(round(material.z), material.a): 1.0})
    return {element: mass / sum(parts.values()) for element, mass in parts.items()}


@pytest.mark.parametrize("name", list(MATERIALS))
def test_lengths_follow_from_the_elements(name: str) -> None:
    material, parts = MATERIALS[name], shares(name)
    x0 = 1 / sum(share / tsai(*element) for element, share in parts.items())
    assert material.radiation_length == pytest.approx(x0, rel=0.02)
    # λ = A / (N_A σ) with σ ~ A^(2/3); 35 g/cm² is its usual coefficient, hydrogen's λ is 52 g/cm².
    interaction = 1 / sum(
        share / (52.0 if z == 1 else 35 * a ** (1 / 3)) for (z, a), share in parts.items()
    )
    tolerance = {"lead-tungstate": 0.13}.get(name, 0.07)
    assert material.interaction_length == pytest.approx(interaction, rel=tolerance)
    assert material.z == pytest.approx(sum(z * w for (z, _), w in parts.items()), rel=1e-3)
    assert material.a == pytest.approx(sum(a * w for (_, a), w in parts.items()), rel=1e-3)


def test_the_stack_of_tungsten_and_silicon() -> None:
    medium = MEDIA["tungsten-silicon"]
    assert medium.radiation_length == pytest.approx(4.22, abs=0.005)
    assert medium.sampling_frequency == pytest.approx(2.48, abs=0.005)
    assert medium.electron_to_mip == pytest.approx(0.704, abs=0.0005)
    # 1/R_M of plates is the mean of 1/R_M over their thicknesses.
    tungsten, silicon = (MATERIALS[name].moliere_radius for name in ("tungsten", "silicon"))
    assert 1.7 / medium.moliere_radius == pytest.approx(1.4 / tungsten + 0.3 / silicon)


def test_plates_of_one_material_are_that_material() -> None:
    lead = MATERIALS["lead"]
    medium = Medium(Plate("lead", 1.0), Plate("lead", 3.0), 0.1)
    assert medium.radiation_length == pytest.approx(10 * lead.radiation_length / lead.density)
    assert medium.interaction_length == pytest.approx(10 * lead.interaction_length / lead.density)
    assert medium.moliere_radius == pytest.approx(lead.moliere_radius)
    assert medium.critical_energy == pytest.approx(lead.critical_energy)
    assert (medium.z, medium.electron_to_mip) == (82, 1)


def test_a_homogeneous_medium_does_not_depend_on_its_thickness() -> None:
    medium = MEDIA["lead-tungstate"]
    assert medium.critical_energy == pytest.approx(8.74, abs=0.005)
    assert medium.radiation_length == pytest.approx(8.9, abs=0.01)
    assert math.isinf(medium.sampling_frequency)
    other = Medium(Plate("lead-tungstate", 9.0), None, 0.028)
    assert other.moliere_radius == pytest.approx(medium.moliere_radius)
