"""Two sides of B clouds: what every distance between clouds takes, checked once.

A side is rows [N, D] with a pointer [B+1], one cloud [N, D], or clouds of equal size [B, N, D].
Cloud b of x belongs to cloud b of y; the two may have different numbers of points, empty ones too.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.points import Period, check_points
from pcgen.ops.ragged import check_tensors, owners
from pcgen.ops.segments import sum_by

Empty = float | Literal["raise", "nan"]
"""Value of a pair of which one cloud is empty: an error, NaN or a number."""


class Sides(NamedTuple):
    """Both sides of B pairs of weighted clouds.

    Attributes:
        x, y: Points [N, D], [M, D].
        ptr_x, ptr_y: First row of each cloud, and N or M [B+1].
        owner_x, owner_y: Cloud of each row [N], [M].
        weight_x, weight_y: [N], [M], >= 0, of the dtype of the points.
        period: Period of each axis, 0 for a line.
    """

    x: Tensor
    y: Tensor
    ptr_x: Tensor
    ptr_y: Tensor
    owner_x: Tensor
    owner_y: Tensor
    weight_x: Tensor
    weight_y: Tensor
    period: tuple[float, ...]

    @property
    def number(self) -> int:
        """B."""
        return len(self.ptr_x) - 1

    def totals(self) -> tuple[Tensor, Tensor]:
        """Sums of the weights of x and of y [B], float64, without gradient."""
        return (
            sum_by(self.weight_x.detach().double(), self.owner_x, self.number),
            sum_by(self.weight_y.detach().double(), self.owner_y, self.number),
        )

    def occupied(self) -> tuple[Tensor, Tensor]:
        """Which clouds of x and of y have weight [B]."""
        total_x, total_y = self.totals()
        return total_x > 0, total_y > 0


def check_sides(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None,
    ptr_y: Tensor | None,
    weight_x: Tensor | None,
    weight_y: Tensor | None,
    period: Period | None,
    *,
    normalized: bool = True,
) -> Sides:
    """Both sides as rows, in float32 at least.

    Args:
        x, y: Points.
        ptr_x, ptr_y: Their pointers.
        weight_x, weight_y: Weights of the points, in the shape of the side.
        period: Per axis the period, None for a line.
        normalized: Absent weights are 1/n, so that those of a cloud sum to 1; otherwise 1.

    Raises:
        ArgumentError: a shape, dtype, device, pointer or period does not fit.
        DataError: a coordinate is not finite, or a weight is not a finite number >= 0.
    """
    x, ptr_x, weight_x = as_rows("x", x, ptr_x, weight_x)
    y, ptr_y, weight_y = as_rows("y", y, ptr_y, weight_y)
    lengths = tuple(check_points(x, y, ptr_x, ptr_y, period))
    if x.dtype in (torch.float16, torch.bfloat16):
        x, y = x.float(), y.float()
    owner_x, owner_y = owners(ptr_x, len(x)), owners(ptr_y, len(y))
    weight_x = _weights("x", weight_x, x, ptr_x, owner_x, normalized)
    weight_y = _weights("y", weight_y, y, ptr_y, owner_y, normalized)
    return Sides(x, y, ptr_x, ptr_y, owner_x, owner_y, weight_x, weight_y, lengths)


def as_rows(
    name: str, points: Tensor, ptr: Tensor | None, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Points [N, D], pointer [B+1] and weights [N] of one side, which is ``name`` in errors.

    >>> points, ptr, _ = as_rows("x", torch.zeros(2, 3, 4), None, None)
    >>> points.shape, ptr.tolist()
    (torch.Size([6, 4]), [0, 3, 6])
    """
    check_tensors(**{name: points, f"ptr_{name}": ptr, f"weight_{name}": weight})
    if ptr is not None:
        return points, ptr, weight
    if points.dim() == 2:
        return points, torch.tensor([0, len(points)], device=points.device), weight
    if points.dim() != 3:
        raise ArgumentError(
            f"{name}: got the shape {tuple(points.shape)}, expected rows [N, D] or clouds of equal "
            "size [B, N, D]"
        )
    batch, size = points.shape[:2]
    if weight is not None:
        if weight.shape != (batch, size):
            raise ArgumentError(
                f"weight_{name}: got the shape {tuple(weight.shape)}, expected "
                f"{(batch, size)}, that of the clouds in {name}"
            )
        weight = weight.reshape(-1)
    ptr = torch.arange(batch + 1, device=points.device) * size
    return points.reshape(batch * size, points.shape[2]), ptr, weight


