"""The CaloChallenge's layout of showers in HDF5.

================== ====== =====================================================
data set           shape  values
================== ====== =====================================================
/incident_energies [N, 1] energy of the incoming particle in MeV
/showers           [N, V] energies of the voxels in MeV, in the order of
                          :class:`~pcgen.grids.Calorimeter`
================== ====== =====================================================

Where the voxels are stands in an XML file beside it. Files that pcgen wrote know it themselves:
they have the attributes of :mod:`pcgen.io.hdf5` with ``format = "pcgen-showers"``, and the
calorimeter under ``attrs``. Other readers of the layout pass over attributes.

Krause et al., CaloChallenge 2022: A Community Challenge for Fast Calorimeter Simulation,
arXiv:2410.21611.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.grids import Calorimeter
from pcgen.io.atomic import atomic
from pcgen.io.hdf5 import Hdf5Output, header, opened, read_header, values_of
from pcgen.io.hdf5_door import attribute, contents, needed, reading
from pcgen.io.image_source import Images, ShowerSink, ShowerSource, floats
from pcgen.io.source import Array
from pcgen.schema import Quantity, Schema

FORMAT = "pcgen-showers"
VERSION = 1

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
            of one particle; None: those that the file knows, or any number of voxels, whose places
            are not known.

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
        with opened(path) as self._file:
            own = self._header()
            self.calorimeter = calorimeter = calorimeter or own
            self.schema = SHOWERS if calorimeter is None else calorimeter.schema
            names = ("showers", "incident_energies")
            sets = needed(self._file, names, self.path, "CaloChallenge's")
            voxels = calorimeter.voxels if calorimeter else None
            for name, data, columns in zip(names, sets, (voxels, 1), strict=True):
                if data.ndim != 2 or columns not in (None, data.shape[1]):
                    wanted = f"[N, {columns or 'V'}]"
                    raise FileError(
                        f"{self.path}: {name} has shape {data.shape}, expected {wanted}"
                    )
            self._showers, self._incident = sets
            if len(self._incident) != len(self._showers):
                raise FileError(
                    f"{self.path}: incident_energies has {len(self._incident)} rows, "
                    f"expected the {len(self._showers)} of showers"
                )
            self.passed_over = contents(self._file, names, self.path)
        self.shape = self._showers.shape[1:]

    def __reduce__(self) -> tuple[type[ShowerFile], tuple[Path, Calorimeter | None]]:
        return ShowerFile, (self.path, self.calorimeter)

    def __len__(self) -> int:
        return int(self._showers.shape[0])

    def incident(self) -> Tensor:
        """Incident energy of each shower [B] in MeV; the voxels are not read."""
        return floats(values_of(self._incident, self.path)[:, 0], self.path)

    def _read(self, start: int, stop: int) -> Images:
        with reading(self.path):
            showers, incident = self._showers[start:stop], self._incident[start:stop]
        return Images(floats(showers, self.path), floats(incident, self.path))

    def _header(self) -> Calorimeter | None:
        """The calorimeter that the file knows, if pcgen wrote it."""
        if attribute(self._file, "format", self.path) is None:
            return None
        _, attrs = read_header(self._file, self.path, FORMAT, VERSION)
        try:
            own = Calorimeter.from_dict(attrs.pop("calorimeter", {}))
        except DataError as error:
            raise FileError(f"{self.path}: {error}") from error
        self.attrs = attrs
        return own


class ShowerWriter(ShowerSink):
    """Writes showers in the challenge's layout, float32 in MeV; use it in a ``with`` statement.

    Args:
        path: File.
        calorimeter: The voxels, which the file will know.
        attrs: Further facts to store, anything that JSON can say.

    >>> import tempfile
    >>> cells = Calorimeter.planar([(0, 1)], [(0, 1, 2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with ShowerWriter(f"{folder}/a.hdf5", cells) as writer:
    ...         writer.append(Images(torch.tensor([[1.0, 0.0]]), torch.tensor([[7.0]])))
    ...     with ShowerFile(f"{folder}/a.hdf5") as file:
    ...         file.read().image.tolist(), file.incident().tolist(), file.calorimeter == cells
    ([[1.0, 0.0]], [7.0], True)
    """

    def __init__(
        self, path: str | Path, calorimeter: Calorimeter, attrs: Mapping[str, Any] | None = None
    ) -> None:
        self.path, self.schema, self._voxels = Path(path), calorimeter.schema, calorimeter.voxels
        facts = {**(attrs or {}), "calorimeter": calorimeter.to_dict()}
        self._header = header(FORMAT, VERSION, self.schema, facts)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary, Hdf5Output(temporary) as self._file:
            self._file.describe(self._header)
            yield
            if self.written == 0:
                self._append(Images(torch.zeros(0, self._voxels), torch.zeros(0, 1)))

    def _append(self, block: Images) -> int:
        image, y = block.image, block.y
        if y is None or image.shape[1:] != (self._voxels,) or y.shape != (len(image), 1):
            got = None if y is None else tuple(y.shape)
            raise DataError(
                f"{self.path}: got showers {tuple(image.shape)} with incident energies {got}, "
                f"expected [b, {self._voxels}] and [b, 1]"
            )
        for name, value in (("showers", image), ("incident_energies", y)):
            self._file.extend(name, self._narrowed(name, value))
        return len(image)

    def _narrowed(self, name: str, value: Tensor) -> Array:
        """Energies as float32, none of which may become infinite by it."""
        narrow = value.detach().cpu().float()
        if not bool(narrow.isfinite().all()):
            event, column = (int(number) for number in (~narrow.isfinite()).nonzero()[0])
            raise DataError(
                f"{self.path}: {name} of event {self.written + event} is "
                f"{float(value[event, column])} MeV, expected values that float32 holds"
            )
        return narrow.numpy()


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
