r"""Fan et al. 2017 (PSGN): what distances of sets make of many answers, and how guesses keep them.

A set X of 64 points minimises :math:`E_r\, d(X, \text{circle of radius } r)`, r uniform on 0.5 to
1.5: under the earth mover's distance it is the circle of the median radius, under Chamfer's it
splashes over the radii. And a network of noise alone learns sets that are a circle or a square with
equal chance: with one guess it makes what lies between the two, with the best of several guesses
(min of N) each of both. What lies between is measured by

.. math::
    b(X) = \min(d(X, \text{circle}), d(X, \text{square})) \,/\, d(\text{circle}, \text{square}),

the mean over samples, which is one half midway and 0 on either. The networks learn in 2000 steps;
after 400, in which the thresholds were first tried, the best of four guesses is at b = 0.36 and
misses its threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from pcgen.ops import chamfer, earth_mover
from pcgen.tools.claims.claim import Claim
from pcgen.tools.claims.several import Networks

POINTS, RADII, STEPS = 64, 8, 400
CORNERS, NOISE, BATCH, GUESSES, LEARNING = 32, 4, 8, 4, 2000

Distance = Callable[[Tensor, Tensor], Tensor]
"""Of dense clouds [B, n, 2] -> [B]."""


def transport(x: Tensor, y: Tensor) -> Tensor:
    """Earth mover's distance of points that count alike [B]."""
    return earth_mover(x, y).cost


def squared(x: Tensor, y: Tensor) -> Tensor:
    """Chamfer's distance, of squares and in both directions [B]."""
    return chamfer(x, y)


def circle(radius: Tensor, number: int) -> Tensor:
    """Points on circles of these radii [B] -> [B, n, 2]."""
    angle = 2 * math.pi * torch.arange(number) / number
    return radius[:, None, None] * torch.stack([angle.cos(), angle.sin()], 1)


def square(number: int) -> Tensor:
    """Points on the square of half side 1 [n, 2], evenly along its sides."""
    along = 8 * (torch.arange(number) + 0.5) / number
    side, place = along.div(2, rounding_mode="floor").long(), along % 2 - 1
    ones = torch.ones_like(place)
    corners = torch.stack(
        [torch.stack([place, -ones], 1), torch.stack([ones, place], 1),
         torch.stack([-place, ones], 1), torch.stack([-ones, -place], 1)], 1
    )  # fmt: skip
    return corners[torch.arange(number), side]


def best_set(distance: Distance, seed: int, quick: bool) -> Tensor:
    """Radii of the points of the set that is nearest to circles of all radii [n]."""
    draw = torch.Generator().manual_seed(seed)
    points = torch.randn(POINTS, 2, generator=draw).requires_grad_()
    optimiser = torch.optim.Adam([points], lr=0.02)
    steps = 3 if quick else STEPS
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
        radius = 0.5 + torch.rand(RADII, generator=draw)
        loss = distance(points.expand(RADII, -1, -1), circle(radius, POINTS)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return points.detach().norm(dim=1)


def spread(distance: Distance, seeds: Sequence[int], quick: bool) -> list[float]:
    """Standard deviation of the radii of the best set."""
    return [float(best_set(distance, seed, quick).std()) for seed in seeds]


def off_median(seeds: Sequence[int], quick: bool) -> list[float]:
    """Distance of the mean radius of the best set of the earth mover from the median radius, 1."""
    return [abs(float(best_set(transport, seed, quick).mean()) - 1) for seed in seeds]


def samples(guesses: int, seeds: Sequence[int], quick: bool) -> Tensor:
    """Distances to circle and square of 100 sets of each seed, over that of the two [S, 100, 2]."""
    draw = torch.Generator().manual_seed(2000 + seeds[0])
    modes = torch.stack([circle(torch.ones(1), CORNERS)[0], square(CORNERS)])
    network = Networks(seeds, (NOISE, 128, 128, 2 * CORNERS))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    total, steps = len(seeds) * BATCH, 3 if quick else LEARNING
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
        real = modes[torch.randint(2, (total,), generator=draw)]
        noise = torch.randn(guesses, total, NOISE, generator=draw)
        found = [transport(network(each).view(total, -1, 2), real) for each in noise]
        loss = torch.stack(found).min(0).values.sum() / BATCH
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        made = network(torch.randn(len(seeds) * 100, NOISE, generator=draw)).view(-1, CORNERS, 2)
        far = [transport(made, mode.expand(len(made), -1, -1)) for mode in modes]
        apart = transport(modes[:1], modes[1:])
    return (torch.stack(far, 1) / apart).view(len(seeds), 100, 2)


def between(guesses: int, seeds: Sequence[int], quick: bool) -> list[float]:
    """Mean of b over the samples of each seed."""
    return [float(each) for each in samples(guesses, seeds, quick).min(2).values.mean(1)]


def rarer(guesses: int, seeds: Sequence[int], quick: bool) -> list[float]:
    """Share of the samples of each seed that are nearer to the rarer of the two."""
    share = samples(guesses, seeds, quick).argmin(2).double().mean(1)
    return [float(each) for each in torch.minimum(share, 1 - share)]


_PAPER = "1612.00603, section 3.2"
CLAIMS = (
    Claim("sets", "EMD over circles of all radii: a circle, spread of its radii", _PAPER,
          "a circle", partial(spread, transport), 0.02),
    Claim("sets", "its radius, off the median", _PAPER, "the mean shape", off_median, 0.05),
    Claim("sets", "Chamfer over the same circles: a splash, spread of its radii", _PAPER,
          "a splash", partial(spread, squared), 0.08, above=True),
    Claim("sets", "circle or square, one guess: midway between the two", "1612.00603, section 3.3",
          "averages", partial(between, 1), 0.4, above=True),
    Claim("sets", "the same, best of 4 guesses: on one of them", "1612.00603, section 3.3",
          "many answers", partial(between, GUESSES), 0.3),
    Claim("sets", "the same, best of 4 guesses: share of the rarer one",
          "1612.00603, section 3.3", "both", partial(rarer, GUESSES), 0.2, above=True),
)  # fmt: skip
