r"""Rows of segments: whose they are, which to take, and their rectangle where one is needed.

N rows belong to B segments, one after the other; a pointer [B+1] gives the first row of each, and
N. A :class:`~pcgen.ops.padding.Padding` in its place stands for padded rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.padding import Padding

Pointer = Tensor | Padding
"""First row of each segment and the number of rows [B+1], or where padded rows hold a point."""

# Rows from which compiled loops number and copy segments; they are not loaded for a few.
MANY = 50_000
_COPIED = (torch.float32, torch.float64, torch.long)


def check_pointer(ptr: Tensor, rows: int, name: str = "ptr") -> None:
    """Refuse a pointer that does not divide ``rows`` rows.

    Under ``torch.compile`` the values cannot be looked at; the shape and dtype still are.

    Raises:
        ArgumentError: ``ptr`` is not int64 [B+1] or does not ascend from 0 to ``rows``.
    """
    check_pointer_type(ptr, name)
    if torch.compiler.is_compiling():
        return
    if ptr.device.type == "cpu":  # NumPy has the smaller overhead
        values = ptr.numpy()
        wrong = values[0] != 0 or values[-1] != rows or bool((values[1:] < values[:-1]).any())
    else:
        wrong = bool(wrong_pointer(ptr, rows))
    if wrong:
        raise ArgumentError(
            f"{name}: got a pointer from {int(ptr[0])} to {int(ptr[-1])}, "
            f"expected one that ascends from 0 to the {rows} rows"
        )


def check_tensors(**arguments: object) -> None:
    """Refuse arguments that are no tensors, arrays and lists say; those that are None pass.

    Raises:
        ArgumentError: naming the first one.

    >>> check_tensors(x=[[0.0, 1.0]])
    Traceback (most recent call last):
    pcgen.errors.ArgumentError: x: got list, expected a tensor: torch.as_tensor makes one
    """
    for name, value in arguments.items():
        if value is not None and not isinstance(value, Tensor):
            kind = type(value).__name__
            raise ArgumentError(f"{name}: got {kind}, expected a tensor: torch.as_tensor makes one")


def check_pointer_type(ptr: Tensor, name: str = "ptr") -> None:
    """Refuse a pointer that is not int64 [B+1]."""
    check_tensors(**{name: ptr})
    if ptr.dtype != torch.long or ptr.dim() != 1 or len(ptr) == 0:
        raise ArgumentError(f"{name}: got {ptr.dtype} {tuple(ptr.shape)}, expected int64 [B+1]")


def wrong_pointer(ptr: Tensor, rows: int) -> Tensor:
    """Whether the pointer does not divide ``rows`` rows, on its device and without waiting."""
    return (ptr[1:] < ptr[:-1]).any() | (ptr[0] != 0) | (ptr[-1] != rows)


def owners(ptr: Pointer, rows: int) -> Tensor:
    """Segment of each row [N].

    >>> owners(torch.tensor([0, 1, 1, 3]), 3).tolist()
    [0, 2, 2]
    """
    if isinstance(ptr, Padding):
        return ptr.owner
    if rows >= MANY and ptr.device.type == "cpu" and not torch.compiler.is_compiling():
        from pcgen.ops._kernels.runs_compiled import numbered

        return numbered(ptr, rows)
    # repeat_interleave would wake all threads however small the work: 5 ms on a busy machine.
    borders = ptr[1:-1]
    steps = ptr.new_zeros(rows + 1).index_add(0, borders, torch.ones_like(borders))
    return steps.cumsum(0)[:rows]


def take(
    values: Sequence[Tensor], ptr: Tensor, index: Tensor
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Rows of some segments, one segment after the other.

    Args:
        values: Rows, each [N, ...].
        ptr: First row of each segment [B+1].
        index: Numbers of segments [S], 0 to B - 1, in any order, repeats allowed.

    Returns:
        Rows, each [M, ...], differentiable in those that are given; their pointer [S+1] and their
        owners [M].

    >>> take([torch.tensor([1, 2, 3])], torch.tensor([0, 1, 3]), torch.tensor([1, 0]))
    ([tensor([2, 3, 1])], tensor([0, 2, 3]), tensor([0, 0, 1]))
    """
    many = bool(values) and len(values[0]) >= MANY
    if many and all(_may_copy(value) for value in (*values, ptr, index)):
        from pcgen.ops._kernels.runs_compiled import taken

        return taken(values, ptr, index)
    start, end = ptr[:-1][index], lengths(ptr)[index].cumsum(0)
    chosen = torch.nn.functional.pad(end, (1, 0))
    number = int(chosen[-1])
    owner = owners(chosen, number)
    rows = torch.arange(number, device=ptr.device) + (start - chosen[:-1])[owner]
    return [value[rows] for value in values], chosen, owner


