r"""What a detector measures of an image: y = A x with a linear operator A, as a value.

================= =================================== ==========================================
operator          y                                   a detector that
================= =================================== ==========================================
:class:`Pooled`   sums of blocks of cells             reads several cells by one channel
:class:`Alive`    the cells that are alive            has dead channels
:class:`Profiles` sums over all axes but one, of some reads strips or wires
                  axes
:class:`Mixed`    rows of normal numbers, N(0, 1/m)   compressed sensing (Bora et al. 2017)
================= =================================== ==========================================

Each maps images [B, \*shape] to measurements [B, m] and has the adjoint, :math:`\langle A x, y
\rangle = \langle x, A^T y \rangle`, and the norm: what the solvers of
:mod:`pcgen.ops.sparse_recovery` take. Vectors are images of one axis.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.grids import Grid


class Measurement(ABC):
    """A linear operator on images.

    Attributes:
        shape: Of one image.
    """

    shape: tuple[int, ...]

    @property
    @abstractmethod
    def number(self) -> int:
        """Measurements m of an image."""

    @property
    @abstractmethod
    def norm(self) -> float:
        """Largest singular value, or a number above it."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y [B, \\*shape] of measurements y [B, m]."""

    @abstractmethod
    def measure(self, image: Tensor) -> Tensor:
        """Measurements [B, m] of images that have the shape."""

    def __call__(self, image: Tensor) -> Tensor:
        """Measurements [B, m] of images [B, \\*shape].

        Raises:
            ArgumentError: the images have another shape.
        """
        if tuple(image.shape[1:]) != self.shape:
            raise ArgumentError(
                f"image: got {tuple(image.shape)}, expected {['B', *self.shape]} as measured"
            )
        return self.measure(image)


