"""The lattice of an image: how it is halved, and where its cells are.

An axis of S cells is halved to S / 2, or to (S + 1) / 2 where S is odd, with one cell of padding at
both ends; every cell is in exactly one window, and doubling leads back to exactly S.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pcgen.errors import ArgumentError

COARSEST = 4
"""Cells along the longest axis of the last level, about."""


def level_shapes(shape: Sequence[int], levels: int | None = None) -> list[tuple[int, ...]]:
    """Shapes of the lattice and of its halvings.

    Args:
        shape: Cells along each axis.
        levels: Number of halvings; None for what brings the longest axis to about four cells.

    Raises:
        ArgumentError: a size is not positive, or ``levels`` is negative.

    >>> level_shapes((25, 25))
    [(25, 25), (13, 13), (7, 7), (4, 4)]
    """
    if not shape or min(shape) < 1:
        raise ArgumentError(f"shape: got {tuple(shape)}, expected positive numbers")
    if levels is None:
        levels = max(0, round(math.log2(max(shape) / COARSEST)))
    if levels < 0:
        raise ArgumentError(f"levels: got {levels}, expected a number >= 0")
    shapes = [tuple(int(size) for size in shape)]
    for _ in range(levels):
        shapes.append(tuple((size + 1) // 2 for size in shapes[-1]))
    return shapes


def margins(shape: Sequence[int]) -> tuple[int, ...]:
    """Padding with which the lattice is halved: 1 where a size is odd."""
    return tuple(size % 2 for size in shape)


def check_images(event: Tensor, shape: Sequence[int]) -> None:
    r"""Refuse what is not dense images [B, C, \*shape].

    Raises:
        ArgumentError: the rank or a size differs.
    """
    if event.dim() != len(shape) + 2 or event.shape[2:] != torch.Size(shape):
        wanted = ", ".join(map(str, shape))
        raise ArgumentError(f"event: got {tuple(event.shape)}, expected [B, C, {wanted}]")


def dense_positions(shape: Sequence[int], like: Tensor) -> Tensor:
    r"""Centres of all cells, from -1 to 1 along each axis, as channels [B, D, \*shape]."""
    axes = [
        (2 * torch.arange(size, device=like.device, dtype=like.dtype) + 1) / size - 1
        for size in shape
    ]
    centres = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return centres.expand(len(like), *centres.shape)


def cell_positions(cell: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Centres of cells [N, D] of the lattice, from -1 to 1 along each axis [N, D]."""
    return (2 * cell + 1).to(dtype) / cell.new_tensor(shape) - 1