def _may_copy(value: Tensor) -> bool:
    """Whether compiled loops may read this tensor."""
    if value.device.type != "cpu" or value.requires_grad or not value.is_contiguous():
        return False
    return value.dtype in _COPIED and not torch.compiler.is_compiling()


def pointer_of(batch: Tensor, number: int, name: str = "batch") -> Tensor:
    """First row of each of ``number`` segments, and the number of rows [B+1].

    Args:
        batch: Segment of each row [N], int64, ascending.
        number: B.
        name: Of the argument, for errors.

    Raises:
        ArgumentError: ``batch`` is no int64 vector, does not ascend or leaves 0 to B - 1.

    >>> pointer_of(torch.tensor([0, 2, 2]), 4).tolist()
    [0, 1, 1, 3, 3]
    """
    if batch.dtype != torch.long or batch.dim() != 1:
        raise ArgumentError(f"{name}: got {batch.dtype} {tuple(batch.shape)}, expected int64 [N]")
    if not torch.compiler.is_compiling() and len(batch):
        low, high = int(batch[0]), int(batch[-1])
        if low < 0 or high >= number or bool((batch[1:] < batch[:-1]).any()):
            raise ArgumentError(
                f"{name}: got clouds from {low} to {high}, expected ascending ones from 0 to "
                f"{number - 1}"
            )
    sizes = batch.new_zeros(number).index_add(0, batch, torch.ones_like(batch))
    return torch.nn.functional.pad(sizes.cumsum(0), (1, 0))


def lengths(ptr: Pointer) -> Tensor:
    """Number of rows of each segment [B].

    >>> lengths(torch.tensor([0, 1, 1, 3])).tolist()
    [1, 0, 2]
    """
    return ptr.lengths if isinstance(ptr, Padding) else ptr.diff()


def places(ptr: Pointer, rows: int) -> Tensor:
    """Place of each row in its segment [N], from 0.

    >>> places(torch.tensor([0, 1, 1, 3]), 3).tolist()
    [0, 0, 1]
    """
    if isinstance(ptr, Padding):
        return ptr.place
    return torch.arange(rows, device=ptr.device) - ptr[owners(ptr, rows)]


def arange_ragged(start: Tensor, length: Tensor) -> Tensor:
    """Concatenation of ``arange(start_b, start_b + length_b)`` over b.

    >>> arange_ragged(torch.tensor([5, 0]), torch.tensor([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    end = torch.nn.functional.pad(length.cumsum(0), (1, 0))
    owner = owners(end, int(end[-1]))
    return torch.arange(len(owner), device=length.device) + (start - end[:-1])[owner]


def to_dense(value: Tensor, ptr: Pointer, *, fill: float = 0.0) -> tuple[Tensor, Tensor]:
    """Pad ragged rows to a rectangle, for layers that cannot do without one.

    Args:
        value: [N, ...].
        ptr: [B+1]; padded rows stay where they are.
        fill: Value of the padding.

    Returns:
        Padded [B, n_max, ...] and a mask [B, n_max], true where a point stands.
    """
    if isinstance(ptr, Padding):
        return ptr.dense(value, fill), ptr.present
    length = ptr[1:] - ptr[:-1]
    longest = int(length.max()) if len(length) else 0
    present = torch.arange(longest, device=ptr.device) < length[:, None]
    dense = value.new_full((len(length), longest, *value.shape[1:]), fill)
    dense[present] = value
    return dense, present


def to_rows(dense: Tensor, present: Tensor, ptr: Pointer) -> Tensor:
    """Rows [N, ...] of the result [B, n_max, ...] of :func:`to_dense` for this pointer."""
    return dense.flatten(0, 1) if isinstance(ptr, Padding) else dense[present]


def from_dense(value: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse of :func:`to_dense`: rows [N, ...] and sizes [B]."""
    return value[present], present.sum(1)
