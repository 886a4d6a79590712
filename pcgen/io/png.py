"""Greyscale PNG pictures of 16 bits, one event each: images to look at and to read back.

The picture is seen as a plot: the last axis of the image runs upwards and the first one to the
right, with layers (and further axes) side by side; for two axes image[i, j] = value[H - 1 - j, i].

Grey values are whole numbers g ≤ 65535, so an energy is g times the scale of its picture. Where all
energies are such numbers the scale is 1 and nothing is lost; otherwise it is the largest energy
over 65535, and energies come back within one scale. A filled cell stays filled. The text ``pcgen``
of the picture (JSON) states scale, grid, schema, condition and class; in pictures of others, of 8
16 or fewer bits, the grey value is the energy and the cells are pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from pcgen.bounds import parse_json
from pcgen.errors import DataError, FileError, PcgenError
from pcgen.grids import Grid
from pcgen.io.image_source import Images, ImageSink, ImageSource, schema_of
from pcgen.io.numbered import files_of, writing
from pcgen.io.source import Array, existing_file
from pcgen.schema import Quantity, Schema

FORMAT = "pcgen-png"
VERSION = 1
_GREY = ("1", "L", "I", "I;16", "I;16B")
_WHITE = 65535
_PIXELS = 2**26  # 8192 x 8192, below where Pillow begins to warn of bombs


class PngFiles(ImageSource):
    """Greyscale PNG pictures, one event each: those of pcgen on their grid, others on pixels.

    Args:
        path: One file; a folder of them; or a numbered name such as ``event_%05d.png``.

    Raises:
        FileError: there is no such file, or it is damaged, or in colour.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._files = files_of(self.path, ".png")
        first = _read(self._files[0])
        self.grid, self.schema = first.grid, first.schema
        self.shape, self._facts = self.grid.shape, first.facts

    def __len__(self) -> int:
        return len(self._files)

    def _read(self, start: int, stop: int) -> Images:
        pictures = [_read(file) for file in self._files[start:stop]]
        for file, picture in zip(self._files[start:stop], pictures, strict=True):
            if picture.grid != self.grid:
                raise FileError(
                    f"{file}: picture has {picture.grid.shape} cells, expected {self.shape} "
                    "on the same grid as the first"
                )
            if picture.facts != self._facts:
                raise FileError(
                    f"{file}: picture has another schema than {self._files[0]}, or a condition or "
                    "class where that has none, expected the same of all"
                )
        image = np.stack([p.image for p in pictures]) if pictures else np.zeros((0, *self.shape))
        return Images(
            torch.from_numpy(image.astype(np.float32)),
            _together([picture.y for picture in pictures], torch.float32),
            _together([picture.label for picture in pictures], torch.int64),
        )


class PngWriter(ImageSink):
    """Writes images as PNG pictures, one file each; use it in a ``with`` statement.

    Args:
        path: A numbered name such as ``event_%05d.png``, or a folder; one file for one event.
        grid: The cells.
        schema: Of the clouds that the images stand for.
    """

    def __init__(self, path: str | Path, grid: Grid, schema: Schema) -> None:
        self.path = Path(path)
        self._unit = schema.weight.label if schema.weight else "weight"
        self._facts = {
            "format": FORMAT,
            "version": VERSION,
            "grid": grid.to_dict(),
            "schema": schema.to_dict(),
        }

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with writing(self.path, ".png") as self._name:
            yield
            if self.written == 0:
                raise DataError(f"{self.path}: got no event, expected at least one")

    def _append(self, block: Images) -> int:
        for place, image in enumerate(block.image.detach().cpu().double().numpy()):
            grey, scale = quantised(image)
            own = {
                "scale": scale,
                "y": None if block.y is None else block.y[place].tolist(),
                "label": None if block.label is None else int(block.label[place]),
            }
            text = PngInfo()
            text.add_text("Description", f"{self._unit} = grey value x {scale!r}")
            text.add_text("pcgen", json.dumps({**self._facts, **own}))
            picture = Image.fromarray(_seen(grey))
            picture.save(self._name(self.written + place), format="PNG", pnginfo=text)
        return len(block.image)


class _Picture(NamedTuple):
    """One event: energies [*grid.shape], and what the file states about them."""

    image: Array
    grid: Grid
    schema: Schema
    y: list[float] | None
    label: int | None

    @property
    def facts(self) -> tuple[Schema, bool, bool]:
        """What pictures read together have in common: schema, and whether y and label are there."""
        return self.schema, self.y is None, self.label is None


