r"""Maximum mean discrepancy with a polynomial kernel, and the kernel physics distance (KPD).

    MMD² = Σ_{i≠j} k(x_i, x_j) / n(n-1) + Σ_{i≠j} k(y_i, y_j) / m(m-1) - 2 Σ_ij k(x_i, y_j) / nm,
    k(x, y) = (x·y / F + 1)⁴,

the unbiased estimator of Gretton et al., JMLR 13 (2012) 723, lemma 6, for F features. KPD is its
median over batches: Kansal et al., PRD 107 (2023) 076017, arXiv 2211.10295. Being
unbiased it may be negative.

What depends on x alone or on y alone cancels in MMD². Far from the origin (or very near to it) that
leaves no digit of the kernel, so there the sums are of the *centred* kernel, which has the same
MMD²: with x = c + u, y = c + v and the polynomial f(t) = (t + 1)⁴,

    k(x, y) - k(x, c) - k(c, y) + k(c, c) = f(t) - f(r) + [f(r) - f(|c|²/F + a) - f(|c|²/F + b)
    + f(|c|²/F)],  a = u·c / F,  b = v·c / F,  r = |c|²/F + a + b,  t = r + u·v / F,

whose differences are multiplied out, so that nothing cancels.
"""

from __future__ import annotations

import numpy as np
import torch
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

# Rows of one tile of a matrix of kernels.
_TILE = 1024


