"""The CMS HGCal challenge's layout of showers in HDF5.

=========== ============ ==========================================================================
data set    shape        values
=========== ============ ==========================================================================
/showers    [N, L, n]    energies in GeV of the cells of each layer, in the order of its list;
                         behind the last cell of a layer there are zeros
/gen_info   [N, 3]       of the incoming particle: energy in GeV, pseudorapidity and azimuth
=========== ============ ==========================================================================

Where the cells are is not part of the file: :func:`pcgen.io.geometry.read_calorimeter` reads it.
Energies are given in MeV here, the unit of :class:`~pcgen.grids.Calorimeter`.

Amram, Pedro et al., CMS HGCal calorimeter challenge, https://github.com/OzAmram/HGCalShowers.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import h5py
import torch
from torch import Tensor

from pcgen.bounds import CELLS
from pcgen.errors import DataError, FileError
from pcgen.grids import Calorimeter
from pcgen.io.calochallenge import SHOWERS
from pcgen.io.hdf5 import opened, values_of
from pcgen.io.hdf5_door import contents, data_set, listed, reading
from pcgen.io.image_source import Images, ShowerSource, floats
from pcgen.schema import Quantity, Schema
from pcgen.units import factor

CONDITION = (
    Quantity("incident_energy", "MeV"),
    Quantity("eta"),
    Quantity("phi", "rad", 2 * math.pi),
)
_SCALE = factor("GeV", "MeV")


class HgcalFile(ShowerSource):
    """Showers of the HGCal challenge, in blocks: ``image`` [b, V] and ``y`` [b, 3], in MeV.

    Args:
        path: File.
        calorimeter: Lists of cells, of as many layers, none longer than a row of the file; None:
            the rows of the file are the voxels, whose places are not known.

    Raises:
        FileError: the file is missing, truncated, has other data sets or shapes, or the calorimeter
            has other layers.
    """

    def __init__(self, path: str | Path, calorimeter: Calorimeter | None = None) -> None:
        self.path, self.calorimeter = Path(path), calorimeter
        schema: Schema = SHOWERS if calorimeter is None else calorimeter.schema
        self.schema = dataclasses.replace(schema, condition=CONDITION)
        with opened(path) as self._file:
            self._showers, self._particle = self._data("showers", 3), self._data("gen_info", 2)
            number, layers, longest = self._showers.shape
            if self._particle.shape != (number, len(CONDITION)):
                raise FileError(
                    f"{self.path}: gen_info has shape {self._particle.shape}, expected "
                    f"({number}, {len(CONDITION)})"
                )
            CELLS.check(layers * longest, str(self.path))
            cells = [layer.cells for layer in calorimeter.layers] if calorimeter else []
            counts = [math.prod(each) for each in cells]
            if calorimeter and (len(counts) != layers or max(counts) > longest):
                raise FileError(
                    f"{self.path}: showers has {layers} layers of up to {longest} cells, expected "
                    f"the {len(counts)} of up to {max(counts)} of the calorimeter"
                )
            self.passed_over = contents(self._file, {"showers", "gen_info"}, self.path)
        self.shape = (sum(counts) if calorimeter else layers * longest,)
        self._real = None
        if calorimeter:
            self._real = torch.arange(longest) < torch.tensor(counts)[:, None]  # [L, n]

    def __reduce__(self) -> tuple[type[HgcalFile], tuple[Path, Calorimeter | None]]:
        return HgcalFile, (self.path, self.calorimeter)

    def __len__(self) -> int:
        return int(self._showers.shape[0])

    def incident(self) -> Tensor:
        """Energy of the incoming particle of each shower [N] in MeV; the cells are not read."""
        return floats(values_of(self._particle, self.path)[:, 0], self.path) * _SCALE

    def _read(self, start: int, stop: int) -> Images:
        with reading(self.path):
            cells, particle = self._showers[start:stop], self._particle[start:stop]
        energies, y = floats(cells, self.path) * _SCALE, floats(particle, self.path)
        y = torch.cat([y[:, :1] * _SCALE, y[:, 1:]], 1)
        if self._real is None:
            return Images(energies.flatten(1), y)
        padding = energies[:, ~self._real]
        if bool((padding != 0).any()):
            event = int((padding != 0).any(1).nonzero()[0])
            raise DataError(
                f"{self.path}: showers of event {start + event} has energies behind the last cell "
                "of a layer, expected those of the cells of the calorimeter alone"
            )
        return Images(energies[:, self._real], y)

    def _data(self, name: str, dimensions: int) -> h5py.Dataset:
        data = data_set(self._file, name, self.path)
        if data is None or data.ndim != dimensions:
            shape = "none" if data is None else f"one of shape {data.shape}"
            raise FileError(
                f"{self.path}: got the data sets {listed(self._file, self.path)} ({name}: "
                f"{shape}), expected the HGCal challenge's showers [N, L, n] and gen_info [N, 3]"
            )
        return data
