"""Greyscale PNG pictures, read as images.

The grey value, 0 to 255 (8 bits) or 0 to 65535 (16 bits), is the energy of the cell as it stands:
nothing is scaled. The picture is seen as a plot: the first axis of the image runs to the right, the
second one upwards, image[i, j] = value[H - 1 - j, i].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pcgen.errors import FileError
from pcgen.grids import Grid
from pcgen.io.image_source import Array, Images, ImageSource, schema_of
from pcgen.io.numbered import files_of
from pcgen.schema import Quantity

_GREY = ("1", "L", "I", "I;16", "I;16B")


class PngFiles(ImageSource):
    """Greyscale PNG pictures of 8 or 16 bits, one event each, on a grid of pixels.

    Args:
        path: One file; a folder of them; or a numbered name such as ``event_%05d.png``.

    Raises:
        FileError: there is no such file, or it is damaged, or in colour.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._files = files_of(self.path, ".png")
        self.shape = _pixels(self._files[0]).shape
        width, height = self.shape
        self.grid = Grid.regular(
            {Quantity("x", "px"): (0, width, width), Quantity("y", "px"): (0, height, height)}
        )
        self.schema = schema_of(self.grid, Quantity("grey_value"))

    def __len__(self) -> int:
        return len(self._files)

    def _read(self, start: int, stop: int) -> Images:
        image = np.zeros((stop - start, *self.shape), dtype=np.float32)
        for place, file in enumerate(self._files[start:stop]):
            pixels = _pixels(file)
            if pixels.shape != self.shape:
                raise FileError(
                    f"{file}: picture has {pixels.shape} pixels, expected {self.shape} as the first"
                )
            image[place] = pixels
        return Images(torch.from_numpy(image))


def _pixels(path: Path) -> Array:
    """Grey values [W, H], first axis to the right, second one upwards."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            mode = picture.mode
            values = np.array(picture) if mode in _GREY else None
    except (OSError, SyntaxError, ValueError) as error:
        raise FileError(f"{path}: truncated, damaged or not a PNG picture ({error})") from error
    if values is None:
        raise FileError(f"{path}: got a picture of mode {mode}, expected greyscale of 8 or 16 bits")
    return values[::-1].T
