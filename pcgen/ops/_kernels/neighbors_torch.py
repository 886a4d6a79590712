r"""Neighbour search in plain torch: the reference of every other search, on any device.

Distances are taken in float64, axis after axis, as :mod:`pcgen.ops.points` defines them. Queries go
in chunks, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pcgen.ops.points import wrap
from pcgen.ops.ragged import owners

PAIRS = 1 << 21
"""Pairs that are looked at in one go."""


def search(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    """Rows of the k nearest y in the same cloud [N, k], nearest first, -1 where there are fewer.

    Ties go to the lowest row. Arguments as in :func:`pcgen.ops.neighbors.knn`, period 0 for a line.
    """
    found = torch.full((len(x), k), -1, dtype=torch.long, device=x.device)
    for rows, columns, squared in _chunks(x, y, ptr_x, ptr_y, period):
        if k == 1:
            best, order = squared.min(1, keepdim=True)
        else:
            best, order = squared.sort(dim=1, stable=True)
        order, best = order[:, :k], best[:, :k]
        index = torch.where(best.isinf(), -1, columns.gather(1, order))
        found[rows, : index.shape[1]] = index
    return found


def within(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, r: float, period: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Pairs with s(x, y) <= r²: rows of x and rows of y, both ascending [E], [E]."""
    pairs = [(torch.empty(0, dtype=torch.long, device=x.device),) * 2]
    for rows, columns, squared in _chunks(x, y, ptr_x, ptr_y, period):
        row, column = (squared <= r * r).nonzero(as_tuple=True)
        pairs.append((row + rows.start, columns[row, column]))
    first, second = zip(*pairs, strict=True)
    return torch.cat(first), torch.cat(second)


def farthest(
    pos: Tensor, ptr: Tensor, start: Tensor, ptr_out: Tensor, period: Sequence[float]
) -> Tensor:
    """Farthest-point sampling [S]: see :func:`pcgen.ops.sampling.farthest_points`.

    One step for all clouds at once. ``start`` [B] is the first row chosen in each cloud.
    """
    number = len(ptr) - 1
    sizes = ptr_out[1:] - ptr_out[:-1]
    chosen = torch.zeros(int(ptr_out[-1]), dtype=torch.long, device=pos.device)
    place, present = _columns(ptr, torch.arange(number, device=ptr.device))
    if not chosen.numel():
        return chosen
    axes = pos.double()
    gap = torch.where(present, torch.inf, -1.0).double()
    current = start.clamp(max=len(pos) - 1)
    for step in range(int(sizes.max())):
        live = sizes > step
        chosen[ptr_out[:-1][live] + step] = current[live]
        gap = torch.minimum(gap, _squared(axes[current], axes, place, period))
        gap.scatter_(1, (current - ptr[:-1]).clamp(min=0)[:, None], -1.0)  # each row once
        current = place.gather(1, gap.argmax(1, keepdim=True)).squeeze(1)
    return chosen


def _chunks(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, period: Sequence[float]
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows of x, their candidate rows of y [R, m] and squared distances [R, m] (inf: no pair)."""
    owner, wide = owners(ptr_x, len(x)), y.double()
    longest = int((ptr_y[1:] - ptr_y[:-1]).max()) if len(ptr_y) > 1 else 0
    if longest == 0:
        return
    step = max(PAIRS // longest, 1)
    for begin in range(0, len(x), step):
        rows = slice(begin, min(begin + step, len(x)))
        columns, present = _columns(ptr_y, owner[rows])
        squared = _squared(x[rows].double(), wide, columns, period)
        yield rows, columns, torch.where(present, squared, torch.inf)


def _columns(ptr: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the segments in ``owner`` [R], padded to [R, m], and where one stands."""
    sizes = ptr[1:] - ptr[:-1]
    longest = int(sizes.max()) if len(sizes) else 0
    step = torch.arange(longest, device=ptr.device)
    present = step < sizes[owner][:, None]
    return torch.where(present, ptr[owner][:, None] + step, 0), present


def _squared(x: Tensor, y: Tensor, columns: Tensor, period: Sequence[float]) -> Tensor:
    """Squared distances of x [R, D] to the rows ``columns`` [R, m] of y."""
    total = x.new_zeros(columns.shape)
    for axis, length in enumerate(period):
        difference = wrap(x[:, axis, None] - y[:, axis][columns], length)
        total = total + difference * difference
    return total