def quantised(image: Array) -> tuple[Array, float]:
    """Whole numbers to 65535 of the shape of ``image``, and the energy that 1 stands for.

    >>> quantised(np.array([0.0, 3.0, 7.0]))[1]
    1.0
    >>> grey, scale = quantised(np.array([0.0, 1e-9, 0.25, 0.5]))
    >>> grey.tolist(), scale == 0.5 / 65535
    ([0, 1, 32768, 65535], True)
    """
    largest = float(image.max(initial=0.0))
    whole = largest <= _WHITE and bool((image == np.round(image)).all())
    scale = 1.0 if whole else largest / _WHITE
    # A cell that is filled stays so: this matters more than the last digit of its energy.
    grey = np.maximum(np.round(image / scale), image > 0).clip(max=_WHITE)
    return grey.astype(np.uint16), scale


def _seen(image: Array) -> Array:
    """Rows of pixels from above: the last axis upwards, all others to the right."""
    flat = image.reshape(-1, image.shape[-1] if image.ndim > 1 else 1)
    return np.ascontiguousarray(flat.T[::-1])


def _read(path: Path) -> _Picture:
    bits = _bits(existing_file(path))
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            mode, text = picture.mode, picture.info.get("pcgen")
            values = np.array(picture) if mode in _GREY else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileError(f"{path}: truncated, damaged or not a PNG picture ({error})") from error
    if values is None:
        raise FileError(
            f"{path}: got a picture of mode {mode}, expected greyscale of 8 or 16 bits as pcgen "
            "convert writes; colours do not give energies"
        )
    if mode == "L" and bits < 8:
        # Pillow stretches the 4 or 16 grey values of such pictures to 255, whose divisor is whole.
        values = values // (255 // (2**bits - 1))
    energy = values[::-1].T.astype(np.float64)
    return _of_others(energy) if text is None else _of_pcgen(energy, text, path)


def _bits(path: Path) -> int:
    """Bits of a grey value, from the header, if its pixels are not too many.

    Signature (8 bytes), IHDR's length and name (8), width and height (8), then the depth. PNG
    specification, section 11.2.2.

    Raises:
        FileError: there is no such header, or it announces more pixels than a picture has.
    """
    with path.open("rb") as file:
        start = file.read(25)
    if len(start) < 25:
        raise FileError(f"{path}: truncated, damaged or not a PNG picture ({len(start)} bytes)")
    width, height = (int.from_bytes(start[place : place + 4], "big") for place in (16, 20))
    if width * height > _PIXELS:
        raise FileError(
            f"{path}: got {width} x {height} pixels, expected at most {_PIXELS}; larger events "
            "are for .npy or .h5"
        )
    return start[24]


def _of_others(energy: Array) -> _Picture:
    width, height = energy.shape
    grid = Grid.regular(
        {Quantity("x", "px"): (0, width, width), Quantity("y", "px"): (0, height, height)}
    )
    return _Picture(energy, grid, schema_of(grid, Quantity("grey_value")), None, None)


def _of_pcgen(energy: Array, text: Any, path: Path) -> _Picture:
    try:
        facts = parse_json(text)
        if (facts["format"], facts["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{facts['format']!r} of version {facts['version']!r}")
        grid, schema = Grid.from_dict(facts["grid"]), Schema.from_dict(facts["schema"])
        scale = float(facts["scale"])
        if energy.size != math.prod(grid.shape) or not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"{energy.size} pixels of scale {scale} on {grid}")
        y, label = _beside(facts, schema)
        return _Picture(scale * energy.reshape(grid.shape), grid, schema, y, label)
    except (KeyError, TypeError, ValueError, OverflowError, PcgenError) as error:
        raise FileError(
            f"{path}: its text 'pcgen' cannot be used ({error!r}), expected that of a picture by "
            f"pcgen convert ({FORMAT}, version {VERSION})"
        ) from error


def _beside(facts: dict[str, Any], schema: Schema) -> tuple[list[float] | None, int | None]:
    """Condition and class, if they are what the schema has."""
    y, label = facts["y"], facts["label"]
    if y is not None:
        y = [float(value) for value in y]
        if len(y) != len(schema.condition) or not all(map(math.isfinite, y)):
            raise ValueError(f"y is {y}, for {len(schema.condition)} conditions")
    if label is not None:
        known = len(schema.labels) or 2**63
        if type(label) is not int or not 0 <= label < known:
            raise ValueError(f"label is {label!r}, for {len(schema.labels)} classes")
    return y, label


def _together(values: list[Any], kind: torch.dtype) -> Tensor | None:
    """One tensor of what all events have; None where none has it."""
    if not values or values[0] is None:
        return None
    return torch.tensor(values, dtype=kind)
