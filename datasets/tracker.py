r"""A tracker: layers of modules around the beam, and what particles leave in them.

Charged particles start at (0, 0, z_0) and run on helices (:mod:`pcgen.datasets.helix`). Where one
crosses a layer for the first time, within its length, there is a hit with the probability of the
efficiency; across the beam and along it the position fluctuates by a Gaussian law, and stays on
the layer. Noise hits are anywhere on a layer. Modules are equal sectors of a layer, cut into rings
along the beam; a dead one has no hits. Whether a cell without hits is *empty* or *unobserved* is
therefore known: :func:`observed`.

What is absent: scattering, loss of energy, further turns of particles that curl, secondary
particles and hits that merge.

This module needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcgen.bounds import VOXELS
from pcgen.datasets.helix import after, arc_to, curvature, wrapped
from pcgen.errors import ArgumentError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

RADII = (32.0, 72.0, 116.0, 172.0, 260.0, 360.0, 500.0, 660.0, 820.0, 1020.0)
"""Radii of the layers in mm, those of the barrel of the TrackML detector (arXiv:1904.06778)."""
SPREAD = 50.0  #: mm, standard deviation of z_0


@dataclass(frozen=True)
class TrackerSettings:
    """Which events are generated, and in what detector.

    Attributes:
        tracks: Mean number of charged particles of an event; Poisson.
        pt: Least and largest transverse momentum in GeV; log-uniform.
        eta: Largest ``|η|``; uniform.
        field: Magnetic field along the beam in T.
        radii: Of the L layers in mm, rising.
        half_length: Of the layers in mm.
        sectors: Modules around the beam, in each layer.
        rings: Modules along the beam.
        resolution: Standard deviation of a hit in mm, across the beam and along it.
        efficiency: Probability of a hit.
        noise: Mean number of noise hits of a layer; Poisson.
        dead: Share of the modules that are dead.

    Raises:
        ArgumentError: a value is out of range.
    """

    tracks: float = 10.0
    pt: tuple[float, float] = (0.5, 10.0)
    eta: float = 1.0
    field: float = 2.0
    radii: tuple[float, ...] = RADII
    half_length: float = 1200.0
    sectors: int = 64
    rings: int = 16
    resolution: tuple[float, float] = (0.02, 0.1)
    efficiency: float = 0.98
    noise: float = 2.0
    dead: float = 0.02

    def __post_init__(self) -> None:
        low, high = self.pt
        if not 0.01 <= low <= high <= 1e5:
            raise ArgumentError(
                f"pt: got {low:g} to {high:g} GeV, expected 0.01 to 100000, the first not larger"
            )
        if not self.radii or not all(a < b for a, b in pairwise((0.0, *self.radii, math.inf))):
            shown = " ".join(f"{radius:g}" for radius in self.radii[:8])
            raise ArgumentError(f"radii: got {shown}, expected positive rising numbers of mm")
        for name, value, least, most in (
            ("tracks", self.tracks, 0, 1e5),
            ("eta", self.eta, 0, 10),
            ("field", self.field, -100, 100),
            ("half_length", self.half_length, 1, 1e6),
            ("sectors", self.sectors, 1, 1e5),
            ("rings", self.rings, 1, 1e4),
            ("resolution", self.resolution[0], 0, 1e3),
            ("resolution", self.resolution[1], 0, 1e3),
            ("efficiency", self.efficiency, 0, 1),
            ("noise", self.noise, 0, 1e6),
            ("dead", self.dead, 0, 1),
        ):
            if not least <= value <= most:
                raise ArgumentError(f"{name}: got {value}, expected {least} to {most:g}")
        modules = VOXELS._replace(kind="modules")
        modules.check(math.prod(self.modules), "radii, sectors, rings", ArgumentError)

    @property
    def modules(self) -> tuple[int, int, int]:
        """Layers, sectors and rings."""
        return len(self.radii), self.sectors, self.rings


class Events(NamedTuple):
    """B events with N hits and M particles in all; hits of an event in the order of layer and φ."""

    pos: NDArray[np.float32]  #: x, y, z in mm [N, 3]
    layer: Integers  #: of the hit [N]
    particle: Integers  #: number of its particle in the event, from 1; 0 for noise [N]
    sizes: Integers  #: hits of each event [B]
    pt: NDArray[np.float32]  #: GeV [M]
    eta: NDArray[np.float32]  #: at the start [M]
    phi: NDArray[np.float32]  #: at the start, in rad [M]
    z0: NDArray[np.float32]  #: mm [M]
    charge: NDArray[np.float32]  #: units of e [M]
    particles: Integers  #: of each event [B]


def observed(settings: TrackerSettings, seed: int) -> NDArray[np.bool_]:
    """Which modules work [L, S, R]: all but the share that is dead, drawn at random.

    Args:
        settings: Of the tracker.
        seed: Of the simulation.
    """
    number = math.prod(settings.modules)
    working = np.ones(number, dtype=bool)
    dead = round(settings.dead * number)
    working[np.random.default_rng((seed, 0)).permutation(number)[:dead]] = False
    return working.reshape(settings.modules)


def module_of(pos: Array, settings: TrackerSettings) -> tuple[Integers, Integers]:
    """Sector and ring of hits at ``pos`` [N, 3]; sectors begin at φ = -π, rings at the lowest z."""
    turn = (np.arctan2(pos[:, 1], pos[:, 0]) + np.pi) / (2 * np.pi)
    along = 0.5 * (pos[:, 2] / settings.half_length + 1)
    sector = (turn * settings.sectors).astype(np.int64).clip(0, settings.sectors - 1)
    ring = (along * settings.rings).astype(np.int64).clip(0, settings.rings - 1)
    return sector, ring


def generate_tracks(seed: int, first: int, number: int, settings: TrackerSettings) -> Events:
    """Events ``first`` to ``first + number`` of a seed; each is a function of seed and number."""
    working = observed(settings, seed)
    events = [
        _event(np.random.default_rng((seed, 1, k)), settings, working)
        for k in range(first, first + number)
    ]
    hits, truth = zip(*events, strict=True)
    pos, layer, particle = (np.concatenate(each) for each in zip(*hits, strict=True))
    pt, eta, phi, z0, charge = np.concatenate(truth, axis=1).astype(np.float32)
    return Events(
        pos=pos.astype(np.float32),
        layer=layer,
        particle=particle,
        sizes=np.array([len(each[0]) for each in hits]),
        pt=pt,
        eta=eta,
        phi=phi,
        z0=z0,
        charge=charge,
        particles=np.array([each.shape[1] for each in truth]),
    )


def _event(
    random: np.random.Generator, settings: TrackerSettings, working: NDArray[np.bool_]
) -> tuple[tuple[Array, Integers, Integers], Array]:
    """Hits, and p_T, η, φ, z_0 and charge of the particles [5, M]."""
    number = random.poisson(settings.tracks)
    low, high = np.log(settings.pt)
    pt = np.exp(random.uniform(low, high, number))
    eta, phi = random.uniform([[-settings.eta], [-np.pi]], [[settings.eta], [np.pi]], (2, number))
    z0, charge = SPREAD * random.standard_normal(number), random.choice([-1.0, 1.0], number)
    angle, z, layer, particle = crossings(pt, eta, phi, z0, charge, settings)

    found = random.random(len(z)) < settings.efficiency
    blur = random.standard_normal((2, len(z)))
    radii = np.array(settings.radii)
    angle = angle + settings.resolution[0] * blur[0] / radii[layer]
    z = z + settings.resolution[1] * blur[1]

    noise = random.poisson(settings.noise, len(radii))
    where = random.random((2, noise.sum()))
    angle = np.concatenate([angle[found], np.pi * (2 * where[0] - 1)])
    z = np.concatenate([z[found], settings.half_length * (2 * where[1] - 1)])
    layer = np.concatenate([layer[found], np.repeat(np.arange(len(radii)), noise)])
    particle = np.concatenate([particle[found], np.zeros(noise.sum(), dtype=np.int64)])

    angle = wrapped(angle)
    pos = np.stack([radii[layer] * np.cos(angle), radii[layer] * np.sin(angle), z], 1)
    sector, ring = module_of(pos.astype(np.float32).astype(float), settings)
    kept = (np.abs(z) <= settings.half_length) & working[layer, sector, ring]
    order = np.flatnonzero(kept)[np.lexsort((angle[kept], layer[kept]))]
    return (pos[order], layer[order], particle[order]), np.stack([pt, eta, phi, z0, charge])


def crossings(
    pt: Array, eta: Array, phi: Array, z0: Array, charge: Array, settings: TrackerSettings
) -> tuple[Array, Array, Integers, Integers]:
    """Where particles cross the layers for the first time, within their length.

    Returns:
        φ, z in mm, layer and number of the particle (from 1) of each crossing.
    """
    bent, slope = curvature(pt, charge, settings.field), np.sinh(eta)
    parts = []
    for number, radius in enumerate(settings.radii):
        arc = arc_to(1e-3 * radius, bent)
        reached = np.isfinite(arc)
        _, turn = after(arc[reached], bent[reached])
        z = z0[reached] + 1e3 * arc[reached] * slope[reached]
        inside = np.abs(z) <= settings.half_length
        index = np.flatnonzero(reached)[inside]
        parts.append((phi[index] - turn[inside], z[inside], np.full(len(index), number), index + 1))
    angle, z, layer, particle = (np.concatenate(each) for each in zip(*parts, strict=True))
    return angle, z, layer, particle
