r"""Rotations, flips and shifts that act on images and on clouds alike.

A transformation is a function of a signal: images [B, C, \*shape] (an :class:`ObservedImage` moves
with its map) or clouds. With u the coordinates, of cells from the centre of the image in units of
cells, of points as they are in ``pos``:

===============  ======================================  =================  ======================
transformation   coordinates                             on images          on clouds
===============  ======================================  =================  ======================
Affine           :math:`u' = M u + t`                    interpolated       exact
GridSymmetry     :math:`u'_d = s_d u_{a_d}`, s = ±1      exact              exact
PeriodicShift    cells move, the last to the front       exact              images alone
===============  ======================================  =================  ======================

Clouds are moved in their first columns of ``pos``, one for each axis of the transformation; other
columns and features stay, and ``cell`` is dropped, which would no longer be true. A sparse image
does not survive interpolation: each filled cell is smeared over about four, where a cloud keeps its
points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.observed.image import ObservedImage

Signal = TypeVar("Signal", Tensor, ObservedImage, Batch)
Image = TypeVar("Image", Tensor, ObservedImage)
Transformation = Callable[[Any], Any]
"""A function of images [B, C, *shape] or of clouds, to the same kind."""


@dataclass(frozen=True)
class Affine:
    """u' = M u + t: exact on clouds, by linear interpolation (0 outside) on images.

    Attributes:
        matrix: M, row by row [D, D].
        shift: t [D], in cells on images and in the unit of ``pos`` on clouds.
    """

    matrix: tuple[tuple[float, ...], ...]
    shift: tuple[float, ...]

    def __call__(self, signal: Signal) -> Signal:
        """The signal moved."""
        if isinstance(signal, ObservedImage):
            return signal.moved(self)
        if isinstance(signal, Tensor):
            return warp(signal, *self._tensors(signal))
        matrix, shift = self._tensors(signal.pos)
        return moved(signal, signal.pos[:, : len(shift)] @ matrix.mT + shift)

    def _tensors(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return like.new_tensor(self.matrix), like.new_tensor(self.shift)


def rotation(angle: float, plane: tuple[int, int] = (0, 1), dimensions: int = 2) -> Affine:
    """Turn by ``angle`` (radian) from the first to the second axis of ``plane``."""
    matrix = torch.eye(dimensions, dtype=torch.float64)
    first, second = plane
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[first, second], matrix[second, first] = -math.sin(angle), math.sin(angle)
    return Affine(tuple(map(tuple, matrix.tolist())), (0.0,) * dimensions)


@dataclass(frozen=True)
class GridSymmetry:
    """Axes exchanged and turned round, which takes a square grid to itself, cell by cell.

    Attributes:
        axes: Which old axis each new one is.
        signs: -1 where the new axis runs backwards, else 1.
    """

    axes: tuple[int, ...]
    signs: tuple[int, ...]

    def __post_init__(self) -> None:
        same = len(self.axes) == len(self.signs) and {*self.signs} <= {1, -1}
        if not same or sorted(self.axes) != list(range(len(self.axes))):
            raise ArgumentError(
                f"axes, signs: got {self.axes}, {self.signs}, expected a permutation and ±1 each"
            )

    def __call__(self, signal: Signal) -> Signal:
        """The signal turned; axes of different length change places on images."""
        if isinstance(signal, ObservedImage):
            return signal.moved(self)
        if isinstance(signal, Tensor):
            if signal.dim() != len(self.axes) + 2:
                raise ArgumentError(
                    f"image: got {tuple(signal.shape)}, expected [B, C] and {len(self.axes)} axes"
                )
            image = signal.permute(0, 1, *(axis + 2 for axis in self.axes))
            return image.flip([d + 2 for d, sign in enumerate(self.signs) if sign < 0])
        signs = torch.tensor(self.signs, dtype=signal.pos.dtype, device=signal.pos.device)
        return moved(signal, signal.pos[:, list(self.axes)] * signs)

    @property
    def determinant(self) -> int:
        """1 for rotations, -1 where a reflection is part of it."""
        swaps = sum(a > b for a, b in itertools.combinations(self.axes, 2))
        return (-1) ** swaps * math.prod(self.signs)

    @property
    def inverse(self) -> GridSymmetry:
        """What takes it back.

        >>> turn = GridSymmetry((1, 0), (1, -1))
        >>> turn.inverse
        GridSymmetry(axes=(1, 0), signs=(-1, 1))
        """
        order = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return GridSymmetry(tuple(order), tuple(self.signs[d] for d in order))


def symmetries(dimensions: int) -> tuple[GridSymmetry, ...]:
    """All 2^D D! rotations and reflections of a square grid: 8 in the plane, 48 in space."""
    return tuple(
        GridSymmetry(axes, signs)
        for axes in itertools.permutations(range(dimensions))
        for signs in itertools.product((1, -1), repeat=dimensions)
    )


def quarter_turns(dimensions: int) -> tuple[GridSymmetry, ...]:
    """The rotations among them: 4 in the plane, 24 in space."""
    return tuple(each for each in symmetries(dimensions) if each.determinant == 1)


def flips(dimensions: int) -> tuple[GridSymmetry, ...]:
    """All reflections of single axes and their products: 2^D."""
    return tuple(each for each in symmetries(dimensions) if each.axes == (*range(dimensions),))


@dataclass(frozen=True)
class PeriodicShift:
    """Images moved by whole cells, what leaves at one end entering at the other.

    Attributes:
        cells: By how many along each axis; 0 leaves an axis alone.
    """

    cells: tuple[int, ...]

    def __call__(self, image: Image) -> Image:
        """[B, C, *shape] -> the same shape."""
        if isinstance(image, ObservedImage):
            return image.moved(self)
        return image.roll(self.cells, tuple(range(2, 2 + len(self.cells))))


def periodic_shifts(cells: Sequence[int]) -> tuple[PeriodicShift, ...]:
    """All shifts of so many cells along each axis (1: none along it)."""
    return tuple(PeriodicShift(each) for each in itertools.product(*map(range, cells)))


def moved(clouds: Batch, pos: Tensor) -> Batch:
    """The clouds with new values of their first coordinates [N, d], and without ``cell``."""
    pos = torch.cat([pos, clouds.pos[:, pos.shape[1] :]], 1)
    return pc.replace(clouds, pos=pos, cell=None)


def warp(image: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    r"""Images in which each cell u shows what stood at :math:`M^{-1} (u - t)`.

    Linear interpolation between the nearest cells; what lies outside counts as 0.

    Args:
        image: [B, C, \*shape] of 2 or 3 axes.
        matrix: M [d, d], on the first d axes.
        shift: t [d], in cells.

    Returns:
        [B, C, \*shape]; differentiable in all of them.
    """
    size, d = image.shape[2:], len(shift)
    if len(size) not in (2, 3) or d > len(size):
        raise ArgumentError(f"image: got {tuple(image.shape)}, expected 2 or 3 axes, at least {d}")
    rest = torch.eye(len(size) - d, dtype=matrix.dtype, device=matrix.device)
    matrix, shift = torch.block_diag(matrix, rest), F.pad(shift, (0, len(size) - d))
    centred = [torch.arange(n, dtype=image.dtype, device=image.device) - (n - 1) / 2 for n in size]
    u = torch.stack(torch.meshgrid(*centred, indexing="ij"), -1)
    source = (u - shift) @ torch.linalg.inv(matrix).mT
    # grid_sample wants the last axis first, and the image's edges at -1 and 1.
    source = (2 * source / source.new_tensor(size)).flip(-1)
    return F.grid_sample(image, source.expand(len(image), *source.shape), align_corners=False)
