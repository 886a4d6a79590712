r"""Noise of a critic's input as occupancy falls: on pixels it drowns the event, on points not.

The same events of 15 hits are seen as images of R x R cells, a hit of height 1 to each, and as
points. Noise of scale s = 0.1 is added to all pixels or to all coordinates. The signal-to-noise
ratio is the sum of squares of what is seen over that of what was added:

.. math:: \mathrm{SNR}_\text{pixels} = \frac{a}{R^2 s^2} \propto R^{-2}, \qquad
          \mathrm{SNR}_\text{points} = \frac{\sum_i |x_i|^2}{a \cdot 2 s^2}
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from pcgen.objectives.noise import InstanceNoise
from pcgen.tools.claims.claim import Claim

HITS, EVENTS, CELLS, SCALE = 15, 32, (16, 32, 64, 128), 0.1


def events(seed: int) -> Tensor:
    """Hits in the unit square [EVENTS, HITS, 2]."""
    return torch.rand(EVENTS, HITS, 2, generator=torch.Generator().manual_seed(seed))


def image(hits: Tensor, cells: int) -> Tensor:
    """Hits [B, H, 2] -> images [B, cells, cells], 1 where there is one."""
    place = (hits * cells).long().clamp(max=cells - 1)
    flat = torch.zeros(len(hits), cells * cells)
    return flat.scatter(1, place[..., 0] * cells + place[..., 1], 1.0).reshape(-1, cells, cells)


def ratio(seen: Tensor, seed: int) -> float:
    """Signal to noise of what is seen, as the remedy of the toolkit changes it."""
    noisy = InstanceNoise(SCALE, 1.0)(seen, 0.0, torch.Generator().manual_seed(seed))
    return float(seen.square().sum() / (noisy - seen).square().sum())


def slope(on_pixels: bool, seeds: Sequence[int], quick: bool) -> list[float]:
    """Power of R by which the ratio falls."""
    slopes = []
    for seed in seeds:
        hits = events(seed)
        found = [ratio(image(hits, cells) if on_pixels else hits - 0.5, seed) for cells in CELLS]
        slopes.append(float(np.polyfit(np.log(CELLS), np.log(found), 1)[0]))
    return slopes


def snr_at_64(seeds: Sequence[int], quick: bool) -> list[float]:
    """Relative deviation of the ratio of pixels at R = 64 from a / (n s²), a counted."""
    found = []
    for seed in seeds:
        seen = image(events(seed), 64)
        expected = float(seen.sum()) / EVENTS / (64**2 * SCALE**2)
        found.append(abs(ratio(seen, seed) / expected - 1))
    return found


def hits_lost(on_pixels: bool, seeds: Sequence[int], quick: bool) -> list[float]:
    """W1 of the number of cells above half a hit, with noise of scale 0.3 and without, R = 128."""
    found = []
    for seed in seeds:
        hits, draw = events(seed), torch.Generator().manual_seed(seed + 1)
        noise, seen = InstanceNoise(0.3, 1.0), image(hits, 128)
        # Coordinates move by 0.3 of a cell and wrap around at the border.
        moved = noise(128 * hits, 0.0, draw).remainder(128) / 128
        noisy = noise(seen, 0.0, draw) if on_pixels else image(moved, 128)
        counts = [(each > 0.5).sum((1, 2)).numpy() for each in (seen, noisy)]
        found.append(float(wasserstein_distance(*counts)))
    return found


CLAIMS = (
    Claim("occupancy", "pixel noise: SNR at 64 x 64 cells, relative to a / (n s²)", "ours",
          "0", snr_at_64, 0.05),
    Claim("occupancy", "pixel noise: power of R by which the SNR falls", "ours", "-2",
          partial(slope, True), -1.9),
    Claim("occupancy", "jitter of points: power of R by which the SNR falls", "ours", "0",
          partial(slope, False), -0.01, above=True),
    Claim("occupancy", "pixel noise, s = 0.3: W1 of the number of hits, R = 128", "ours", "> 100",
          partial(hits_lost, True), 100, above=True),
    Claim("occupancy", "jitter by 0.3 cells: W1 of the number of hits, R = 128", "ours", "0",
          partial(hits_lost, False), 0.5),
)  # fmt: skip
