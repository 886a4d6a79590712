r"""Bora et al. 2017 and Dhar et al. 2018: few random measurements of what a generator can make.

The generator is a random network with 6 numbers of noise, 64 and 256 units, whose last ReLU leaves
15 % of the 256 entries above zero: sparse signals on a surface of six dimensions, of norm about 1.
20 of them are measured by m rows of normal numbers, N(0, 1/m), without noise. They are recovered by
descent in the noise (10 starts, 1000 steps of Adam at 0.01, as in the paper), or by the LASSO for
entries >= 0, which knows that they are few and nothing else. Errors are abs(x' - x)² / abs(x)², the
median over signals; recovered means at most 1e-3. The weight of a sparse deviation was chosen by
the signals of seed 0.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.images.measurements import Mixed
from pcgen.models.inverse import Answers, Descent, Noise, invert
from pcgen.ops.sparse_recovery import fista
from pcgen.tools.claims.claim import Claim

NOISE, HIDDEN, ENTRIES, ACTIVE, SIGNALS = 6, 64, 256, 0.15, 20
FEW, MANY = (6, 8, 12, 16, 24), (24, 32, 48, 64, 96, 128)
EXACT, SPIKES, HEIGHT, LAMBDA = 1e-3, 5, 0.2, 1e-2


class Network(NamedTuple):
    """Weights of the generator.

    Attributes:
        first: [NOISE, HIDDEN].
        last: [HIDDEN, ENTRIES].
        level: Above which a unit of the last layer is active.
        unit: Mean norm of the signals.
    """

    first: Tensor
    last: Tensor
    level: float
    unit: float

    def __call__(self, noise: Tensor) -> Tensor:
        """Signals [K, ENTRIES] of noise [K, NOISE]."""
        return ((noise @ self.first).relu() @ self.last - self.level).relu() / self.unit


def network(seed: int) -> tuple[Network, torch.Generator]:
    """The generator of a seed, and the source of what follows."""
    draw = torch.Generator().manual_seed(seed)
    first = torch.randn(NOISE, HIDDEN, generator=draw) / NOISE**0.5
    last = torch.randn(HIDDEN, ENTRIES, generator=draw) * (2 / HIDDEN) ** 0.5
    units = (torch.randn(1000, NOISE, generator=draw) @ first).relu() @ last
    level = float(units.flatten().kthvalue(int((1 - ACTIVE) * units.numel())).values)
    return Network(first, last, level, float((units - level).relu().norm(dim=1).mean())), draw


def signals(seed: int, spikes: bool) -> tuple[Network, Tensor]:
    """The generator and 20 signals of it [20, ENTRIES], with SPIKES further entries if asked."""
    made, draw = network(seed)
    truth = made(torch.randn(5 * SIGNALS, NOISE, generator=draw))
    truth = truth[truth.any(1)][:SIGNALS]  # some noise gives zeros, of which there is no error
    if spikes:
        place = torch.rand(SIGNALS, ENTRIES, generator=draw).topk(SPIKES, 1).indices
        truth = truth.scatter_add(1, place, torch.full(place.shape, HEIGHT))
    return made, truth


def error(found: Tensor, truth: Tensor) -> float:
    """Median relative squared error."""
    return float(((found - truth).square().sum(1) / truth.square().sum(1)).median())


@functools.cache
def by_generator(
    seed: int, number: int, quick: bool, spikes: bool = False, deviation: float | None = None
) -> tuple[float, Answers]:
    """Error of the descent with so many measurements, and all its answers."""
    made, truth = signals(seed, spikes)
    measurement = Mixed.random((ENTRIES,), number, seed=1000 + seed)
    descent = Descent(2 if quick else 10, 5 if quick else 1000, prior=1e-6, deviation=deviation,
                      tolerance=EXACT**0.5)  # fmt: skip
    answers = SIGNALS * descent.restarts
    draw = torch.Generator().manual_seed(2000 + seed)
    start = Noise((torch.randn(answers, NOISE, generator=draw),), (torch.arange(answers),))
    found = invert(measurement, measurement(truth), lambda rows: made(rows[0]), start, descent)
    return error(found.image, truth), found


@functools.cache
def by_lasso(seed: int, number: int, quick: bool, spikes: bool = False) -> float:
    """Error of the LASSO with so many measurements."""
    truth = signals(seed, spikes)[1]
    measurement = Mixed.random((ENTRIES,), number, seed=1000 + seed)
    y = measurement(truth)
    strength = 1e-3 * measurement.adjoint(y).abs().amax(1)
    steps = 5 if quick else 3000
    return error(fista(measurement, y, strength, steps=steps, nonnegative=True), truth)


def error_of_generator(number: int, seeds: Sequence[int], quick: bool) -> list[float]:
    """Of each seed."""
    return [by_generator(seed, number, quick)[0] for seed in seeds]


def error_of_lasso(number: int, seeds: Sequence[int], quick: bool) -> list[float]:
    """Of each seed."""
    return [by_lasso(seed, number, quick) for seed in seeds]


def fewer(seeds: Sequence[int], quick: bool) -> list[float]:
    """Measurements that the LASSO needs over those that the descent needs."""
    ratios = []
    for seed in seeds:
        ours = next((m for m in FEW if by_generator(seed, m, quick)[0] <= EXACT), 2 * FEW[-1])
        theirs = next((m for m in MANY if by_lasso(seed, m, quick) <= EXACT), 2 * MANY[-1])
        ratios.append(theirs / ours)
    return ratios


def reached(number: int, seeds: Sequence[int], quick: bool) -> list[float]:
    """Share of the starts whose descent reaches the measurements."""
    found = (by_generator(seed, number, quick)[1].succeeded for seed in seeds)
    return [float(each.double().mean()) for each in found]


def beyond_the_range(number: int, seeds: Sequence[int], quick: bool) -> list[float]:
    """Error of the descent over that of the LASSO for signals with spikes."""
    pairs = ((by_generator(s, number, quick, True)[0], by_lasso(s, number, quick, True))
             for s in seeds)  # fmt: skip
    return [ours / theirs for ours, theirs in pairs]


def sparse_gen(number: int, seeds: Sequence[int], quick: bool) -> list[float]:
    """Error with a sparse deviation over the smaller one of the descent and of the LASSO."""
    ratios = []
    for seed in seeds:
        ours = by_generator(seed, number, quick, True, deviation=LAMBDA)[0]
        others = by_generator(seed, number, quick, True)[0], by_lasso(seed, number, quick, True)
        ratios.append(ours / min(others))
    return ratios


_BORA, _DHAR = "1703.03208", "1807.01442"
CLAIMS = (
    Claim("sensing", "descent in the noise, m = 12: relative squared error", _BORA, "exact",
          functools.partial(error_of_generator, 12), EXACT),
    Claim("sensing", "LASSO, m = 48: the same", _BORA, "fails",
          functools.partial(error_of_lasso, 48), 10 * EXACT, above=True),
    Claim("sensing", "LASSO, m = 128: the same", "ours", "exact",
          functools.partial(error_of_lasso, 128), EXACT),
    Claim("sensing", "measurements that the LASSO needs over those of the descent", _BORA,
          "5 to 10", fewer, 5, above=True),
    Claim("sensing", "share of starts that reach the measurements, m = 24", "ours",
          "starts are needed", functools.partial(reached, 24), 0.2, above=True),
    Claim("sensing", "signals with 5 spikes that it cannot make, m = 128: error over the LASSO's",
          f"{_BORA}, section 6", "> 1: a plateau", functools.partial(beyond_the_range, 128), 2,
          above=True),
    Claim("sensing", "the same, m = 48, with a sparse deviation: error over the better one's",
          _DHAR, "< 1", functools.partial(sparse_gen, 48), 0.5),
)  # fmt: skip