def _weights(
    side: str,
    weight: Tensor | None,
    points: Tensor,
    ptr: Tensor,
    owner: Tensor,
    normalized: bool,
) -> Tensor:
    if weight is None and not normalized:
        return points.new_ones(len(points))
    if weight is None:
        return (1.0 / (ptr[1:] - ptr[:-1]).to(points.dtype))[owner]
    shape, device = (len(points),), points.device
    if weight.shape != shape or weight.device != device or not weight.is_floating_point():
        raise ArgumentError(
            f"weight_{side}: got {weight.dtype} {tuple(weight.shape)} on {weight.device}, "
            f"expected a float tensor {shape} on {device}"
        )
    if not torch.compiler.is_compiling():
        good = (weight >= 0) & weight.isfinite()
        if not bool(good.all()):
            row = int((~good).nonzero()[0])
            raise DataError(
                f"weight_{side}: row {row} is {weight[row].item()}, expected a finite number >= 0"
            )
    return weight.to(points.dtype)


def check_totals(sides: Sides) -> None:
    """Refuse pairs whose totals differ by more than the dtype explains; empty clouds pass.

    Raises:
        DataError: naming the first such pair.
    """
    total_x, total_y = sides.totals()
    tolerance = torch.finfo(sides.x.dtype).eps ** 0.5 * total_x.maximum(total_y)
    wrong = (total_x > 0) & (total_y > 0) & ((total_x - total_y).abs() > tolerance)
    if bool(wrong.any()):
        b = int(wrong.nonzero()[0])
        raise DataError(
            f"pair {b}: the weights sum to {float(total_x[b]):.9g} and {float(total_y[b]):.9g}, "
            "expected equal totals; normalise them or use an unbalanced distance"
        )


def check_empty(empty: Empty) -> None:
    """Refuse what is no value for a pair with one empty cloud.

    Raises:
        ArgumentError: ``empty`` is not "raise", "nan" or a number.
    """
    if not isinstance(empty, (int, float)) and empty not in ("raise", "nan"):
        raise ArgumentError(f"empty: got {empty!r}, expected 'raise', 'nan' or a number")


def fill_empty(value: Tensor, sides: Sides, empty: Empty, *, neither: float = 0.0) -> Tensor:
    """``value`` [B]; ``empty`` where one cloud alone has weight, ``neither`` where none has.

    Raises:
        ArgumentError: ``empty`` is not "raise", "nan" or a number.
        DataError: one cloud of a pair alone has weight and ``empty`` is "raise".
    """
    check_empty(empty)
    some_x, some_y = sides.occupied()
    both, alone = some_x & some_y, some_x != some_y
    compiling = torch.compiler.is_compiling()
    if value.device.type == "cpu" and not compiling and bool(both.all()):
        return value  # nothing to replace; a GPU would have to wait for the answer
    if empty == "raise" and not compiling and bool(alone.any()):
        raise DataError(
            f"pair {int(alone.nonzero()[0])}: one cloud is empty and the other is not, "
            "expected points (and weight) in both; or pass empty='nan' or a value"
        )
    number = float("nan") if isinstance(empty, str) else float(empty)
    return torch.where(both, value, torch.where(alone, number, neither).to(value.dtype))