def kernel_distance(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased MMD² between two sets of events, a float64 scalar, in memory of one tile.

    Args:
        x: Features [N, F], N ≥ 2.
        y: Features [M, F], M ≥ 2.

    Raises:
        ArgumentError: shapes or devices do not fit.
        DataError: a feature is not finite, naming the events, or the result is beyond float64.

    >>> x = torch.tensor([[0.0], [1.0]])
    >>> kernel_distance(x, x).item()  # 1 + 1 - 2 (1 + 1 + 1 + 2⁴) / 4
    -7.5
    """
    x, y = check_rows(least=2, x=x, y=y)
    n, m = len(x), len(y)
    kernel = _kernel(torch.cat([x, y]))
    among = _among(x, kernel) / (n * (n - 1)) + _among(y, kernel) / (m * (m - 1))
    return _finite(among - 2 * _between(x, y, kernel) / (n * m))


def kernel_of_samples(features: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Unbiased MMD² [P] between P pairs of samples of one pool of events.

    With c and d the number of times that each event is in a and b, the three sums are cᵀKc, dᵀKd
    and cᵀKd, so that K is computed once, tile by tile, for all pairs.

    Args:
        features: Pool [N, F].
        a: Events of the first samples [P, n], n ≥ 2; an event may occur more than once.
        b: Events of the second samples [P, m], m ≥ 2.

    Raises:
        ArgumentError: shapes do not fit, or a number is not that of an event.
        DataError: a feature of the pool is not finite, or a result is beyond float64.
    """
    (features,) = check_rows(features=features)
    check_samples(a, b, len(features))
    c, d = (counted(s.to(features.device), len(features)).double() for s in (a, b))
    kernel = _kernel(features)
    own = kernel.of_pairs(features, features)
    sums = features.new_zeros(3, len(a))
    both = torch.cat([c, d]).T
    for start in range(0, len(features), _TILE):
        rows = slice(start, start + _TILE)
        with_c, with_d = (kernel(features[rows], features) @ both).T.split(len(a))
        first, second = c[:, rows], d[:, rows]
        sums += torch.stack([(first * with_c), (second * with_d), (first * with_d)]).sum(2)
    n, m = a.shape[1], b.shape[1]
    of_a, of_b = (sums[0] - c @ own) / (n * (n - 1)), (sums[1] - d @ own) / (m * (m - 1))
    return _finite(of_a + of_b - 2 * sums[2] / (n * m))


def _finite(value: Tensor) -> Tensor:
    if not bool(value.isfinite().all()):
        raise DataError(
            "kernel distance: got a value beyond float64, of eighth order in the features, expected"
            " smaller features; divide them by their size"
        )
    return value


def polynomial(product: Tensor) -> Tensor:
    """(t + 1)⁴ of mean products of features."""
    return (product + 1).square_().square_()


class Plain:
    """The kernel by its definition."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """k(x_i, y_j) [n, m]."""
        return polynomial(x @ (y / x.shape[1]).T)

    def of_pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """k(x_i, y_i) [n]."""
        return polynomial((x * y).sum(1) / x.shape[1])


class Centred:
    """The kernel less what cancels in MMD²; see the module.

    Args:
        centre: c [F].
    """

    def __init__(self, centre: Tensor) -> None:
        self._centre = centre
        self._own = 1 + centre.square().sum() / len(centre)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The centred k(x_i, y_j) [n, m]."""
        u, v = x - self._centre, y - self._centre
        width = len(self._centre)
        a, b = u @ (self._centre / width), v @ (self._centre / width)
        return self._of(u @ (v / width).T, a[:, None], b[None])

    def of_pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """The centred k(x_i, y_i) [n]."""
        u, v = x - self._centre, y - self._centre
        width = len(self._centre)
        a, b = u @ (self._centre / width), v @ (self._centre / width)
        return self._of((u * v).sum(1) / width, a, b)

    def _of(self, product: Tensor, a: Tensor, b: Tensor) -> Tensor:
        own = self._own
        r = own + a + b
        t = r + product
        mixed = 12 * own * (own + a + b) + 4 * a.square() + 6 * a * b + 4 * b.square()
        return product * (t + r) * (t.square() + r.square()) + a * b * mixed


def _kernel(features: Tensor) -> Plain | Centred:
    """The centred kernel for features nearly all alike, or all small; the plain one for others."""
    size, centre = features.square().mean(), features.mean(0)
    spread = (features - centre).square().mean()
    return Centred(centre) if size < 1e-3 or spread < size / 1000 else Plain()


def _among(x: Tensor, kernel: Plain | Centred) -> Tensor:
    """Σ_{i≠j} k(x_i, x_j): the tiles above the diagonal twice."""
    total = x.new_zeros(())
    tiles = x.split(_TILE)
    for k, tile in enumerate(tiles):
        square = kernel(tile, tile)
        total = total + square.sum() - square.trace()
        for other in tiles[k + 1 :]:
            total = total + 2 * kernel(tile, other).sum()
    return total


def _between(x: Tensor, y: Tensor, kernel: Plain | Centred) -> Tensor:
    """Σ_ij k(x_i, y_j)."""
    sums = [kernel(tile, other).sum() for tile in x.split(_TILE) for other in y.split(_TILE)]
    return torch.stack(sums).sum()


def kernel_physics_distance(
    real: Tensor,
    generated: Tensor,
    *,
    batch: int = 5_000,
    batches: int = 10,
    scale: bool = True,
    seed: int = 42,
) -> Estimate:
    """Kernel physics distance: the median MMD² of batches drawn with replacement.

    The draws are those of jetnet 0.2.5 for the same ``seed`` (without its threads, which draw
    others). Published values are often given times 1000 or 10⁶.

    Args:
        real: Features [N, F].
        generated: Features [M, F].
        batch: Events of each side of a batch, at least 2.
        batches: Batches.
        scale: Divide each feature by its largest size in the real set.
        seed: Seed of the first batch; the k-th has seed + 1000 k.

    Returns:
        The median, and half of the range from 16.275 % to 83.725 % of the batches.

    Raises:
        ArgumentError: shapes do not fit, or batches are too few or too small.
        DataError: a feature is not finite, naming the events.
    """
    if batch < 2 or batches < 1:
        raise ArgumentError(f"batch, batches: got {batch} and {batches}, expected at least 2 and 1")
    real, generated = check_rows(least=2, real=real, generated=generated)
    if scale:
        real, generated = divided_by_maximum(real, real, generated)
    values = []
    for k in range(batches):
        rng = np.random.default_rng(seed + 1000 * k)
        drawn = (torch.from_numpy(rng.integers(len(x), size=batch)) for x in (real, generated))
        x, y = (x[i.to(x.device)] for x, i in zip((real, generated), drawn, strict=True))
        values.append(kernel_distance(x, y).item())
    low, high = np.percentile(values, [16.275, 83.725])
    return Estimate(float(np.median(values)), float(high - low) / 2)


def kernel_physics(features: Tensor, *, batch: int | None = None) -> FeatureDistance:
    """KPD of features [N, F]; its permutation test takes the MMD² of whole samples.

    Args:
        features: Of jets, the 36 energy-flow polynomials.
        batch: Events of each side of its batches; None: a tenth of the sample.
    """

    def distance(a: Tensor, b: Tensor) -> float:
        size = batch or max(len(a) // 10, 2)
        return kernel_physics_distance(a, b, batch=size).value

    return FeatureDistance(features, [Measure("KPD")], distance, of_samples=_of_scaled)


def _of_scaled(features: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """With each feature over its largest size in the pool: the null has no real side."""
    (features,) = divided_by_maximum(features, features)
    return kernel_of_samples(features, a, b)
