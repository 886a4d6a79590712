r"""Fréchet distance of two Gaussians, and the Fréchet physics distance (FPD).

    d² = |μ1 - μ2|² + Tr(Σ1 + Σ2 - 2 (Σ1 Σ2)^½)

(Dowson and Landau, J. Multivar. Anal. 12 (1982) 450) of the Gaussians that have the means and
covariances of two sets of features. With Σ1 = A Aᵀ and Σ2 = B Bᵀ the last trace is the sum of the
singular values of Aᵀ B: no square root of a product that need not be symmetric is taken, and
singular covariances, those of features that depend on each other, do no harm.

The distance of two finite sets is biased up, by b/N to first order. FPD draws sets of several sizes
N and extrapolates to N = ∞: Kansal et al., "Evaluating generative models in high energy physics",
PRD 107 (2023) 076017, arXiv 2211.10295; the intercept after Chong and Forsyth,
"Effectively unbiased FID and Inception Score", CVPR 2020.

A set drawn from N events needs no copy of their features: with c_i the number of times that event
i is drawn, its moments are Σ c_i x_i and Σ c_i x_i x_iᵀ, and those of all draws at once are one
matrix product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.comparison import FeatureDistance, Measure
from pcgen.metrics.samples import (
    Estimate,
    check_rows,
    check_samples,
    counted,
    divided_by_maximum,
)
from pcgen.ops.floats import exponent

# Numbers held at once: products of features, and counts of draws.
_PRODUCTS, _COUNTS = 1 << 22, 1 << 25


class Gaussian(NamedTuple):
    """Mean and covariance, of one set or of P of them.

    Attributes:
        mean: [F] or [P, F].
        covariance: [F, F] or [P, F, F], divided by N - 1.
    """

    mean: Tensor
    covariance: Tensor


def gaussian(features: Tensor) -> Gaussian:
    """Mean and covariance of events [N, F] with N ≥ 2, in float64."""
    (features,) = check_rows(least=2, features=features)
    mean = features.mean(0)
    centred = features - mean
    return Gaussian(mean, centred.T @ centred / (len(features) - 1))


def frechet(first: Gaussian, second: Gaussian) -> Tensor:
    """Fréchet distance d² of Gaussians: a scalar, or [P] for P pairs, at least 0.

    Raises:
        DataError: a mean, a covariance or the distance is not finite.
    """
    if not all(bool(value.isfinite().all()) for value in (*first, *second)):
        raise DataError(
            "Fréchet distance: got means or covariances beyond float64, expected finite ones; use "
            "other units for the features"
        )
    shift = (first.mean - second.mean).square().sum(-1)
    a, b = _root(first.covariance), _root(second.covariance)
    overlap = torch.linalg.svdvals(a.mT @ b).sum(-1)
    spread = a.square().sum((-2, -1)) + b.square().sum((-2, -1)) - 2 * overlap
    return _held(shift + spread.clamp(min=0))


def _held(distance: Tensor, lost: Tensor | bool = False) -> Tensor:
    """Refuse distances that are not finite, or whose digits were ``lost``."""
    if bool((~distance.isfinite() | lost).any()):
        raise DataError(
            "Fréchet distance: got a value that float64 does not hold, of second order in the "
            "features; use other units for these"
        )
    return distance


def _in_range(*sets: Tensor) -> tuple[float, tuple[Tensor, ...]]:
    """Sets of features times a power of two, at which their squares are in range."""
    largest = max((float(x.abs().max()) for x in sets if x.numel()), default=0.0)
    scale = 2.0 ** exponent(largest, torch.float64)
    return scale, sets if scale == 1.0 else tuple(x * scale for x in sets)


def _out_again(distance: Tensor, scale: float, *sets: Tensor) -> Tensor:
    """Distances in the units of the features, from those of the scaled sets."""
    if scale == 1.0:
        return distance
    rounding = 1e-12 * max(float(x.square().max()) for x in sets)
    found = distance / scale / scale
    return _held(found, (found == 0) & (distance > rounding))


def _root(covariance: Tensor) -> Tensor:
    """A with A Aᵀ the covariance; eigenvalues below 0 are rounding."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()[..., None, :]


def frechet_distance(x: Tensor, y: Tensor) -> Tensor:
    """Fréchet distance d² between the Gaussians of two sets of events, a float64 scalar.

    Args:
        x: Features [N, F], N ≥ 2.
        y: Features [M, F], M ≥ 2.

    Raises:
        ArgumentError: shapes or devices do not fit.
        DataError: a feature is not finite, naming the events, or the distance is beyond float64.

    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> frechet_distance(x, 3 * x + 1).item()  # means 1 and 4, deviations 1 and 3
    13.0
    """
    scale, (x, y) = _in_range(*check_rows(least=2, x=x, y=y))
    return _out_again(frechet(gaussian(x), gaussian(y)), scale, x, y)