@dataclass(frozen=True)
class Pooled(Measurement):
    """Sums of blocks of neighbouring cells; the last block of an axis may be smaller.

    Attributes:
        shape: Of one image.
        factors: Cells of a block along each axis; 1 leaves the axis as it is.

    Raises:
        ArgumentError: not one factor of at least 1 for each axis.

    >>> Pooled((4,), (3,))(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[6., 4.]])
    """

    shape: tuple[int, ...]
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.factors) != len(self.shape) or min(self.factors, default=1) < 1:
            raise ArgumentError(
                f"pooled: got blocks of {self.factors}, expected a number >= 1 for each axis of "
                f"{self.shape}"
            )

    @property
    def blocks(self) -> tuple[int, ...]:
        """Blocks along each axis."""
        return tuple(-(-n // f) for n, f in zip(self.shape, self.factors, strict=True))

    @property
    def number(self) -> int:
        """See :attr:`Measurement.number`."""
        return math.prod(self.blocks)

    @property
    def norm(self) -> float:
        """Root of the cells of the largest block."""
        return math.prod(min(n, f) for n, f in zip(self.shape, self.factors, strict=True)) ** 0.5

    def measure(self, image: Tensor) -> Tensor:
        """See :meth:`Measurement.measure`."""
        for axis, factor in enumerate(self.factors, 1):
            image = _block_sums(image, axis, factor)
        return image.flatten(1)

    def adjoint(self, y: Tensor) -> Tensor:
        """See :meth:`Measurement.adjoint`: each cell of a block has its sum."""
        image = y.reshape(-1, *self.blocks)
        for axis, (factor, cells) in enumerate(zip(self.factors, self.shape, strict=True), 1):
            image = image.repeat_interleave(factor, axis).narrow(axis, 0, cells)
        return image


@dataclass(frozen=True, eq=False)
class Alive(Measurement):
    """The cells that are alive, one by one.

    Attributes:
        alive: bool [\\*shape].
        shape: Of one image.

    Raises:
        ArgumentError: it is no boolean tensor, or no cell is alive.
    """

    alive: Tensor
    shape: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.alive.dtype != torch.bool or not bool(self.alive.any()):
            got = "no cell that is" if self.alive.dtype == torch.bool else self.alive.dtype
            raise ArgumentError(f"alive: got {got}, expected booleans, at least one true")
        object.__setattr__(self, "shape", tuple(self.alive.shape))

    @property
    def number(self) -> int:
        """See :attr:`Measurement.number`."""
        return int(self.alive.sum())

    @property
    def norm(self) -> float:
        """See :attr:`Measurement.norm`."""
        return 1.0

    def measure(self, image: Tensor) -> Tensor:
        """See :meth:`Measurement.measure`."""
        return image[:, self.alive.to(image.device)]

    def adjoint(self, y: Tensor) -> Tensor:
        """See :meth:`Measurement.adjoint`: zeros in the dead cells."""
        place = self.alive.to(y.device).flatten().nonzero().flatten()
        image = y.new_zeros(len(y), math.prod(self.shape)).index_copy(1, place, y)
        return image.view(-1, *self.shape)


@dataclass(frozen=True)
class Profiles(Measurement):
    """Profiles along some axes: sums over all others, one profile after the other.

    Attributes:
        shape: Of one image.
        axes: Numbers of the axes that profiles are along.

    Raises:
        ArgumentError: there is no axis, or one is unknown or given twice.

    >>> Profiles((2, 2), (0, 1))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[3., 7., 4., 6.]])
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        known = range(len(self.shape))
        if not self.axes or len({*self.axes}) < len(self.axes) or not {*self.axes} <= {*known}:
            raise ArgumentError(
                f"project: got the axes {self.axes}, expected different ones of 0 to "
                f"{known.stop - 1}"
            )

    @property
    def number(self) -> int:
        """See :attr:`Measurement.number`."""
        return sum(self.shape[axis] for axis in self.axes)

    @cached_property
    def norm(self) -> float:
        """Root of the sum over profiles of the cells that an entry sums: an upper bound."""
        return sum(math.prod(self.shape) / self.shape[axis] for axis in self.axes) ** 0.5

    def measure(self, image: Tensor) -> Tensor:
        """See :meth:`Measurement.measure`."""
        every = range(1, image.dim())
        sums = ([a for a in every if a != axis + 1] for axis in self.axes)
        # sum() over no axis would be over all of them.
        return torch.cat([image.sum(others) if others else image for others in sums], 1)

    def adjoint(self, y: Tensor) -> Tensor:
        """See :meth:`Measurement.adjoint`: each cell has the sum of its entries."""
        image = y.new_zeros(len(y), *self.shape)
        profiles = y.split([self.shape[axis] for axis in self.axes], 1)
        for axis, profile in zip(self.axes, profiles, strict=True):
            broad = [1] * len(self.shape)
            broad[axis] = self.shape[axis]
            image = image + profile.view(-1, *broad)
        return image


@dataclass(frozen=True, eq=False)
class Mixed(Measurement):
    """Sums of all cells with random factors: m rows of normal numbers N(0, 1/m).

    Attributes:
        shape: Of one image.
        matrix: Rows [m, n], n = prod(shape).

    Raises:
        ArgumentError: the matrix has another number of columns.
    """

    shape: tuple[int, ...]
    matrix: Tensor

    def __post_init__(self) -> None:
        if self.matrix.dim() != 2 or self.matrix.shape[1] != math.prod(self.shape):
            raise ArgumentError(
                f"matrix: got {tuple(self.matrix.shape)}, expected [m, {math.prod(self.shape)}]"
            )

    @classmethod
    def random(cls, shape: Sequence[int], number: int, *, seed: int = 0) -> Mixed:
        """A random one, the same for the same numbers.

        Args:
            shape: Of one image.
            number: m.
            seed: Of the numbers.

        Raises:
            ArgumentError: m is not positive.
        """
        if number < 1:
            raise ArgumentError(f"random: got {number} measurements, expected >= 1")
        draw = torch.Generator().manual_seed(seed)
        matrix = torch.randn(number, math.prod(shape), generator=draw)
        return cls(tuple(shape), matrix / number**0.5)

    @property
    def number(self) -> int:
        """See :attr:`Measurement.number`."""
        return len(self.matrix)

    @cached_property
    def norm(self) -> float:
        """See :attr:`Measurement.norm`."""
        return float(torch.linalg.matrix_norm(self.matrix, 2))

    def measure(self, image: Tensor) -> Tensor:
        """See :meth:`Measurement.measure`."""
        return image.flatten(1) @ self.matrix.to(image).T

    def adjoint(self, y: Tensor) -> Tensor:
        """See :meth:`Measurement.adjoint`."""
        return (y @ self.matrix.to(y)).view(-1, *self.shape)


def pooled_grid(grid: Grid, factor: int) -> Pooled:
    """Blocks of ``factor`` cells along each axis of a grid; layers stay as they are."""
    layers = (1,) if grid.layers else ()
    return Pooled(grid.shape, (*layers, *[factor] * len(grid.axes)))


def profiles_of_grid(grid: Grid, names: Sequence[str]) -> Profiles:
    """Profiles along axes of a grid by their names, ``layer`` where it has layers.

    Raises:
        ArgumentError: there is no such axis.
    """
    known = [*(["layer"] if grid.layers else []), *(axis.name for axis in grid.axes)]
    for name in names:
        if name not in known:
            raise ArgumentError(f"project: got {name!r}, expected some of {', '.join(known)}")
    return Profiles(grid.shape, tuple(known.index(name) for name in names))


def _block_sums(image: Tensor, axis: int, factor: int) -> Tensor:
    if factor == 1:
        return image
    cells = image.shape[axis]
    missing = -cells % factor
    if missing:
        shape = list(image.shape)
        shape[axis] = missing
        image = torch.cat([image, image.new_zeros(shape)], axis)
    return image.unflatten(axis, (-1, factor)).sum(axis + 1)
