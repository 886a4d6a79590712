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
from torch import Tensor

from pcgen.errors import ArgumentError, FileError
from pcgen.grids import Calorimeter
from pcgen.io.hdf5 import opened, values_of
from pcgen.io.hdf5_door import contents, data_set, listed, reading
from pcgen.io.image_source import Images, ShowerSource, floats
from pcgen.schema import Quantity, Schema

SHOWERS = Schema(
    axes=(),
    weight=Quantity("energy", "MeV"),
    condition=(Quantity("incident_energy", "MeV"),),
    description="showers of the CaloChallenge's layout, whose voxels have no places yet",
)


class ShowerFile(ShowerSource):
    """A file of showers, read in blocks: ``image`` [b, V] and ``y`` [b, 1], the incident energy.

    Args:
        path: File.
        calorimeter: The voxels that it must have, or the path of an XML file that describes those
            of one particle; None: any number of voxels, whose places are not known.

    Raises:
        ArgumentError: ``calorimeter`` is neither a calorimeter nor a path.
        FileError: a file is missing, truncated, or has other data sets or shapes.
    """

    def __init__(
        self, path: str | Path, calorimeter: Calorimeter | str | Path | None = None
    ) -> None:
        if isinstance(calorimeter, (str, Path)):
            calorimeter = Calorimeter.from_xml(calorimeter)
        if not isinstance(calorimeter, (Calorimeter, type(None))):
            raise ArgumentError(
                f"calorimeter: got a {type(calorimeter).__name__}, expected a Calorimeter or the "
                "path of an XML file of the binning"
            )
        self.path, self.calorimeter = Path(path), calorimeter
        self.schema = SHOWERS if calorimeter is None else calorimeter.schema
        with opened(path) as self._file:
            self._showers = self._data("showers", calorimeter.voxels if calorimeter else None)
            self._incident = self._data("incident_energies", 1)
            if len(self._incident) != len(self._showers):
                raise FileError(
                    f"{self.path}: incident_energies has {len(self._incident)} rows, "
                    f"expected the {len(self._showers)} of showers"
                )
            self.passed_over = contents(self._file, {"showers", "incident_energies"}, self.path)
        self.shape = self._showers.shape[1:]

    def __reduce__(self) -> tuple[type[ShowerFile], tuple[Path, Calorimeter | None]]:
        return ShowerFile, (self.path, self.calorimeter)

    def __len__(self) -> int:
        return int(self._showers.shape[0])

    def incident(self) -> Tensor:
        """Incident energy of each shower [B] in MeV; the voxels are not read."""
        return floats(values_of(self._incident, self.path)[:, 0], self.path)

    def close(self) -> None:
        self._file.close()

    def _read(self, start: int, stop: int) -> Images:
        with reading(self.path):
            showers, incident = self._showers[start:stop], self._incident[start:stop]
        return Images(floats(showers, self.path), floats(incident, self.path))

    def _data(self, name: str, columns: int | None) -> h5py.Dataset:
        data = data_set(self._file, name, self.path)
        if data is None:
            raise FileError(
                f"{self.path}: got the data sets {listed(self._file, self.path)}, "
                "expected CaloChallenge's showers and incident_energies"
            )
        if data.ndim != 2 or columns not in (None, data.shape[1]):
            wanted = f"[N, {columns or 'V'}]"
            raise FileError(f"{self.path}: {name} has shape {data.shape}, expected {wanted}")
        return data


def read_showers(path: str | Path, calorimeter: Calorimeter | str | Path) -> Images:
    """All showers of a file: ``image`` [N, V] and ``y`` [N, 1], the incident energy, in MeV.

    Args:
        path: File.
        calorimeter: Its voxels, or the path of an XML file that describes those of one particle.

    Raises:
        ArgumentError: ``calorimeter`` is neither a calorimeter nor a path.
        FileError: a file is missing, truncated, or has other data sets or shapes.
        DataError: an energy is negative or not finite; names the event.
    """
    with ShowerFile(path, calorimeter) as file:
        return file.read()
