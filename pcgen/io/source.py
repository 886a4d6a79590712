"""What every file of events can do, whatever its layout: read and append contiguous blocks.

B events, N points. Values are checked as they are read and as they are written, so that what leaves
this floor is finite, not negative where it is an energy, and agrees with its schema; an error names
file and event.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.bounds import regular_file
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.formats import Kind
from pcgen.grids import Calorimeter, Grid
from pcgen.schema import Schema

if TYPE_CHECKING:
    from typing_extensions import Self

Array = np.ndarray[Any, Any]
Block = TypeVar("Block")
INCIDENT = "incident_energy"
"""Name of the condition that is the energy of the particle that makes a shower."""
MISSING = "; pcgen convert --missing drop leaves out points without coordinates"


class Source(ABC, Generic[Block]):
    """A file (or a numbered set of files) of events, read in contiguous blocks.

    Attributes:
        path: Where it lies.
        passed_over: Names of what the file holds and nobody reads; the first :meth:`read` warns.
    """

    path: Path
    passed_over: tuple[str, ...] = ()
    _file: Any = None
    """What a reader keeps open, if it does."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of events B."""

    @abstractmethod
    def _read(self, start: int, stop: int) -> Block:
        """The events of a range that lies within the file, unchecked."""

    @abstractmethod
    def _check(self, block: Block, first: int) -> Block:
        """Refuse a block that begins with event ``first`` and holds what it must not."""

    def close(self) -> None:
        """Give the file back to the system; nothing can be read afterwards."""
        if self._file is not None:
            self._file.close()

    def read(self, start: int = 0, stop: int | None = None, *, check: bool = True) -> Block:
        """The events ``start`` to ``stop`` (exclusive; None: to the end), one contiguous read.

        Args:
            start: First event.
            stop: The event after the last.
            check: Refuse values that must not be; False leaves that to the caller.

        Raises:
            ArgumentError: the range is not within the file.
            DataError: a value is NaN, infinite or a negative weight; names file and event.
            FileError: the file is damaged.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise ArgumentError(
                f"{self.path}: got the range {start} to {stop}, "
                f"expected one within 0 to {len(self)}"
            )
        if self.passed_over:
            names, self.passed_over = ", ".join(self.passed_over), ()
            warnings.warn(f"{self.path}: {names} passed over", stacklevel=2)
        block = self._read(start, stop)
        return self._check(block, start) if check else block

    def blocks(self, block: int = 1024) -> Iterator[Block]:
        """All events in order, ``block`` at a time: a file larger than memory is read this way.

        Raises:
            ArgumentError: ``block`` is not positive.
        """
        if block < 1:
            raise ArgumentError(f"block: got {block}, expected a positive number of events")
        for start in range(0, len(self), block):
            yield self.read(start, min(start + block, len(self)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class CloudSource(Source[Batch]):
    """A file (or a numbered set of files) of clouds.

    Attributes:
        kind: What its events are.
        schema: What its numbers mean.
        attrs: Further facts that were stored with it (how it was generated, the grid of its cells,
            its calorimeter).
        context_schema: What the numbers of the contexts mean; None where the clouds have none.
    """

    kind: ClassVar[Kind] = "clouds"
    schema: Schema
    attrs: dict[str, Any]
    context_schema: Schema | None = None

    @abstractmethod
    def sizes(self) -> Tensor:
        """Number of points of each cloud [B], without reading the points."""

    @property
    def grid(self) -> Grid | None:
        """The cells of images that the points come from or go to, where the file knows them.

        Raises:
            FileError: what the file states of them makes no grid.
        """
        known = self.attrs.get("grid")
        if known is None or isinstance(known, Grid):
            return known
        try:
            return Grid.from_dict(known)
        except DataError as error:
            raise FileError(f"{self.path}: {error}") from error

    @property
    def calorimeter(self) -> Calorimeter | None:
        """The voxels that the points come from or go to, where the file knows them.

        Raises:
            FileError: what the file states of them makes no calorimeter.
        """
        if "calorimeter" not in self.attrs:
            return None
        try:
            return Calorimeter.from_dict(self.attrs["calorimeter"])
        except DataError as error:
            raise FileError(f"{self.path}: {error}") from error

    def labels(self) -> Tensor | None:
        """Class of each cloud [B], None where they have none."""
        parts = [block.get("label") for block in self.blocks()]
        if any(part is None for part in parts):
            return None
        return torch.cat([torch.zeros(0, dtype=torch.long), *parts])

    def _check(self, block: Batch, first: int) -> Batch:
        check_contexts(block, self.context_schema, first=first, where=self.path)
        return check_clouds(block, self.schema, first=first, where=self.path, hint=MISSING)


class Sink(ABC, Generic[Block]):
    """A file of events that is being written, block after block, inside a ``with`` statement.

    The file appears under its name when the ``with`` statement ends without an error; otherwise
    nothing is left behind.

    Attributes:
        path: Where it will lie.
        written: Number of events written so far.
    """

    path: Path
    written: int = 0
    _stack: ExitStack | None = None

    @abstractmethod
    def _writing(self) -> AbstractContextManager[None]:
        """Holds the temporary file open; what follows its ``yield`` finishes a good file."""

    @abstractmethod
    def _append(self, block: Block) -> int:
        """Write a block that was checked; returns its number of events."""

    @abstractmethod
    def _check(self, block: Block) -> Block:
        """Refuse a block that holds what it must not."""

    def append(self, block: Block) -> None:
        """Write the events behind those that were written before.

        Raises:
            ArgumentError: the ``with`` statement has not begun or is over.
            DataError: a value is NaN, infinite or negative where it must not be, or disagrees with
                the schema; names file and event.
        """
        if self._stack is None:
            raise ArgumentError(f"{self.path}: got append outside of the writer's with statement")
        self.written += self._append(self._check(block))

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._writing())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.__exit__(*error)


class CloudSink(Sink[Batch]):
    """A file (or a numbered set of files) of clouds that is being written.

    Attributes:
        schema: What the numbers mean.
        context_schema: What those of the contexts mean; None where no contexts are written.
    """

    schema: Schema
    context_schema: Schema | None = None

    def _check(self, block: Batch) -> Batch:
        check_contexts(block, self.context_schema, first=self.written, where=self.path)
        return check_clouds(block, self.schema, first=self.written, where=self.path)


def existing_file(path: str | Path) -> Path:
    """The path, if a file with something in it lies there.

    Raises:
        FileError: it does not exist, is a folder or no regular file, is empty or may not be read.
    """
    path = regular_file(path)
    if path.stat().st_size == 0:
        raise FileError(f"{path}: the file is empty (0 bytes)")
    return path


def arrays(clouds: Batch) -> dict[str, Array]:
    """The attributes of the clouds as arrays; half precision, unknown to files, is widened."""
    values = {}
    for name, value in convention.attributes(clouds).items():
        if value.is_floating_point() and value.element_size() < 4:
            value = value.float()
        values[name] = value.detach().cpu().numpy()
    return values


def check_clouds(
    clouds: Batch, schema: Schema, *, first: int, where: str | Path, hint: str = ""
) -> Batch:
    """Refuse clouds that are not finite, have negative weights or disagree with their schema.

    Args:
        clouds: A block of a file.
        schema: What they mean according to the file.
        first: Number of the block's first cloud in the file, for the message.
        where: File, for the message.
        hint: What can be done about points without coordinates, for the message.

    Raises:
        DataError: naming file, attribute and event.
    """
    columns = {"pos": schema.axes, "x": schema.features, "y": schema.condition}
    names = {"label": schema.labels, "layer": schema.layers}
    for name, value in convention.attributes(clouds).items():
        if name in columns and value.shape[1] != len(columns[name]):
            known = ", ".join(quantity.name for quantity in columns[name]) or "none"
            raise DataError(
                f"{where}: {name} has {value.shape[1]} columns, "
                f"expected the {len(columns[name])} of the schema ({known})"
            )
        bad = _bad(name, value, len(names.get(name, ())))
        if bad is not None:
            row, kind = bad
            event = int(clouds.batch[row]) if name in convention.POINT_ATTRIBUTES else row
            raise DataError(
                f"{where}: {name} of event {first + event} is {value[row].tolist()}, "
                f"expected {kind}{hint if name == 'pos' else ''}"
            )
    y = clouds.get("y")
    if y is not None:
        for energy, quantity in zip(y.unbind(1), schema.condition, strict=True):
            if quantity.name == INCIDENT:
                check_incident(energy, first=first, where=where)
    return clouds


def check_contexts(clouds: Batch, schema: Schema | None, *, first: int, where: str | Path) -> None:
    """Refuse contexts of clouds that :func:`check_clouds` refuses as clouds; arguments as there.

    Args:
        clouds: A block of a file.
        schema: Of their contexts; None: they have none.
        first: Number of the block's first cloud in the file, for the message.
        where: File, for the message.

    Raises:
        DataError: naming file, attribute and event.
    """
    others = convention.context(clouds)
    if schema is not None and others is not None:
        check_clouds(others, schema, first=first, where=f"{where}, context")


def check_incident(energy: Tensor, *, first: int, where: str | Path) -> None:
    """Refuse energies of incoming particles that are not positive: their logarithm is an input.

    Args:
        energy: Of the particle of each event [B].
        first: Number of the first event in the file, for the message.
        where: File, for the message.

    Raises:
        DataError: naming file and event.
    """
    bad = ~(energy > 0)
    if bool(bad.any()):
        event = int(bad.nonzero()[0])
        raise DataError(
            f"{where}: {INCIDENT} of event {first + event} is {float(energy[event]):g}, expected a "
            "positive energy"
        )


def _bad(name: str, value: Tensor, names: int) -> tuple[int, str] | None:
    """First row that cannot be used and what was expected of it."""
    low, high, kind = -math.inf, math.inf, "finite values"
    if name == "weight":
        low, kind = 0, "a finite value that is not negative"
    elif name == "layer" or (name == "label" and names):
        low, high, kind = 0, names - 1 if names else high, f"one of the {names} names of the schema"
        kind = kind if names else "a layer number that is not negative"
    if within(value, low, high):
        return None
    good = torch.isfinite(value) & (value >= low) & (value <= high)
    return int((~good).reshape(len(value), -1).any(1).nonzero()[0]), kind


def within(value: Tensor, low: float, high: float) -> bool:
    """Whether all values are finite and within the limits; NaN is in neither, in a single pass."""
    if value.numel() == 0:
        return True
    least, most = (float(end) for end in value.aminmax())
    return math.isfinite(least) and math.isfinite(most) and low <= least and most <= high
