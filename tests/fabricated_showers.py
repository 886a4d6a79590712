"""Showers made of formulas, in two small calorimeters, for the tests of what judges showers.

Energy density: a gamma distribution along the depth times an exponential away from the axis,
times fluctuations of each voxel. Not physics, but with the features that the metrics look at.
"""

from __future__ import annotations

import math

import torch

from pcgen.grids import Calorimeter
from pcgen.metrics.showers import Showers

# Layers of different rings and angles, one of them not cut into angles, called as in data set 1.
RINGS = Calorimeter.cylindrical(
    [(0, 5, 10, 30), (0, 2, 4, 8, 20), (0, 2, 5, 20), (0, 10, 40)],
    [1, 8, 6, 4],
    numbers=(0, 1, 2, 12),
    depth=(0, 10, 30, 60, 80),
)
CELLS = Calorimeter.planar(
    [(-20, -8, 0, 8, 20), (-20, -5, -1, 1, 5, 20), (-30, 0, 30)],
    [(-20, 0, 20), (-20, -5, -1, 1, 5, 20), (-30, -10, 10, 30)],
)


def fabricated_showers(
    calorimeter: Calorimeter,
    events: int,
    *,
    seed: int,
    radius: float = 6.0,
    peak: float = 0.4,
    response: float = 0.9,
    noise: float = 0.5,
    threshold: float = 1.0,
    incident: tuple[float, float] = (1e3, 1e6),
) -> Showers:
    """Showers of log-uniform incident energy in MeV.

    Args:
        calorimeter: Where.
        events: How many.
        seed: Of everything random.
        radius: Mean distance from the axis in mm.
        peak: Where along the depth they are strongest, as a fraction of it.
        response: Fraction of the incident energy that is seen.
        noise: Relative fluctuation of a voxel.
        threshold: Voxels of less energy are empty.
        incident: Least and largest incident energy.
    """
    generator = torch.Generator().manual_seed(seed)
    geometry = calorimeter.geometry()
    depth = geometry.centre[:, 2] / max(calorimeter.depth or [len(calorimeter.layers)])
    shape = 1 + 4 * torch.rand(events, 1, generator=generator, dtype=torch.double)
    rate = shape / peak
    density = shape * depth.log() - rate * depth - geometry.r / radius
    fractions = (density + geometry.volume.log()).softmax(1)
    wave = torch.randn(events, calorimeter.voxels, generator=generator, dtype=torch.double)
    low, high = map(math.log, incident)
    energy = (
        torch.rand(events, generator=generator, dtype=torch.double) * (high - low) + low
    ).exp()
    voxels = response * energy[:, None] * fractions * (noise * wave - noise**2 / 2).exp()
    return Showers(voxels, energy).above(threshold)
