r"""What every file of images can do, and how a file describes its cells.

Images are [B, \*shape]: energies on the cells of a grid, layers first where there are several.
Self-describing files carry the grid and the schema of the clouds that the images stand for.
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen.bounds import CELLS, parse_json
from pcgen.errors import DataError, FileError, PcgenError
from pcgen.formats import Kind
from pcgen.grids import Calorimeter, Grid
from pcgen.io.beside import beside, representable
from pcgen.io.source import Array, Sink, Source, check_incident, within
from pcgen.schema import Quantity, Schema


class Images(NamedTuple):
    """A block of images.

    Attributes:
        image: [B, \\*shape], ≥ 0.
        y: Condition [B, C], where there is one.
        label: Class [B], where there is one.
    """

    image: Tensor
    y: Tensor | None = None
    label: Tensor | None = None


class ImageSource(Source[Images]):
    """A file of images.

    Attributes:
        kind: What its events are.
        shape: Of one image.
        grid: Its cells, where the file gives them.
        schema: What its numbers mean, where the file gives it.
        attrs: Further facts that were stored with it, for example how it was generated.
    """

    kind: ClassVar[Kind] = "images"
    shape: tuple[int, ...]
    grid: Grid | None = None
    schema: Schema | None = None
    attrs: Mapping[str, Any] = MappingProxyType({})
    _y: Tensor | None = None
    _label: Tensor | None = None

    def _check(self, block: Images, first: int) -> Images:
        return check_images(block, first=first, where=self.path)

    def _beside(self, values: Mapping[str, Array]) -> None:
        """Take the conditions and classes of all events from the arrays ``y`` and ``label``."""
        self._y, self._label, self.schema = beside(values, len(self), self.schema, self.path)

    def _block(self, image: Array, start: int, stop: int) -> Images:
        """Images of some events, with what stands beside them."""
        return Images(
            floats(image, self.path),
            None if self._y is None else self._y[start:stop],
            None if self._label is None else self._label[start:stop],
        )


class ShowerSource(ImageSource):
    """A file of showers: images [B, V] on the voxels of a calorimeter.

    Attributes:
        calorimeter: The voxels, where they were given or the file knows them: they have no places
            without it.
        schema: What its numbers mean.
    """

    kind: ClassVar[Kind] = "showers"
    calorimeter: Calorimeter | None
    schema: Schema

    def _check(self, block: Images, first: int) -> Images:
        self.check_incident(block, first)
        return super()._check(block, first)

    def check_incident(self, block: Images, first: int) -> None:
        """Refuse showers of particles without energy.

        Raises:
            DataError: naming file and event.
        """
        if block.y is not None:
            check_incident(block.y[:, 0], first=first, where=self.path)

    @abstractmethod
    def incident(self) -> Tensor:
        """Energy of the incoming particle of each shower [B]; the voxels are not read."""


def check_shape(shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Shape of one image, from the shape [B, ...] that a file announces for all.

    Args:
        shape: As announced.
        where: File and array, as the beginning of a message that goes on with the shape.

    Raises:
        FileError: these are no images, or images of no cells or too many.
    """
    if len(shape) < 2 or not all(0 < length < 2**63 for length in shape[1:]):
        raise FileError(f"{where} {shape}, expected images [B, ...]")
    if not 0 <= shape[0] < 2**63:
        raise FileError(f"{where} {shape}, expected a number of images of 63 bits")
    CELLS.check(math.prod(shape[1:]), where)
    return shape[1:]


def chosen_name(name: str, names: Collection[str]) -> str | None:
    """``image`` or ``images`` (``label`` or ``labels``), whichever there is, in this order."""
    return next((each for each in (name, f"{name}s") if each in names), None)


class ImageSink(Sink[Images]):
    """A file of images that is being written."""

    def _check(self, block: Images) -> Images:
        return check_images(block, first=self.written, where=self.path)


class ShowerSink(ImageSink):
    """A file of showers that is being written: ``image`` [b, V] and ``y`` [b, 1].

    Attributes:
        schema: What it holds: energies of points and of the incoming particle, with their units.
    """

    schema: Schema


def check_images(
    images: Images, *, first: int, where: str | Path, threshold: float = 0.0
) -> Images:
    """Refuse images that are negative or not finite.

    Args:
        images: A block of a file.
        first: Number of its first event in the file, for the message.
        where: File, for the message.
        threshold: What becomes of cells up to this is no matter: if it is above 0, they may be
            negative.

    Raises:
        DataError: naming file, event and cell.
    """
    for name, value in images._asdict().items():
        low, wanted = -math.inf, "a finite value"
        if name == "image" and threshold <= 0:
            low, wanted = 0.0, "a finite value that is not negative"
        if value is None or within(value, low, math.inf):
            continue
        good = torch.isfinite(value) & (value >= low)
        event, *cell = (int(number) for number in (~good).nonzero()[0])
        raise DataError(
            f"{where}: {name} of event {first + event} at {tuple(cell)} is "
            f"{float(value[(event, *cell)])}, expected {wanted}"
        )
    return images


