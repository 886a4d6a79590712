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

from functools import partial

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels.chamfer_fast import fast
from pcgen.ops._kernels.matches import Direction, Match, Reduction, match
from pcgen.ops.floats import check_range, watched
from pcgen.ops.points import Period
from pcgen.ops.segments import sum_by
from pcgen.ops.sides import Empty, Sides, as_rows, check_empty, check_sides, fill_empty

__all__ = [
    "Direction",
    "Empty",
    "Period",
    "Reduction",
    "achlioptas",
    "chamfer",
    "density_aware",
    "f_score",
    "kaolin",
    "open3d",
    "pointflow",
    "pytorch3d",
]


def chamfer(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    *,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    squared: bool = True,
    reduction: Reduction = "mean",
    sides: Direction = "both",
    period: Period | None = None,
    empty: Empty = "raise",
) -> Tensor:
    """Chamfer distance of each pair of clouds [B].

    Args:
        x: Points of all clouds [N, D] with ``ptr_x``, of one cloud without it, or dense [B, N, D].
        y: Likewise [M, D] or [B, M, D].
        ptr_x: First row of each cloud in x, and N [B+1].
        ptr_y: First row of each cloud in y, and M [B+1].
        weight_x: Weights of the points of x [N] or [B, N], >= 0; they weigh the mean or sum over x.
            A point of weight 0 may still be somebody's nearest neighbour.
        weight_y: Weights of the points of y [M] or [B, M].
        squared: Squared distances, or distances (whose gradient between coincident points is 0).
        reduction: Over the points of a side: "mean" is Σ w d / Σ w, "sum" is Σ w d.
        sides: "x" takes the points of x to their nearest y, "y" the reverse, "both" the sum.
        period: Per axis the period, None for a line.
        empty: Value where one cloud is empty (no point, or total weight 0) and the other is not;
            "raise" refuses it. Where both are empty the distance is 0.

    Raises:
        ArgumentError: shapes, dtypes, devices, pointers or options do not fit.
        DataError: a coordinate or weight is not finite, a weight is negative, one cloud of a pair
            is empty and ``empty`` is "raise", or a distance is beyond the type of the coordinates.

    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]])
    >>> chamfer(x, y, torch.tensor([0, 2]), torch.tensor([0, 1])).item()  # (9 + 4) / 2 + 4
    10.5
    >>> chamfer(torch.zeros(4, 3, 2), torch.ones(4, 5, 2)).tolist()  # 2 + 2, dense
    [4.0, 4.0, 4.0, 4.0]
    """
    _check_option("reduction", reduction, ("mean", "sum"))
    _check_option("sides", sides, ("both", "x", "y"))
    check_empty(empty)
    x, ptr_x, weight_x = as_rows("x", x, ptr_x, weight_x)
    y, ptr_y, weight_y = as_rows("y", y, ptr_y, weight_y)

    def plain(x: Tensor, y: Tensor, weight_x: Tensor | None, weight_y: Tensor | None) -> Tensor:
        given = check_sides(x, y, ptr_x, ptr_y, weight_x, weight_y, period, normalized=False)
        return _chamfer(given, squared, reduction, sides, empty)

    options = squared, reduction == "mean", (sides != "y", sides != "x")
    value = fast(x, y, ptr_x, ptr_y, weight_x, weight_y, period, options, plain)
    return plain(x, y, weight_x, weight_y) if value is None else value


def _chamfer(
    given: Sides, squared: bool, reduction: Reduction, sides: Direction, empty: Empty
) -> Tensor:
    """The plain form, for any device, size and derivative."""
    found = match(given, sides)
    value = found.reduce(found.squared if squared else found.distance, reduction)
    value = value.sum(0) if sides == "both" else value[int(sides == "y")]
    if watched(value) and not bool((value.detach().isfinite() & (value.detach() > 0)).all()):
        _check_range(value, given, found)
    return fill_empty(value, given, empty)


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
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
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
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
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
    given = check_sides(x, y, ptr_x, ptr_y, None, None, period, normalized=False)
    found = match(given)
    size = found.total().view(2, -1)
    ratio = (size / size.flip(0).clamp(min=1)).flatten()
    has_nearest = (size.flip(0) > 0).flatten()[found.owner].long()
    count = torch.zeros_like(has_nearest).index_add(0, found.row, has_nearest)
    share = ratio[found.owner] / count[found.row].clamp(min=1)
    value = found.reduce(1 - share * (-alpha * found.squared).exp(), "mean")
    return fill_empty(value.mean(0), given, empty)


def f_score(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
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
    x, y = x.detach(), y.detach()
    given = check_sides(x, y, ptr_x, ptr_y, weight_x, weight_y, period, normalized=False)
    found = match(given)
    near = found.squared <= threshold * threshold
    if not 1e-30 < threshold < 1e15:  # a square may leave the type
        near = found.distance <= threshold
    precision, recall = found.reduce(near.to(found.squared.dtype), "mean").detach()
    score = 2 * precision * recall / (precision + recall).clamp(min=1e-30)
    return fill_empty(score, given, empty, neither=1.0)


def _check_option(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ArgumentError(f"{name}: got {value!r}, expected one of {', '.join(choices)}")


def _check_range(value: Tensor, given: Sides, found: Match) -> None:
    """Refuse distances [B] that are no longer 0, or finite, in a wider type."""
    apart = found.step.detach().abs().amax(1) * (found.weight.detach() > 0)
    true = sum_by((apart > 0).to(value.dtype), found.owner, 2 * given.number)
    both = torch.stack(given.occupied()).all(0)
    check_range(torch.where(both, value, 0), both * true.view(2, -1).sum(0), "distance")
