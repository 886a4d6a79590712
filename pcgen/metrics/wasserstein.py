r"""Wasserstein-1 distance between two samples of one number.

    W1(P, Q) = ∫ |F_P(t) - F_Q(t)| dt,

F the empirical distribution functions. For two samples of equal size it is the mean absolute
difference of the sorted values; the integral serves unequal sizes. On a circle mass may go either
way round, and

    W1(P, Q) = min_c ∫ |F_P(t) - F_Q(t) - c| dt

over one turn, with F from any cut on; the best c is the median of the difference (Rabin, Delon and
Gousseau, "Transportation distances on the circle", J. Math. Imaging Vis. 41 (2011) 147).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.points import wrap


def wasserstein1(a: Tensor, b: Tensor, *, period: float | None = None) -> Tensor:
    """W1 between two samples of the real line or of a circle, unweighted; the sizes may differ.

    Args:
        a: [n], n ≥ 1.
        b: [m], m ≥ 1.
        period: Circumference of the circle; None for the line.

    Returns:
        A scalar in the unit of the values.

    Raises:
        ArgumentError: a sample is empty or not one-dimensional, or the period not positive.
        DataError: a value is not finite, naming its index, or the distance is beyond the type.

    >>> wasserstein1(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 2.0])).item()
    2.0
    >>> wasserstein1(torch.tensor([179.0]), torch.tensor([-179.0]), period=360.0).item()
    2.0
    """
    for name, sample in (("a", a), ("b", b)):
        if sample.dim() != 1 or not len(sample):
            raise ArgumentError(f"{name}: got shape {tuple(sample.shape)}, expected [n] with n ≥ 1")
        if not bool(torch.isfinite(sample).all()):
            index = int((~torch.isfinite(sample)).nonzero()[0])
            raise DataError(f"{name}[{index}]: got {sample[index].item()}, expected a finite value")
    if period is not None and not 0 < period < math.inf:
        raise ArgumentError(f"period: got {period}, expected a positive number or None")
    value = _distance(a, b, period)
    if not bool(value.detach().isfinite()):
        value = _of_parts(a, b, period)
    return value


def _of_parts(a: Tensor, b: Tensor, period: float | None) -> Tensor:
    """The distance where a sum of differences, or a difference, is beyond the type."""
    part = 2.0**-64 if a.dtype == torch.float32 else 2.0**-512
    part = 2.0**-10 if a.dtype == torch.float16 else part
    unit = None if period is None else period * part
    value = _distance(a * part, b * part, unit) / part
    if not bool(value.detach().isfinite()):
        name = str(value.dtype).removeprefix("torch.")
        raise DataError(
            f"a, b: their distance is beyond the largest {name} "
            f"({torch.finfo(value.dtype).max:.2g}), expected values in other units"
        )
    return value


def _distance(a: Tensor, b: Tensor, period: float | None) -> Tensor:
    if period is not None:
        a, b = (wrap(sample, period) for sample in (a, b))
    a, b = a.sort().values, b.sort().values
    if len(a) == len(b) and period is None:
        return (a - b).abs().mean()
    grid = torch.cat([a, b]).sort().values
    below_a = torch.searchsorted(a, grid[:-1], right=True).to(grid.dtype) / len(a)
    below_b = torch.searchsorted(b, grid[:-1], right=True).to(grid.dtype) / len(b)
    difference, gaps = below_a - below_b, grid.diff()
    if period is not None:
        return around_circle(difference[None], gaps, period)[0]
    return (difference.abs() * gaps).sum()


def around_circle(difference: Tensor, gaps: Tensor, period: float) -> Tensor:
    """min_c ∫ |F_P - F_Q - c| [P] over a circle that is cut where no value is.

    Args:
        difference: F_P - F_Q between neighbouring values [P, M - 1]; it is 0 beyond the last one.
        gaps: From each value to the next [M - 1], ≥ 0 and together at most ``period``.
        period: Circumference.
    """
    distance = difference.abs() @ gaps
    # Where less than half the circle is above 0, and below, the median is 0.
    sides = torch.stack([(difference > 0).to(gaps) @ gaps, (difference < 0).to(gaps) @ gaps])
    rows = (sides > period / 2).any(0).nonzero().flatten()
    if not len(rows):
        return distance
    chosen = torch.nn.functional.pad(difference[rows], (0, 1))
    length = torch.cat([gaps, (period - gaps.sum()).clamp(min=0)[None]])
    ordered, order = chosen.sort(1)
    middle = (length[order].cumsum(1) >= length.sum() / 2).int().argmax(1, keepdim=True)
    return distance.index_copy(0, rows, (chosen - ordered.gather(1, middle)).abs() @ length)
