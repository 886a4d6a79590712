r"""Chamfer distances: what follows from the nearest neighbours of two sets of clouds.

With d_i = min_{y∈Y} |x_i - y|² over the points of X, and e_j likewise over those of Y,

    chamfer(X, Y) = Σ_i w_i d_i / Σ_i w_i + Σ_j v_j e_j / Σ_j v_j,

w = v = 1 without weights: the mean over the points of each side, both sides summed. The neighbours
are found without gradient (:mod:`pcgen.ops.neighbors`); the value is plain torch on the neighbours
found, so it has exact differences, second derivatives and memory O(N + M).

Conventions of other packages are presets, because they differ by factors, roots and sums:
:data:`pytorch3d`, :data:`kaolin`, :data:`open3d`, :data:`pointflow` and :func:`achlioptas`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.points import Period, check_points, square
from pcgen.ops.search import search
from pcgen.ops.segments import owners, segment_sum

Reduction = Literal["mean", "sum"]
Sides = Literal["both", "x", "y"]
Empty = float | Literal["raise", "nan"]


def chamfer(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    *,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    squared: bool = True,
    reduction: Reduction = "mean",
    sides: Sides = "both",
    period: Period | None = None,
    empty: Empty = "raise",
) -> Tensor:
    """Chamfer distance of each pair of clouds [B].

    Args:
        x: Points [N, D].
        y: Points [M, D].
        ptr_x: First row of each cloud in x, and N [B+1].
        ptr_y: First row of each cloud in y, and M [B+1].
        weight_x: Weights of the points of x [N], >= 0; they weigh the mean or sum over x. A point
            of weight 0 may still be somebody's nearest neighbour.
        weight_y: Weights of the points of y [M].
        squared: Squared distances, or distances (whose gradient between coincident points is 0).
        reduction: Over the points of a side: "mean" is Σ w d / Σ w, "sum" is Σ w d.
        sides: "x" takes the points of x to their nearest y, "y" the reverse, "both" the sum.
        period: Per axis the period, None for a line.
        empty: Value where one cloud is empty (no point, or total weight 0) and the other is not;
            "raise" refuses it. Where both are empty the distance is 0.

    Raises:
        ArgumentError: shapes, dtypes, devices, pointers or options do not fit.
        DataError: a coordinate or weight is not finite, a weight is negative, or one cloud of a
            pair is empty and ``empty`` is "raise".

    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]])
    >>> chamfer(x, y, torch.tensor([0, 2]), torch.tensor([0, 1])).item()  # (9 + 4) / 2 + 4
    10.5
    """
    _check_option("reduction", reduction, ("mean", "sum"))
    _check_option("sides", sides, ("both", "x", "y"))
    lengths = check_points(x, y, ptr_x, ptr_y, period)
    pair = _Side.of("x", x, ptr_x, weight_x), _Side.of("y", y, ptr_y, weight_y)
    value = pair[0].points.new_zeros(len(ptr_x) - 1)
    for name, source, target in (("x", *pair), ("y", *pair[::-1])):
        if sides in ("both", name):
            distance, _ = _to_nearest(source, target, lengths)
            value = value + source.reduce(distance if squared else _root(distance), reduction)
    return _where_paired(value, *pair, empty)


pytorch3d = partial(chamfer, squared=True, reduction="mean", sides="both", empty=0.0)
"""``pytorch3d.loss.chamfer_distance(batch_reduction=None)``: squared, mean over points, both sides
summed; a pair with an empty cloud counts 0."""

kaolin = partial(chamfer, squared=True, reduction="mean", sides="both")
"""``kaolin.metrics.pointcloud.chamfer_distance``: squared, mean over points, both sides summed."""

open3d = partial(chamfer, squared=False, reduction="mean", sides="both")
"""``open3d.t.geometry.PointCloud.compute_metrics``: distances (not squared), mean over points, both
sides summed."""

pointflow = partial(chamfer, squared=True, reduction="mean", sides="both")
"""``EMD_CD`` of PointFlow: squared, mean over points, both sides summed."""


def achlioptas(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    *,
    normalize: bool = True,
    use_sqrt: bool = False,
    period: Period | None = None,
    empty: Empty = "raise",
) -> Tensor:
    """Chamfer distance as in ``latent_3d_points`` of Achlioptas et al. (arXiv:1707.02392) [B].

    Args:
        normalize: Mean over the points of a side; otherwise their sum.
        use_sqrt: Distances instead of squared distances.

    The other arguments are those of :func:`chamfer`.
    """
    return chamfer(
        x,
        y,
        ptr_x,
        ptr_y,
        squared=not use_sqrt,
        reduction="mean" if normalize else "sum",
        period=period,
        empty=empty,
    )


def density_aware(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    *,
    alpha: float,
    period: Period | None = None,
    empty: Empty = "raise",
) -> Tensor:
    r"""Density-aware Chamfer distance of each pair [B], in [0, 1] (arXiv:2111.12702).

        ½ [ 1/n Σ_i (1 - (n / m) / c(ŷ_i) · exp(-α |x_i - ŷ_i|²)) + the same from y ],

    ŷ_i the nearest of the m points y to x_i, and c(y) how many of the n points x have y as their
    nearest.

    Args:
        alpha: 1 / (length scale)²; the paper takes 1000 for shapes in a unit cube.

    The other arguments and the errors are those of :func:`chamfer`.
    """
    if not alpha > 0:
        raise ArgumentError(f"alpha: got {alpha}, expected a positive number")
    lengths = check_points(x, y, ptr_x, ptr_y, period)
    pair = _Side.of("x", x, ptr_x), _Side.of("y", y, ptr_y)
    value = pair[0].points.new_zeros(len(ptr_x) - 1)
    for source, target in (pair, pair[::-1]):
        squared, index = _to_nearest(source, target, lengths)
        found = target.occupied[source.owner].long()
        count = found.new_zeros(max(len(target.points), 1)).index_add(0, index, found)
        share = (source.total / target.total.clamp(min=1))[source.owner] / count[index].clamp(min=1)
        value = value + source.reduce(1 - share * (-alpha * squared).exp(), "mean") / 2
    return _where_paired(value, *pair, empty)


def f_score(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    *,
    threshold: float,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    period: Period | None = None,
    empty: Empty = 0.0,
) -> Tensor:
    r"""F-score of each pair of clouds [B], in [0, 1]: 2 P R / (P + R).

    The precision P is the fraction (of the weight) of x that lies within ``threshold`` of y, the
    recall R the fraction of y that lies within it of x (Tatarchenko et al. 2019, arXiv:1905.03678).
    Two empty clouds agree: 1. No gradient.

    Args:
        threshold: Largest distance, included.

    The other arguments and the errors are those of :func:`chamfer`.
    """
    if not threshold >= 0:
        raise ArgumentError(f"threshold: got {threshold}, expected a distance >= 0")
    lengths = check_points(x, y, ptr_x, ptr_y, period)
    pair = _Side.of("x", x.detach(), ptr_x, weight_x), _Side.of("y", y.detach(), ptr_y, weight_y)
    parts = []
    for source, target in (pair, pair[::-1]):
        squared, _ = _to_nearest(source, target, lengths)
        parts.append(source.reduce((squared <= threshold**2).to(squared.dtype), "mean").detach())
    precision, recall = parts
    score = 2 * precision * recall / (precision + recall).clamp(min=1e-30)
    score = torch.where(pair[0].occupied | pair[1].occupied, score, 1.0)
    return _where_paired(score, *pair, empty, both_empty=1.0)


class _Side(NamedTuple):
    """One set of clouds: points [N, D], the cloud of each, weights [N], and sums of weights [B]."""

    points: Tensor
    ptr: Tensor
    owner: Tensor
    weight: Tensor | None
    total: Tensor

    @staticmethod
    def of(name: str, points: Tensor, ptr: Tensor, weight: Tensor | None = None) -> _Side:
        half = points.dtype in (torch.float16, torch.bfloat16)
        points = points.float() if half else points
        if weight is None:
            total = (ptr[1:] - ptr[:-1]).to(points.dtype)
        else:
            weight = _check_weight(name, weight, points)
            total = segment_sum(weight, ptr)
        return _Side(points, ptr, owners(ptr, len(points)), weight, total)

    @property
    def occupied(self) -> Tensor:
        """Which clouds have weight [B]."""
        return self.total > 0

    def reduce(self, value: Tensor, reduction: Reduction) -> Tensor:
        """Weighted mean or sum over the points of each cloud [B]; 0 for an empty one."""
        total = segment_sum(value if self.weight is None else value * self.weight, self.ptr)
        return total if reduction == "sum" else total / torch.where(self.occupied, self.total, 1)


def _to_nearest(source: _Side, target: _Side, period: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Squared distance [N] of each source point to its nearest target, and the target's row [N].

    Where the cloud has no target, both are 0 and mean nothing: the cloud's value is replaced.
    """
    points, others = source.points, target.points
    if len(others) == 0:
        return points.sum(1) * 0, torch.zeros_like(source.owner)
    index = search(points.detach(), others.detach(), source.ptr, target.ptr, 1, period)[:, 0]
    index = index.clamp(min=0)
    return square(points - others[index], period), index


