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
from pcgen.ops.segments import check_pointer, check_pointer_type, owners

LARGEST = 2**62
"""Keys stay below this, so that sums of keys and steps do too."""


@dataclass(frozen=True, eq=False)
class Sites:
    """The active sites of B events, and the rulebooks that layers have built on them.

    Made by :func:`active_sites`; layers that share the object share the rulebooks.

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
        check_size(self.events, [s + g for s, g in zip(self.shape, gap, strict=True)])
        return torch.as_tensor(_keys(_host(self.owner), _host(self.cell), self.shape, gap))

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
    owner = _owners(ptr, len(cell))
    _check_range(cell, owner, shape)
    numbers = _keys(_host(owner), _host(cell), shape, [0] * len(shape))
    order = None
    if not bool((numbers[1:] > numbers[:-1]).all()):
        key, order = torch.as_tensor(numbers).sort()
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


def _host(value: Tensor) -> Any:
    """As an array of NumPy where it can be one: its operations have the smaller overhead."""
    return value.numpy() if value.device.type == "cpu" else value


def _owners(ptr: Tensor, rows: int) -> Tensor:
    if ptr.device.type != "cpu":
        return owners(ptr, rows)
    return torch.from_numpy(np.repeat(np.arange(len(ptr) - 1), np.diff(ptr.numpy())))


def _keys(owner: Any, cell: Any, shape: Sequence[int], gap: Sequence[int]) -> Any:
    """Of arrays or tensors alike."""
    key = owner
    for axis, (size, space) in enumerate(zip(shape, gap, strict=True)):
        key = key * (size + space) + cell[:, axis]
    return key


def _check_range(cell: Tensor, owner: Tensor, shape: tuple[int, ...]) -> None:
    limit = torch.tensor(shape, device=cell.device)
    rows, ends = _host(cell), _host(limit)
    if bool(((rows < 0) | (rows >= ends)).any()):
        row = int(((cell < 0) | (cell >= limit)).any(1).nonzero()[0])
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