def frechet_of_samples(features: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Fréchet distances [P] between P pairs of samples of one pool of events.

    The products of the pool's features are shared by all samples, so that many samples (batches,
    or the cuts of a permutation test) cost little more than one.

    Args:
        features: Pool [N, F].
        a: Events of the first samples [P, n], n ≥ 2; an event may occur more than once.
        b: Events of the second samples [P, m], m ≥ 2.

    Raises:
        ArgumentError: shapes do not fit, or a number is not that of an event.
        DataError: a feature of the pool is not finite, or a distance is beyond float64.
    """
    scale, (features,) = _in_range(*check_rows(features=features))
    check_samples(a, b, len(features))
    together = max(_COUNTS // len(features), 1)
    parts = []
    for pair in zip(a.split(together), b.split(together), strict=True):
        counts = [counted(sample.to(features.device), len(features)) for sample in pair]
        parts.append(frechet(*(moments(features, count) for count in counts)))
    return _out_again(torch.cat(parts), scale, features) if parts else features.new_zeros(0)


def moments(features: Tensor, counts: Tensor) -> Gaussian:
    """Mean and covariance of P samples of a pool, each given by how often an event is in it.

    Args:
        features: Pool [N, F], float64.
        counts: [P, N]; each row sums to 2 at least.
    """
    centre = features.mean(0)
    row, column = torch.triu_indices(*[features.shape[1]] * 2, device=features.device)
    sums = features.new_zeros(len(counts), features.shape[1] + len(row))
    step = max(_PRODUCTS // sums.shape[1], 1)
    for x, count in zip(features.split(step), counts.split(step, 1), strict=True):
        x = x - centre  # or small spreads would be lost in the square of the mean
        sums.addmm_(count.double(), torch.cat([x, x[:, row] * x[:, column]], 1))
    size = counts.sum(1, dtype=torch.double)[:, None]
    mean, square = (sums / size).split([features.shape[1], len(row)], 1)
    upper = (square - mean[:, row] * mean[:, column]) * size / (size - 1)
    covariance = features.new_empty(len(counts), *[features.shape[1]] * 2)
    covariance[:, row, column] = upper
    covariance[:, column, row] = upper
    return Gaussian(mean + centre, covariance)


def frechet_physics_distance(
    real: Tensor,
    generated: Tensor,
    *,
    smallest: int = 20_000,
    largest: int = 50_000,
    sizes: int = 10,
    draws: int = 20,
    scale: bool = True,
    bounded: bool = True,
    seed: int = 42,
) -> Estimate:
    """Fréchet physics distance: the Fréchet distance of sets of N events, for N to infinity.

    Sets of each of some sizes, equally spaced in 1/N, are drawn with replacement from both sides,
    and a + b/N is fitted to the mean distances. The draws are those of jetnet 0.2.5 for the same
    ``seed``. Published values are often given times 1000.

    Args:
        real: Features [N, F]; of jets, the 36 polynomials of
            :func:`~pcgen.metrics.jets.energy_flow_polynomials`.
        generated: Features [M, F].
        smallest: Events of the smallest sets.
        largest: Events of the largest sets; have as many.
        sizes: Number of sizes.
        draws: Pairs of sets of each size.
        scale: Divide each feature by its largest size in the real set.
        bounded: Keep a and b at 0 or above, as jetnet does. The value is then never negative and
            that of two equal distributions is biased up; unbounded it scatters about 0.
        seed: Seed of the draws.

    Returns:
        The intercept a, and its error from the scatter about the line.

    Raises:
        ArgumentError: shapes do not fit, or sizes and draws make no line.
        DataError: a feature is not finite, naming the events.
    """
    if not 2 <= smallest < largest or sizes < 3 or draws < 1:
        raise ArgumentError(
            f"smallest, largest, sizes, draws: got {smallest}, {largest}, {sizes}, {draws}, "
            "expected 2 ≤ smallest < largest, at least 3 sizes and 1 draw"
        )
    real, generated = check_rows(least=2, real=real, generated=generated)
    if scale:
        real, generated = divided_by_maximum(real, real, generated)
    unit, (real, generated) = _in_range(real, generated)
    numbers = (1 / np.linspace(1 / smallest, 1 / largest, sizes)).astype("int32")
    rng = np.random.default_rng(seed)
    sides = [np.empty((sizes * draws, len(x)), dtype=np.int32) for x in (real, generated)]
    for k, number in enumerate(np.repeat(numbers, draws)):
        for side in sides:
            drawn = rng.integers(side.shape[1], size=number)
            side[k] = np.bincount(drawn, minlength=side.shape[1])
    of_real, of_generated = (
        moments(x, torch.from_numpy(side).to(x.device))
        for x, side in zip((real, generated), sides, strict=True)
    )
    distances = _out_again(frechet(of_real, of_generated), unit, real, generated)
    values = distances.view(sizes, draws).mean(1)
    return _intercept(1.0 / numbers, values.cpu().numpy(), bounded)


def _intercept(x: NDArray[np.float64], y: NDArray[np.float64], bounded: bool) -> Estimate:
    """Intercept of a line through (x, y) by least squares; its error as if not bounded."""
    scale = x.max()
    design = np.stack([np.ones_like(x), x / scale], 1)
    line = nnls(design, y)[0] if bounded else np.linalg.lstsq(design, y, rcond=None)[0]
    variance = np.square(y - design @ line).sum() / (len(x) - 2)
    covariance = variance * np.linalg.inv(design.T @ design)
    return Estimate(float(line[0]), float(np.sqrt(covariance[0, 0])))


def frechet_physics(
    features: Tensor, *, smallest: int | None = None, largest: int | None = None
) -> FeatureDistance:
    """FPD of features [N, F]; its permutation test takes the Fréchet distance itself.

    Args:
        features: Of jets, the 36 energy-flow polynomials.
        smallest: Events of the smallest sets of the extrapolation; None: 2/5 of the sample.
        largest: Events of the largest sets; None: as many as the sample has.
    """

    def distance(a: Tensor, b: Tensor) -> float:
        low, high = smallest or 2 * len(a) // 5, largest or len(a)
        return frechet_physics_distance(a, b, smallest=low, largest=high).value

    return FeatureDistance(features, [Measure("FPD")], distance, of_samples=_of_scaled)


def _of_scaled(features: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """With each feature over its largest size in the pool: the null has no real side."""
    (features,) = divided_by_maximum(features, features)
    return frechet_of_samples(features, a, b)