def floats(value: Array, path: Path) -> Tensor:
    """Numbers of a file as floats: float32 where that holds the type exactly, float64 otherwise.

    Raises:
        DataError: they are no real numbers, or whole numbers that float64 does not hold.
    """
    if value.dtype.kind not in "biuf":
        raise DataError(f"{path}: got values of type {value.dtype}, expected real numbers")
    exact = representable(value)
    if not exact.all():
        raise DataError(
            f"{path}: got the whole number {value[~exact][0]}, expected none beyond 2^53, which "
            "float64 does not hold"
        )
    return torch.from_numpy(value.astype(float_type(value.dtype)))


def float_type(kind: np.dtype[Any]) -> np.dtype[Any]:
    """float32 where it holds every value of ``kind``, float64 otherwise."""
    return np.dtype(np.float32 if np.can_cast(kind, np.float32) else np.float64)


def described(grid: Grid, schema: Schema, attrs: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays that say what the cells of an image are, by name, for people and for pcgen.

    ``axes``, ``units``, ``periods`` (NaN: none) of the coordinates; ``edges_<axis>`` for each;
    ``layers`` where there are some; ``schema`` and, where there are some, ``attrs`` as JSON.
    """
    values = {
        "axes": np.array([axis.name for axis in grid.axes]),
        "units": np.array([axis.unit for axis in grid.axes]),
        "periods": np.array([axis.period or math.nan for axis in grid.axes]),
        "schema": np.array(json.dumps(schema.to_dict())),
    }
    if grid.layers:
        values["layers"] = np.array(grid.layers)
    if attrs:
        values["attrs"] = np.array(json.dumps(dict(attrs)))
    for axis, edges in zip(grid.axes, grid.edges, strict=True):
        values[f"edges_{axis.name}"] = np.array(edges)
    return values


def describes(name: str) -> bool:
    """Whether an array of this name may be one of :func:`described`."""
    fixed = ("axes", "units", "periods", "schema", "layers", "attrs")
    return name in fixed or name.startswith("edges_")


def understood(
    values: Mapping[str, Array], path: Path, shape: tuple[int, ...]
) -> tuple[Grid | None, Schema | None, dict[str, Any]]:
    """Grid, schema and attrs from the arrays of :func:`described`; None where there are none.

    Raises:
        FileError: they are damaged, or the grid does not have the shape of the images.
    """
    if "axes" not in values:
        return None, None, {}
    try:
        names = [str(name) for name in values["axes"].tolist()]
        units = values["units"].tolist() if "units" in values else [""] * len(names)
        periods = values["periods"].tolist() if "periods" in values else [math.nan] * len(names)
        axes = tuple(
            Quantity(name, str(unit), None if math.isnan(period) else float(period))
            for name, unit, period in zip(names, units, periods, strict=True)
        )
        edges = tuple(tuple(values[f"edges_{name}"].tolist()) for name in names)
        layers = tuple(map(str, values["layers"].tolist())) if "layers" in values else ()
        grid, schema = Grid(axes, edges, layers), None
        if "schema" in values:
            schema = Schema.from_dict(parse_json(str(values["schema"].item())))
            grid = Grid(schema.axes, edges, layers)
        attrs = parse_json(str(values["attrs"].item())) if "attrs" in values else {}
        if not isinstance(attrs, dict):
            raise ValueError(f"attrs is {type(attrs).__name__}, not a dictionary")
    except (KeyError, TypeError, ValueError, OverflowError, PcgenError) as error:
        raise FileError(
            f"{path}: its grid cannot be read ({error!r}), "
            f"expected axes, units, periods and edges_<axis> that agree"
        ) from error
    return fitting(grid, path, shape), schema or schema_of(grid), attrs


def fitting(grid: Grid, path: Path, shape: tuple[int, ...]) -> Grid:
    """The grid, if images of this shape are on it.

    Raises:
        FileError: they are not.
    """
    if grid.shape != shape:
        raise FileError(
            f"{path}: images have shape {shape}, expected {grid.shape} as in its grid {grid}"
        )
    return grid


def schema_of(grid: Grid, weight: Quantity | None = None) -> Schema:
    """Schema of the clouds that images on this grid stand for, as far as the grid gives it."""
    return Schema(grid.axes, weight or Quantity("weight"), layers=grid.layers)
