r"""Jets from Pythia 8 and anti-kT, with nothing but NumPy around them.

Proton-proton collisions at 13 TeV, leading-order 2 → 2 processes of Pythia with a narrow window
for the transverse momentum of the outgoing partons, Monash 2013 tune (14), NNPDF2.3 QCD+QED LO,
initial- and final-state radiation, multiparton interactions and hadronisation; no detector. All
visible final particles with \|η\| < 5 are clustered with anti-kT (Cacciari, Salam, Soyez,
arXiv:0802.1189) by Pythia's own ``SlowJet``. The two leading jets of an event are kept where they
lie within

    ΔR = √(Δy² + Δφ²) < R/2

of an outgoing parton of their class (its last copy, after radiation), have \|y\| < 2.5 and a
transverse momentum inside the window. The kinematics are those of JetNet (arXiv:2106.11535).

This module imports neither torch nor the rest of pcgen, so that worker processes start at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcgen.errors import ArgumentError, require

BEAM_ENERGY = 6500.0  #: GeV, each
PARTICLE_ETA = 5.0  #: largest |η| of a particle
JET_RAPIDITY = 2.5  #: largest |y| of a jet
SEEDS = 900_000_000  #: Pythia takes seeds from 1 to this; they give disjoint random sequences
_PATIENCE = 2000  #: events in a row without a jet, after which the settings are refused

_COMMON = (
    "Print:quiet = on",
    "Beams:idA = 2212",
    "Beams:idB = 2212",
    f"Beams:eCM = {2 * BEAM_ENERGY}",
    "Tune:pp = 14",
    "PDF:pSet = 13",
    "PartonLevel:MPI = on",
    "Random:setSeed = on",
)
_HADRONIC_W = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")
_HADRONIC_Z = ("23:onMode = off", "23:onIfAny = 1 2 3 4 5")


@dataclass(frozen=True)
class Process:
    """Hard process of one class of jets.

    Attributes:
        settings: Lines for Pythia that switch it on.
        partons: Absolute particle numbers (PDG) of the partons whose jets are kept.
    """

    settings: tuple[str, ...]
    partons: tuple[int, ...]


PROCESSES = {
    "g": Process(("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on"), (21,)),
    "q": Process(
        (
            "HardQCD:qq2qq = on",
            "HardQCD:gg2qqbar = on",
            "HardQCD:qqbar2qqbarNew = on",
            "HardQCD:nQuarkNew = 3",
        ),
        (1, 2, 3),
    ),
    "t": Process(("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *_HADRONIC_W), (6,)),
    "w": Process(("WeakDoubleBoson:ffbar2WW = on", *_HADRONIC_W), (24,)),
    "z": Process(("WeakDoubleBoson:ffbar2gmZgmZ = on", "WeakZ0:gmZmode = 2", *_HADRONIC_Z), (23,)),
}


@dataclass(frozen=True)
class JetSettings:
    """Which jets are generated: radius and the two windows of transverse momentum.

    Attributes:
        radius: Radius R of anti-kT.
        pt_min: Smallest transverse momentum of a jet in GeV.
        pt_max: Largest transverse momentum of a jet in GeV.
        parton_pt_min: Smallest transverse momentum of the outgoing partons in GeV.
        parton_pt_max: Largest transverse momentum of the outgoing partons in GeV.

    Raises:
        ArgumentError: a window is empty or not positive, the two do not overlap, the partons exceed
            the beam energy, or the radius is not in (0, 2].
    """

    radius: float = 0.4
    pt_min: float = 800.0
    pt_max: float = 1600.0
    parton_pt_min: float = 990.0
    parton_pt_max: float = 1010.0

    def __post_init__(self) -> None:
        if not 0 < self.radius <= 2:
            raise ArgumentError(f"radius: got {self.radius}, expected more than 0 and at most 2")
        for name, low, high in (
            ("pt", self.pt_min, self.pt_max),
            ("parton_pt", self.parton_pt_min, self.parton_pt_max),
        ):
            if not 0 < low < high < math.inf:
                raise ArgumentError(
                    f"{name}_min, {name}_max: got {low:g} and {high:g} GeV, "
                    "expected two positive numbers, the first smaller"
                )
        if self.parton_pt_min >= BEAM_ENERGY:
            raise ArgumentError(
                f"parton_pt_min: got {self.parton_pt_min:g} GeV, "
                f"expected less than the energy of a beam, {BEAM_ENERGY:g} GeV"
            )
        if self.parton_pt_min > self.pt_max or self.parton_pt_max < self.pt_min:
            raise ArgumentError(
                f"parton_pt_min, parton_pt_max: got {self.parton_pt_min:g} to "
                f"{self.parton_pt_max:g} GeV, expected a window that overlaps "
                f"that of the jets, {self.pt_min:g} to {self.pt_max:g} GeV"
            )


class Jets(NamedTuple):
    """B jets of one class with N particles in all, hardest first in each jet.

    Momenta and masses in GeV; angles relative to the jet axis, φ in rad within [-π, π].
    """

    pos: NDArray[np.float32]  #: η - η_jet and φ - φ_jet of each particle [N, 2]
    weight: NDArray[np.float32]  #: transverse momentum of each particle [N]
    kind: NDArray[np.int32]  #: its number (PDG), negative of antiparticles [N]
    charge: NDArray[np.int8]  #: its charge in units of e [N]
    rest: NDArray[np.float32]  #: its mass [N]
    sizes: NDArray[np.int64]  #: particles of each jet [B]
    pt: NDArray[np.float32]  #: transverse momentum of the jet's four-momentum [B]
    eta: NDArray[np.float32]  #: its pseudorapidity [B]
    phi: NDArray[np.float32]  #: its azimuth [B]
    mass: NDArray[np.float32]  #: its mass, particle masses included [B]
    event: NDArray[np.int64]  #: collision the jet comes from, counted from 0, ascending [B]


class _Jet(NamedTuple):
    particles: NDArray[np.float64]  # pT, η, φ, number, charge, mass [n, 6]
    pt: float
    eta: float
    phi: float
    mass: float
    event: int


def generate(name: str, number: int, seed: int, settings: JetSettings) -> Jets:
    """Make ``number`` jets of one class: a pure function of its arguments.

    Args:
        name: Class, one of :data:`PROCESSES`.
        number: Number of jets.
        seed: Seed of Pythia, 1 to :data:`SEEDS`.
        settings: Radius and windows.

    Raises:
        ArgumentError: Pythia refuses the settings, or thousands of collisions give no jet.
        MissingExtraError: pythia8mc is not installed.
    """
    pythia8 = require("pythia8mc", "simulation")
    process = PROCESSES[name]
    pythia = _start(pythia8, process, seed, settings)
    finder = pythia8.SlowJet(-1, settings.radius, settings.pt_min, PARTICLE_ETA, 2, 2)
    jets: list[_Jet] = []
    event = last = 0
    while len(jets) < number:
        if pythia.next():
            found = list(_jets(pythia.event, finder, process.partons, settings, event))
            last = event if found else last
            jets += found
        event += 1
        if event - last > _PATIENCE:
            raise ArgumentError(
                f"class {name!r}: {_PATIENCE} collisions in a row gave no jet with {settings}; "
                "expected windows of transverse momentum in which there are some"
            )
    return _pack(jets[:number])


def _start(pythia8: ModuleType, process: Process, seed: int, settings: JetSettings) -> Any:
    pythia = pythia8.Pythia("", False)
    lines = (
        *_COMMON,
        *process.settings,
        f"Random:seed = {seed}",
        f"PhaseSpace:pTHatMin = {settings.parton_pt_min!r}",
        f"PhaseSpace:pTHatMax = {settings.parton_pt_max!r}",
    )
    for line in lines:
        if not pythia.readString(line):
            raise ArgumentError(f"Pythia: got {line!r}, which this version does not know")
    if not pythia.init():
        raise ArgumentError(f"Pythia: could not start with {settings}")
    return pythia


def _jets(
    event: Any, finder: Any, partons: tuple[int, ...], settings: JetSettings, number: int
) -> Iterator[_Jet]:
    """The jets of the class among the two leading ones of a collision."""
    finder.analyze(event)
    hard = [
        event[event[i].iBotCopyId()]
        for i in event[3].daughterList()  # entry 3 is an incoming parton of the hard process
        if event[i].idAbs() in partons
    ]
    for j in range(min(2, finder.sizeJet())):
        y, phi, pt = finder.y(j), finder.phi(j), finder.pT(j)
        matched = any(
            math.hypot(p.y() - y, math.remainder(p.phi() - phi, math.tau)) < settings.radius / 2
            for p in hard
        )
        if matched and abs(y) < JET_RAPIDITY and settings.pt_min < pt < settings.pt_max:
            inside = [event[i] for i in finder.constituents(j)]
            rows = [(p.pT(), p.eta(), p.phi(), p.id(), p.charge(), p.m()) for p in inside]
            particles = np.array(rows)
            yield _Jet(particles, pt, finder.p(j).eta(), phi, finder.m(j), number)


def _pack(jets: list[_Jet]) -> Jets:
    ordered = [jet.particles[np.argsort(-jet.particles[:, 0], kind="stable")] for jet in jets]
    sizes = np.array([len(particles) for particles in ordered])
    pt, eta, phi, kind, charge, rest = np.concatenate(ordered).T
    eta_rel = eta - np.repeat([jet.eta for jet in jets], sizes)
    phi_rel = phi - np.repeat([jet.phi for jet in jets], sizes)
    phi_rel -= 2 * np.pi * np.round(phi_rel / (2 * np.pi))
    return Jets(
        pos=np.stack([eta_rel, phi_rel], axis=1).astype(np.float32),
        weight=pt.astype(np.float32),
        kind=kind.astype(np.int32),
        charge=np.rint(charge).astype(np.int8),
        rest=rest.astype(np.float32),
        sizes=sizes,
        pt=np.array([jet.pt for jet in jets], dtype=np.float32),
        eta=np.array([jet.eta for jet in jets], dtype=np.float32),
        phi=np.array([jet.phi for jet in jets], dtype=np.float32),
        mass=np.array([jet.mass for jet in jets], dtype=np.float32),
        event=np.array([jet.event for jet in jets]),
    )
