r"""Active sites: the cells of a lattice that hold something, event by event.

B events share a lattice of ``shape`` :math:`S_1 \times \dots \times S_D`, D = 1 to 4. Event b has
the sites ``cell[ptr[b]:ptr[b + 1]]``, each named by one integer,

.. math:: \mathrm{key} = (\dots((b\,(S_1 + g_1) + c_1)(S_2 + g_2) + c_2)\dots) + c_D,

and sites are kept sorted by it. A gap :math:`g_d \ge 0` of empty cells behind each axis lets a step
of at most :math:`g_d` be added to keys without reaching around into the next row or event; it does
not change the order. So a neighbour is found by adding a number and searching.

An *active* cell is one where the detector saw something; the others were looked at and are empty.
(Cells that could not be looked at are *unobserved*, which is another matter.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.ragged import check_pointer, check_pointer_type, owners

LARGEST = 2**62
"""Keys stay below this, so that sums of keys and steps do too."""


@dataclass(frozen=True, eq=False)
class Sites:
    """The active sites of B events, and the rulebooks that layers have built on them.

    Built by :func:`active_sites`; layers that share the object share the rulebooks.

    Attributes:
        cell: Integer coordinates [N, D], sorted by event and then row-major.
        ptr: First site of each event, and N [B+1].
        shape: Cells along each axis.
        owner: Event of each site [N].
        order: Which of the rows given each site is [N]; None where they came sorted.
        rulebooks: What has been built, by kind, kernel, stride and padding.
    """

    cell: Tensor
    ptr: Tensor
    shape: tuple[int, ...]
    owner: Tensor
    order: Tensor | None = None
    rulebooks: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.cell)

    @property
    def events(self) -> int:
        """Number of events B, empty ones included."""
        return len(self.ptr) - 1

    def keys(self, gap: Sequence[int]) -> Tensor:
        """Ascending integers that name the sites [N], with a gap behind each axis."""
        width = [s + g for s, g in zip(self.shape, gap, strict=True)]
        check_size(self.events, width)
        return _number(self.cell, self.ptr, self.shape, width)[1]

    def sort(self, value: Tensor) -> Tensor:
        """Rows [N, ...] in the order of the cells given -> in the order of the sites."""
        return value if self.order is None else value[self.order]

    def unsort(self, value: Tensor) -> Tensor:
        """Inverse of :meth:`sort`."""
        return value if self.order is None else value[self.order.argsort()]


def active_sites(cell: Tensor, ptr: Tensor, shape: Sequence[int]) -> Sites:
    """Check and sort the active sites of B events.

    Args:
        cell: Integer coordinates [N, D], D = 1 to 4, event after event; in any order within one.
        ptr: First row of each event, and N [B+1].
        shape: Cells along each of the D axes.

    Raises:
        ArgumentError: shapes, dtypes or the pointer do not fit.
        DataError: a coordinate is outside the lattice, or an event has a site twice; names the row.

    >>> cell, ptr = torch.tensor([[2, 0], [0, 1], [1, 1]]), torch.tensor([0, 2, 3])
    >>> sites = active_sites(cell, ptr, (3, 2))
    >>> sites.cell.tolist(), sites.order.tolist()
    ([[0, 1], [2, 0], [1, 1]], [1, 0, 2])
    """
    shape = tuple(int(s) for s in shape)
    if not 1 <= len(shape) <= 4 or min(shape) < 1:
        raise ArgumentError(f"shape: got {shape}, expected 1 to 4 positive numbers")
    if cell.dtype != torch.long or cell.dim() != 2 or cell.shape[1] != len(shape):
        raise ArgumentError(
            f"cell: got {cell.dtype} {tuple(cell.shape)}, expected int64 [N, {len(shape)}]"
        )
    check_pointer_type(ptr)
    if cell.device != ptr.device:
        raise ArgumentError(f"ptr: got {ptr.device}, expected {cell.device} like cell")
    check_pointer(ptr, len(cell))
    check_size(len(ptr) - 1, shape)
    owner, key, fine = _number(cell, ptr, shape, shape)
    order = None
    if not fine:
        _check_range(cell, owner, shape)
        key, order = key.sort()
        _check_twice(key, order, cell, owner)
        cell = cell[order]  # the owners stay: sorting moves no row to another event
    return Sites(cell, ptr, shape, owner, order)


def sites_of_keys(key: Tensor, events: int, shape: Sequence[int]) -> Sites:
    """Sites from ascending keys [N] without gaps."""
    axes, rest = [], key
    for size in reversed(shape):
        axes.append(rest % size)
        rest = torch.div(rest, size, rounding_mode="floor")
    cell = torch.stack(axes[::-1], 1)
    first = torch.arange(events + 1, device=key.device)
    return Sites(cell, torch.searchsorted(rest, first), tuple(shape), rest)


def check_size(events: int, shape: Sequence[int]) -> None:
    """Refuse lattices whose cells cannot be numbered."""
    if max(events, 1) * math.prod(shape) >= LARGEST:
        raise ArgumentError(f"shape: got {events} events of {tuple(shape)}, expected < 2^62 cells")


Numbers = tuple[Tensor, Tensor, bool]
"""Event [N] and key [N] of each cell; whether all are in the lattice and their keys ascend."""


def number(cell: Tensor, ptr: Tensor, shape: Sequence[int], width: Sequence[int]) -> Numbers:
    """Number cells [N, D] of a lattice, with ``width`` numbers along each axis."""
    owner = owners(ptr, len(cell))
    key = owner
    for axis, size in enumerate(width):
        key = key * size + cell[:, axis]
    return owner, key, bool(_inside(cell, shape).all() & (key[1:] > key[:-1]).all())


def _number(cell: Tensor, ptr: Tensor, shape: Sequence[int], width: Sequence[int]) -> Numbers:
    if cell.device.type != "cpu":
        return number(cell, ptr, shape, width)
    # One loop: the overhead of an operation is larger than all numbers of a batch.
    from pcgen.ops._kernels.lattice_compiled import number as compiled

    owner, key = (np.empty(len(cell), dtype=np.int64) for _ in range(2))
    given = (cell.contiguous().numpy(), ptr.contiguous().numpy(), np.array(shape), np.array(width))
    fine = compiled(*given, owner, key)
    return torch.from_numpy(owner), torch.from_numpy(key), fine


def _inside(cell: Tensor, shape: Sequence[int]) -> Tensor:
    return (cell >= 0) & (cell < torch.tensor(shape, device=cell.device))


def _check_range(cell: Tensor, owner: Tensor, shape: tuple[int, ...]) -> None:
    outside = ~_inside(cell, shape).all(1)
    if bool(outside.any()):
        row = int(outside.nonzero()[0])
        raise DataError(
            f"cell: row {row} (event {int(owner[row])}) is {tuple(cell[row].tolist())}, "
            f"expected coordinates from 0 and below {shape}"
        )


def _check_twice(key: Tensor, order: Tensor, cell: Tensor, owner: Tensor) -> None:
    twice = key[1:] == key[:-1]
    if bool(twice.any()):
        place = int(twice.nonzero()[0])
        one, other = sorted(order[place : place + 2].tolist())
        raise DataError(
            f"cell: rows {one} and {other} (event {int(owner[one])}) are both "
            f"{tuple(cell[one].tolist())}, expected each active site once"
        )
