"""Showers in the voxels of a calorimeter, each a pure function of a seed and its number.

The random numbers of a shower are its own: shower k of a seed is the same, whatever the number of
showers, the block that it is in and the process that works on it.

This module imports torch, for the geometry, but no PyTorch Geometric: worker processes start soon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pcgen.datasets.calorimeters import Detector
from pcgen.datasets.electromagnetic import Spots, electromagnetic_shower
from pcgen.datasets.hadrons import toy_hadron_shower
from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter

PARTICLES = {"electron": 11, "photon": 22, "pion": 211}
"""Particles with their numbers (PDG)."""
ENERGIES = {"electron": (0.1, 1e4), "photon": (0.1, 1e4), "pion": (1.0, 1e4)}
"""Least and largest energy in GeV."""


@dataclass(frozen=True)
class ShowerSettings:
    """Which showers are generated.

    Attributes:
        particle: One of :data:`PARTICLES`.
        detector: Voxels, with depths, and medium.
        energy: Least and largest incident energy in GeV; log-uniform between them.
        threshold: Energy in MeV below which a voxel is empty.

    Raises:
        ArgumentError: a value is out of range, or the calorimeter has no depths.
    """

    particle: str
    detector: Detector
    energy: tuple[float, float] = (1.0, 1000.0)
    threshold: float = 0.01515

    def __post_init__(self) -> None:
        if self.particle not in PARTICLES:
            known = ", ".join(PARTICLES)
            raise ArgumentError(f"particle: got {self.particle!r}, expected one of {known}")
        (low, high), (least, most) = self.energy, ENERGIES[self.particle]
        if not least <= low <= high <= most:
            raise ArgumentError(
                f"energy: got {low:g} to {high:g} GeV, "
                f"expected {least:g} to {most:g} GeV for {self.particle}s, the first not larger"
            )
        if not 0 <= self.threshold < math.inf:
            raise ArgumentError(f"threshold: got {self.threshold}, expected a number ≥ 0 of MeV")
        if not self.detector.calorimeter.depth:
            raise ArgumentError("detector: got a calorimeter without depths, expected some in mm")


class Showers(NamedTuple):
    """B showers as N filled voxels in all, in the order of the voxels; energies in MeV."""

    voxel: NDArray[np.int32]  #: number of each voxel [N]
    energy: NDArray[np.float32]  #: its energy [N]
    sizes: NDArray[np.int64]  #: filled voxels of each shower [B]
    incident: NDArray[np.float32]  #: incident energy [B]
    beside: NDArray[np.float32]  #: energy beside the voxels, within their depth [B]
    lost: NDArray[np.float32]  #: energy in voxels below the threshold [B]


def generate_showers(seed: int, first: int, number: int, settings: ShowerSettings) -> Showers:
    """Showers ``first`` to ``first + number`` of a seed.

    Args:
        seed: Of the whole simulation.
        first: Number of the first shower.
        number: How many, at least one.
        settings: Which.
    """
    calorimeter, threads = settings.detector.calorimeter, torch.get_num_threads()
    rows, events = [], []
    torch.set_num_threads(1)  # the processes share the cores
    try:
        for k in range(first, first + number):
            random = np.random.default_rng((seed, PARTICLES[settings.particle], k))
            low, high = map(math.log, settings.energy)
            energy = math.exp(random.uniform(low, high))
            voxels, beside = deposited(shower(energy, settings, random), calorimeter)
            filled = np.flatnonzero(voxels > settings.threshold)
            kept = voxels[filled]
            rows.append((filled, kept))
            events.append((len(filled), 1e3 * energy, beside, voxels.sum() - kept.sum()))
    finally:
        torch.set_num_threads(threads)
    sizes, *others = np.array(events).reshape(number, 4).T
    return Showers(
        np.concatenate([row[0] for row in rows]).astype(np.int32),
        np.concatenate([row[1] for row in rows]).astype(np.float32),
        sizes.astype(np.int64),
        *(other.astype(np.float32) for other in others),
    )


def shower(energy: float, settings: ShowerSettings, random: np.random.Generator) -> Spots:
    """One shower of ``energy`` GeV."""
    medium, depth = settings.detector.filling, settings.detector.calorimeter.depth
    if settings.particle == "pion":
        return toy_hadron_shower(energy, medium, depth, random)
    photon = settings.particle == "photon"
    return electromagnetic_shower(energy, medium, depth, random, photon=photon)


def deposited(spots: Spots, calorimeter: Calorimeter) -> tuple[NDArray[np.float64], float]:
    """Energy of each voxel [V], and what is beside them, in MeV."""
    pos = torch.from_numpy(np.stack([spots.x, spots.y, np.zeros_like(spots.x)], 1))
    voxel, inside = calorimeter.locate(pos, torch.from_numpy(spots.layer))
    within = inside.numpy()
    energies = np.zeros(calorimeter.voxels)
    np.add.at(energies, voxel.numpy()[within], spots.energy[within])
    return energies, float(spots.energy[~within].sum())