def _root(squared: Tensor) -> Tensor:
    """Square root with gradient 0 at 0."""
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)


def _where_paired(
    value: Tensor, x: _Side, y: _Side, empty: Empty, *, both_empty: float = 0.0
) -> Tensor:
    """``value`` where both clouds have points, and what is agreed upon where not [B]."""
    alone = x.occupied != y.occupied
    fill = _check_empty(alone, empty)
    neither = torch.where(alone, fill, both_empty).to(value.dtype)
    return torch.where(x.occupied & y.occupied, value, neither)


def _check_empty(alone: Tensor, empty: Empty) -> float:
    if empty == "nan":
        return float("nan")
    if isinstance(empty, (int, float)):
        return float(empty)
    if empty != "raise":
        raise ArgumentError(f"empty: got {empty!r}, expected 'raise', 'nan' or a number")
    if not torch.compiler.is_compiling() and bool(alone.any()):
        raise DataError(
            f"pair {int(alone.nonzero()[0])}: one cloud is empty and the other is not, "
            "expected points (and weight) in both; or pass empty='nan' or a value"
        )
    return float("nan")


def _check_option(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ArgumentError(f"{name}: got {value!r}, expected one of {', '.join(choices)}")


def _check_weight(name: str, weight: Tensor, points: Tensor) -> Tensor:
    shape, device = (len(points),), points.device
    if weight.shape != shape or weight.device != device or not weight.is_floating_point():
        raise ArgumentError(
            f"weight_{name}: got {weight.dtype} {tuple(weight.shape)} on {weight.device}, "
            f"expected a float tensor {shape} on {device}"
        )
    if not torch.compiler.is_compiling():
        bad = ~((weight >= 0) & weight.isfinite())
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise DataError(
                f"weight_{name}: row {row} is {weight[row].item()}, expected a finite number >= 0"
            )
    return weight.to(points.dtype)
