r"""The response of a detector to the particles of jets, in the manner of Delphes (arXiv:1307.6346).

**Field.** Particles from the centre of the detector meet the calorimeters at the radius R, or at
the half length L if that comes first, after an arc of the length
min(2 r asin(R / 2r), L / \|sinh η\|) (:mod:`pcgen.datasets.helix`).

**Tracks.** A charged particle is found with an efficiency, at its η and φ; its p_T fluctuates by a
log-normal law.

**Towers.** Electrons and photons deposit their energy in the ECAL, K0S and Λ three tenths of it,
muons nothing; the rest is deposited in the HCAL. The energy E of a tower becomes E', log-normal
with the mean E and the deviation σ(E); the tower is kept if E' is above the threshold and above
the significance times σ(E'). A tower's p_T is E' / cosh η at its centre.

What is absent: noise in towers without particles, material in front of the calorimeters, the size
of showers, vertices away from the centre, and an efficiency of muons that falls beyond 1 TeV.

This module needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pcgen.datasets.cards import Card, Efficiency, TowerResolution, Towers, TrackResolution, Tracks
from pcgen.datasets.helix import after, arc_to, curvature, wrapped

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Band = TypeVar("Band", Efficiency, TrackResolution, TowerResolution)

LAYERS = ("track", "ECAL", "HCAL")
_ELECTRON, _MUON, _PHOTON = 11, 13, 22
_INVISIBLE = (12, 13, 14, 16)
_ELECTROMAGNETIC = (11, 22, 111)
_DECAYING = (310, 3122)  # K0S and Λ, which decay in or before the calorimeters


class Particles(NamedTuple):
    """N particles of several jets."""

    jet: Integers  #: which [N]
    pt: Array  #: transverse momentum in GeV [N]
    eta: Array  #: pseudorapidity [N]
    phi: Array  #: azimuth in rad [N]
    mass: Array  #: in GeV [N]
    charge: Array  #: in units of e [N]
    kind: Integers  #: absolute particle number (PDG) [N]


class Signals(NamedTuple):
    """M tracks and towers, in the order of the jets and, within each, of falling p_T."""

    jet: Integers  #: of which [M]
    layer: Integers  #: place in :data:`LAYERS` [M]
    pt: Array  #: measured transverse momentum, or energy over cosh η, in GeV [M]
    eta: Array  #: of a track, or of the centre of a tower [M]
    phi: Array  #: likewise, in rad [M]


def respond(particles: Particles, card: Card, random: np.random.Generator) -> Signals:
    """Tracks and towers of particles.

    Args:
        particles: Of any number of jets; those of different jets do not meet.
        card: The detector.
        random: Of all random numbers.
    """
    eta, phi = at_surface(particles, card)
    energy = np.hypot(particles.pt * np.cosh(particles.eta), particles.mass)
    share = np.where(np.isin(particles.kind, _ELECTROMAGNETIC), 1.0, 0.0)
    share[np.isin(particles.kind, _DECAYING)] = 0.3
    seen = ~np.isin(particles.kind, _INVISIBLE)
    parts = [
        tracks(particles, eta, card, random),
        towers(particles.jet, energy * share * seen, eta, phi, card.ecal, 1, random),
        towers(particles.jet, energy * (1 - share) * seen, eta, phi, card.hcal, 2, random),
    ]
    jet, pt = (np.concatenate(each) for each in zip(*((p.jet, p.pt) for p in parts), strict=True))
    order = np.lexsort((-pt, jet))
    return Signals(
        jet[order],
        np.concatenate([part.layer for part in parts])[order],
        pt[order],
        np.concatenate([part.eta for part in parts])[order],
        np.concatenate([part.phi for part in parts])[order],
    )


def at_surface(particles: Particles, card: Card) -> tuple[Array, Array]:
    """η and φ, seen from the centre, where particles meet the calorimeters [N].

    NaN for those that never do.
    """
    slope, bent = np.sinh(particles.eta), curvature(particles.pt, particles.charge, card.field)
    with np.errstate(divide="ignore", invalid="ignore"):
        arc = np.minimum(arc_to(card.radius, bent), card.half_length / np.abs(slope))
        distance, turn = after(arc, bent)
        eta = np.arcsinh(arc * slope / np.abs(distance))
        # Behind half a circle the particle is on the other side of the beam.
        phi = wrapped(particles.phi - turn + np.where(distance < 0, np.pi, 0))
    return eta, phi


def tracks(particles: Particles, eta: Array, card: Card, random: np.random.Generator) -> Signals:
    """Tracks of charged particles that meet the calorimeters at ``eta`` [N]."""
    efficiency, resolution = np.zeros_like(eta), np.zeros_like(eta)
    kinds = ((_ELECTRON, card.electron), (_MUON, card.muon), (0, card.hadron))
    for kind, law in kinds:
        these = particles.kind == kind if kind else ~np.isin(particles.kind, (_ELECTRON, _MUON))
        found = track_law(law, eta[these], particles.pt[these])
        efficiency[these], resolution[these] = found
    draws, spread = random.random(len(eta)), random.standard_normal(len(eta))
    kept = (particles.charge != 0) & (draws < efficiency)
    pt = log_normal(particles.pt, np.minimum(resolution, 1) * particles.pt, spread)[kept]
    layer = np.zeros(len(pt), dtype=np.int64)
    return Signals(particles.jet[kept], layer, pt, particles.eta[kept], particles.phi[kept])


def track_law(law: Tracks, eta: Array, pt: Array) -> tuple[Array, Array]:
    """Efficiency and σ(pT)/pT [N]."""
    efficiency, resolution = np.zeros_like(pt), np.zeros_like(pt)
    for found, here in _bands(law.efficiency, eta):
        values = np.array([0.0, *found.efficiency])
        efficiency[here] = values[np.searchsorted(found.above, pt[here], side="left")]
    for width, here in _bands(law.resolution, eta):
        resolution[here] = np.hypot(width.constant, width.slope * pt[here])
    return efficiency, resolution


def towers(
    jet: Integers,
    energy: Array,
    eta: Array,
    phi: Array,
    law: Towers,
    layer: int,
    random: np.random.Generator,
) -> Signals:
    """Towers of deposits of ``energy`` GeV at η and φ [N]."""
    edges, sectors = np.array(law.edges), np.array(law.sectors)
    ring = np.searchsorted(edges, np.abs(eta), side="left") - 1
    inside = (energy > 0) & np.isfinite(eta) & (ring < len(sectors))
    ring = ring[inside].clip(0)
    side = (eta[inside] < 0).astype(np.int64)
    turn = (phi[inside] + np.pi) / (2 * np.pi)
    sector = (turn * sectors[ring]).astype(np.int64).clip(0, sectors[ring] - 1)
    places = np.stack([jet[inside], side, ring, sector], 1)
    cells, of = np.unique(places, axis=0, return_inverse=True)
    total = np.zeros(len(cells))
    np.add.at(total, of.ravel(), energy[inside])

    jets, side, ring, sector = cells.T
    centre = (1 - 2 * side) * 0.5 * (edges[ring] + edges[ring + 1])
    around = wrapped((sector + 0.5) * 2 * np.pi / sectors[ring] - np.pi)
    spread = random.standard_normal(len(cells))
    measured = log_normal(total, tower_sigma(law, centre, total), spread)
    least = np.maximum(law.threshold, law.significance * tower_sigma(law, centre, measured))
    kept = measured >= least
    layers = np.full(int(kept.sum()), layer)
    pt = measured[kept] / np.cosh(centre[kept])
    return Signals(jets[kept], layers, pt, centre[kept], around[kept])


def tower_sigma(law: Towers, eta: Array, energy: Array) -> Array:
    """σ(E) in GeV [N]."""
    sigma = np.zeros_like(energy)
    for width, here in _bands(law.resolution, eta):
        squares = width.noise**2 + width.stochastic**2 * energy[here]
        shape = np.polynomial.polynomial.polyval(np.abs(eta[here]), width.shape)
        sigma[here] = shape * np.sqrt(squares + (width.constant * energy[here]) ** 2)
    return sigma


def log_normal(mean: Array, sigma: Array, normal: Array) -> Array:
    """Log-normal numbers with mean and standard deviation, from standard normal ones [N]."""
    variance = np.log1p(np.square(sigma / mean))
    return np.asarray(mean * np.exp(np.sqrt(variance) * normal - 0.5 * variance))


def _bands(bands: Sequence[Band], eta: Array) -> list[tuple[Band, NDArray[np.bool_]]]:
    """Each band with the places whose ``|η|`` it is the first to reach."""
    limits = [band.eta for band in bands]
    first = np.searchsorted(limits, np.abs(eta), side="left")
    return [(band, first == k) for k, band in enumerate(bands)]
