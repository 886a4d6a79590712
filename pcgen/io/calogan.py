"""CaloGAN's layout of showers in HDF5: three layers of a calorimeter, with cells of their own.

=========== ============ ==========================================================================
data set    shape        values
=========== ============ ==========================================================================
/energy     [N, 1]       energy of the incoming particle in GeV
/layer_0    [N, 3, 96]   energies in MeV of cells of 160 mm x 5 mm
/layer_1    [N, 12, 12]  of 40 mm x 40 mm
/layer_2    [N, 12, 6]   of 40 mm x 80 mm
/overflow   [N, 3]       energy beside the cells of each layer in MeV, which no cell holds
=========== ============ ==========================================================================

The first axis of a layer is x, the second y, both from -240 to 240 mm; the layers end at -240,
-150, 197 and 240 mm along z.

Paganini, de Oliveira and Nachman, CaloGAN, arXiv:1712.10321; Mendeley Data, 10.17632/pvn3xc3wy5.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, FileError
from pcgen.grids import Calorimeter
from pcgen.io.hdf5 import opened, values_of
from pcgen.io.hdf5_door import contents, needed, reading
from pcgen.io.image_source import Images, ShowerSource, floats
from pcgen.units import factor

_SHAPES = ((3, 96), (12, 12), (12, 6))
_HALF = 240.0
_SCALE = factor("GeV", "MeV")


def _edges(cells: int) -> list[float]:
    return [2 * _HALF * k / cells - _HALF for k in range(cells + 1)]


CALORIMETER = Calorimeter.planar(
    [_edges(x) for x, _ in _SHAPES], [_edges(y) for _, y in _SHAPES], depth=(-240, -150, 197, 240)
)
"""The three layers, 504 voxels."""


class CaloganFile(ShowerSource):
    """Showers of CaloGAN, in blocks: ``image`` [b, 504] and ``y`` [b, 1], in MeV.

    Args:
        path: File.
        calorimeter: Another place of the 504 voxels; None: :data:`CALORIMETER`.

    Raises:
        ArgumentError: the calorimeter has other voxels.
        FileError: the file is missing, truncated, or has other data sets or shapes.
    """

    def __init__(self, path: str | Path, calorimeter: Calorimeter | None = None) -> None:
        self.path, self.calorimeter = Path(path), calorimeter or CALORIMETER
        self.schema, self.shape = self.calorimeter.schema, (CALORIMETER.voxels,)
        if self.calorimeter.voxels != CALORIMETER.voxels:
            raise ArgumentError(
                f"calorimeter: got {self.calorimeter.voxels} voxels, expected the "
                f"{CALORIMETER.voxels} of {path}"
            )
        with opened(path) as self._file:
            names = ("energy", *(f"layer_{k}" for k in range(len(_SHAPES))))
            self._energy, *self._layers = sets = needed(self._file, names, self.path, "CaloGAN's")
            for name, data, shape in zip(names, sets, ((1,), *_SHAPES), strict=True):
                rows = data.shape[:1] if name == "energy" else (len(self),)
                if data.shape != (*rows, *shape):
                    raise FileError(
                        f"{self.path}: {name} has shape {data.shape}, expected "
                        f"{(*(rows or ('N',)), *shape)}"
                    )
            self.passed_over = contents(self._file, names, self.path)

    def __reduce__(self) -> tuple[type[CaloganFile], tuple[Path, Calorimeter | None]]:
        return CaloganFile, (self.path, self.calorimeter)

    def __len__(self) -> int:
        return int(self._energy.shape[0])

    def incident(self) -> Tensor:
        """Energy of the incoming particle of each shower [N] in MeV; the cells are not read."""
        return floats(values_of(self._energy, self.path)[:, 0], self.path) * _SCALE

    def _read(self, start: int, stop: int) -> Images:
        with reading(self.path):
            energy = self._energy[start:stop]
            layers = [layer[start:stop] for layer in self._layers]
        flat = [floats(layer, self.path).flatten(1) for layer in layers]
        return Images(torch.cat(flat, 1), floats(energy, self.path) * _SCALE)
