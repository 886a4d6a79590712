"""The CaloChallenge's layout of showers in HDF5.

================== ====== =====================================================
data set           shape  values
================== ====== =====================================================
/incident_energies [N, 1] energy of the incoming particle in MeV
/showers           [N, V] energies of the voxels in MeV, in the order of
                          :class:`~pcgen.grids.Calorimeter`
================== ====== =====================================================

Krause et al., CaloChallenge 2022: A Community Challenge for Fast Calorimeter Simulation,
arXiv:2410.21611.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from pcgen.errors import FileError
from pcgen.grids import Calorimeter
from pcgen.io.hdf5 import opened, reading
from pcgen.io.image_source import Images, ImageSource, floats


class ShowerFile(ImageSource):
    """A file of showers, read in blocks: ``image`` [b, V] and ``y`` [b, 1], the incident energy.

    Args:
        path: File.
        calorimeter: The voxels that it must have.

    Raises:
        FileError: the file is missing, truncated, or has other data sets or shapes.
    """

    def __init__(self, path: str | Path, calorimeter: Calorimeter) -> None:
        self.path, self.calorimeter = Path(path), calorimeter
        self.shape, self.schema = (calorimeter.voxels,), calorimeter.schema
        with opened(path) as self._file:
            self._showers = self._data("showers", calorimeter.voxels)
            self._incident = self._data("incident_energies", 1)
            if len(self._incident) != len(self._showers):
                raise FileError(
                    f"{self.path}: incident_energies has {len(self._incident)} rows, "
                    f"expected the {len(self._showers)} of showers"
                )

    def __reduce__(self) -> tuple[type[ShowerFile], tuple[Path, Calorimeter]]:
        return ShowerFile, (self.path, self.calorimeter)

    def __len__(self) -> int:
        return int(self._showers.shape[0])

    def close(self) -> None:
        self._file.close()

    def _read(self, start: int, stop: int) -> Images:
        with reading(self.path):
            showers, incident = self._showers[start:stop], self._incident[start:stop]
        return Images(floats(showers, self.path), floats(incident, self.path))

    def _data(self, name: str, columns: int) -> h5py.Dataset:
        data = self._file.get(name)
        if not isinstance(data, h5py.Dataset):
            raise FileError(
                f"{self.path}: got the data sets {', '.join(self._file) or 'none'}, "
                "expected CaloChallenge's showers and incident_energies"
            )
        if data.ndim != 2 or data.shape[1] != columns:
            raise FileError(f"{self.path}: {name} has shape {data.shape}, expected [N, {columns}]")
        return data


def read_showers(path: str | Path, calorimeter: Calorimeter) -> Images:
    """All showers of a file: ``image`` [N, V] and ``y`` [N, 1], the incident energy, in MeV.

    Raises:
        FileError: the file is missing, truncated, or has other data sets or shapes.
        DataError: an energy is negative or not finite; names the event.
    """
    with ShowerFile(path, calorimeter) as file:
        return file.read()
