"""ShowerData's layout of showers in HDF5: hits as rows of their own lengths, incident particles.

=============== ================ ===================================================================
data set        shape            values
=============== ================ ===================================================================
/showers        [N] rows f4      n times x, y in mm, layer, energy in GeV, and perhaps a time
/shape          [3] whole        N, points of the largest shower, columns (4 or 5)
/energies       [N, 1] f4        energy of the incoming particle in GeV
/directions     [N, 3] f4        its direction, a unit vector
/pdg            [N] i4           its number in the scheme of the Particle Data Group; 0: not known
/shower_ids     [N] i4           numbers of the showers
/num_points     [N] i4           points of each shower
=============== ================ ===================================================================

Points of clouds are (x, y, z = layer + 1/2); their condition is the energy and the direction of the
incoming particle, their class what it is. The unit of the time is not stated in such files.

Buss et al., ShowerData, https://github.com/FLC-QU-hep/ShowerData, version 0.7.0.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import FileError
from pcgen.io.hdf5 import native, opened, values_of
from pcgen.io.hdf5_door import contents, data_set, listed
from pcgen.io.hdf5_ragged import ragged_set
from pcgen.io.hits import HitSource, filled, layer_numbers
from pcgen.io.image_source import floats
from pcgen.schema import Quantity, Schema

Array = np.ndarray[Any, Any]
PARTICLES = {
    11: "e-", -11: "e+", 22: "gamma", 130: "K_L0", 211: "pi+", -211: "pi-", 321: "K+", -321: "K-",
    2112: "n", -2112: "nbar", 2212: "p", -2212: "pbar",
}  # fmt: skip
"""Names of the particles that calorimeters are hit by, by |number|, then particle before its
antiparticle; the classes of a file, in this order. Others are called by their number."""

DIRECTION = tuple(Quantity(f"direction_{axis}") for axis in "xyz")
INCIDENT = Quantity("incident_energy", "GeV")
HITS = Schema(
    axes=(Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z")),
    weight=Quantity("energy", "GeV"),
    condition=(INCIDENT, *DIRECTION),
    description="hits of showers in ShowerData's layout",
)
TIME = Quantity("time")
_NAMES = ("showers", "shape", "energies", "directions", "pdg")
_BESIDE = ("shower_ids", "num_points")


class ShowerDataFile(HitSource):
    """Showers in ShowerData's layout, read in blocks.

    Rows without energy are left out wherever they are. Files do not say how many layers there are,
    unless observables by layer lie beside: otherwise all hits are read once to know it.

    Args:
        path: File.

    Raises:
        FileError: the file is missing, truncated, or lacks a data set or has one of another shape.
        DataError: a particle has no whole number, or a layer of a point none.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.attrs: dict[str, Any] = {"layout": "ShowerData"}
        self._warned = False
        with opened(path) as self._file:
            self._open()

    def _open(self) -> None:
        found = ragged_set(self._file, "showers", self.path)
        sets = {n: data_set(self._file, n, self.path) for n in _NAMES[1:]}
        self._sets = {name: data for name, data in sets.items() if data is not None}
        if found is None or len(self._sets) < len(sets):
            raise FileError(
                f"{self.path}: got the data sets {listed(self._file, self.path)}, expected "
                f"ShowerData's {', '.join(_NAMES)}"
            )
        self._showers = found
        for name in _BESIDE:
            data = data_set(self._file, name, self.path)
            if data is not None and data.shape[:1] != (len(self),):
                raise FileError(
                    f"{self.path}: {name} has shape {data.shape}, expected [{len(self)}]"
                )
        shape = self._table("shape", (3,), "iu")
        self._columns = int(shape[2])
        if int(shape[0]) != len(self) or self._columns not in (4, 5):
            raise FileError(
                f"{self.path}: shape is {shape.tolist()}, expected [{len(self)}, points, 4 or 5]"
            )
        ragged = found.lengths % self._columns != 0
        if ragged.any():
            event = int(ragged.argmax())
            raise FileError(
                f"{self.path}: shower {event} has {found.lengths[event]} numbers, expected a "
                f"multiple of {self._columns}"
            )
        incident = self._table("energies", (len(self), 1), "f")
        direction = self._table("directions", (len(self), 3), "f")
        self._y = torch.cat([floats(each, self.path) for each in (incident, direction)], 1)
        self._label, labels = self._particles()
        beside = data_set(self._file, "observables/num_points_per_layer", self.path)
        layers = self._scan().layers if beside is None or beside.ndim != 2 else beside.shape[1]
        self.schema = dataclasses.replace(
            HITS,
            features=(TIME,) if self._columns == 5 else (),
            labels=labels,
            layers=tuple(map(str, range(layers))),
        )
        self.passed_over = contents(self._file, {*_NAMES, *_BESIDE}, self.path)

    def __reduce__(self) -> tuple[type[ShowerDataFile], tuple[Path]]:
        return ShowerDataFile, (self.path,)

    def __len__(self) -> int:
        return len(self._showers.lengths)

    def labels(self) -> Tensor | None:
        """Class of each shower [N], None where the particles are not known."""
        return self._label

    def close(self) -> None:
        self._file.close()

    def _read(self, start: int, stop: int) -> Batch:
        rows = self._showers.lengths[start:stop] // self._columns
        values = native(self._showers.read(start, stop), f"{self.path}: /showers")
        hits = values.reshape(-1, self._columns)
        points, sizes = filled(hits[:, 3], rows, start, self.path)
        self._warn(not points.all())
        hits = hits[points]
        layer = layer_numbers(hits[:, 2], sizes, start, self.path)
        columns = floats(hits, self.path)
        pos = torch.stack([columns[:, 0], columns[:, 1], layer.to(columns.dtype) + 0.5], 1)
        return convention.make(
            pos,
            torch.from_numpy(sizes),
            weight=columns[:, 3].contiguous(),
            x=columns[:, 4:].contiguous() if self._columns == 5 else None,
            layer=layer,
            y=self._y[start:stop],
            label=None if self._label is None else self._label[start:stop],
        )

    def _warn(self, empty: bool) -> None:
        """A point without energy took the place of the last one when the file was written."""
        if empty and not self._warned:
            self._warned = True
            warnings.warn(
                f"{self.path}: points without energy are left out; ShowerData counts points with "
                "energy and stores so many rows, so as many points behind them were lost when the "
                "file was written",
                stacklevel=2,
            )

    def _table(self, name: str, shape: tuple[int, ...], kinds: str) -> Array:
        """All values of a data set of this shape."""
        data = self._sets[name]
        if data.shape != shape or data.dtype.kind not in kinds:
            raise FileError(
                f"{self.path}: {name} has shape {data.shape} of {data.dtype}, expected {shape}"
            )
        return native(values_of(data, self.path), f"{self.path}: /{name}")

    def _particles(self) -> tuple[Tensor | None, tuple[str, ...]]:
        """Class of each shower, None where no particle is known, and the names of the classes."""
        flat = self._sets["pdg"].ndim == 1
        numbers = self._table("pdg", (len(self),) if flat else (len(self), 1), "iu").reshape(-1)
        if not numbers.any():
            return None, ()
        others = sorted({*np.unique(numbers).tolist()} - {*PARTICLES}, key=lambda n: (abs(n), -n))
        order = [*PARTICLES, *others]
        places = {number: place for place, number in enumerate(order)}
        names = tuple(PARTICLES.get(number, str(number)) for number in order)
        return torch.tensor([places[number] for number in numbers.tolist()]), names
