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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.atomic import atomic
from pcgen.io.hdf5 import Hdf5Output, native, opened, values_of
from pcgen.io.hdf5_door import contents, data_set, listed
from pcgen.io.hdf5_ragged import ragged_set
from pcgen.io.hits import HitSource, filled, layer_numbers
from pcgen.io.image_source import floats
from pcgen.io.source import Array, CloudSink
from pcgen.schema import Quantity, Schema
from pcgen.units import factor

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
_VERSION = "0.7.0"  # of ShowerData, in written files
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


class ShowerDataWriter(CloudSink):
    """Writes clouds as showers in ShowerData's layout; use it in a ``with`` statement.

    Units are converted. Where the condition has no direction it is (0, 0, 1), and where clouds have
    no class the particle's number is 0. Clouds have layers, or z counts them.

    Args:
        path: File.
        schema: What the clouds mean: x, y, a layer or z that counts layers, an energy; the
            condition ``incident_energy`` and perhaps ``direction_x``, ``direction_y`` and
            ``direction_z``; a feature ``time``; classes that are particles, by the names of
            :data:`PARTICLES` or by their numbers.

    Raises:
        ArgumentError: the clouds have other numbers, or units that cannot be converted.

    >>> import tempfile
    >>> hit = convention.make(
    ...     torch.tensor([[3.0, 4.0, 2.5]]),
    ...     [1],
    ...     weight=torch.tensor([0.25]),
    ...     y=torch.tensor([[9.0, 0.0, 0.0, 1.0]]),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with ShowerDataWriter(f"{folder}/a.h5", HITS) as writer:
    ...         writer.append(hit)
    ...     with ShowerDataFile(f"{folder}/a.h5") as file:
    ...         file.read().pos.tolist(), file.read().layer.tolist(), file.schema.layers
    ([[3.0, 4.0, 2.5]], [2], ('0', '1', '2'))
    """

    def __init__(self, path: str | Path, schema: Schema) -> None:
        self.path, self.schema, self._largest = Path(path), schema, 0
        if schema.weight is None:
            raise ArgumentError(f"{path}: got clouds without a weight, expected energies in GeV")
        self._plane = [_found("axes", axis, schema.axes, path) for axis in HITS.axes[:2]]
        self._energy = factor(schema.weight.unit, "GeV", f"{path}: {schema.weight.name}")
        self._incident = _found("condition", INCIDENT, schema.condition, path)
        known = {each.name: column for column, each in enumerate(schema.condition)}
        self._direction = [known[each.name] for each in DIRECTION if each.name in known]
        if len(self._direction) not in (0, len(DIRECTION)):
            names = ", ".join(each.name for each in DIRECTION)
            raise ArgumentError(f"{path}: condition has some of {names}, expected all or none")
        self._z = next(
            (k for k, each in enumerate(schema.axes) if (each.name, each.unit) == ("z", "")), None
        )
        features = [each.name for each in schema.features]
        self._time = features.index(TIME.name) if TIME.name in features else None
        numbers = {name: number for number, name in PARTICLES.items()}
        self._pdg = [_number(name, numbers, path) for name in schema.labels]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary, Hdf5Output(temporary) as self._file:
            self._file.describe({"showerdata_version": _VERSION})
            yield
            if self.written == 0:
                self._write([], np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
            columns = 4 if self._time is None else 5
            self._file.extend("shape", np.array([self.written, self._largest, columns], np.int64))

    def _append(self, block: Batch) -> int:
        sizes, y = convention.sizes(block), block.get("y")
        wanted = ("weight", "y") if self._time is None else ("weight", "y", "x")
        lacking = [name for name in wanted if block.get(name) is None]
        if lacking:
            raise DataError(f"{self.path}: got clouds without {', '.join(lacking)}, expected it")
        column, scale = self._incident
        incident = y[:, column : column + 1].double() * scale
        direction = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.double).repeat(len(sizes), 1)
        if self._direction:
            direction = y[:, self._direction].double()
        particle = torch.cat([incident, direction], 1).float().cpu().numpy()
        pdg = np.zeros(len(sizes), np.int32)
        if self._pdg and block.get("label") is not None:
            pdg = np.array(self._pdg, np.int32)[block.label.cpu().numpy()]
        ends = sizes.cumsum(0)[:-1].tolist()
        self._write(np.split(self._hits(block), ends) if len(sizes) else [], particle, pdg)
        return len(sizes)

    def _hits(self, block: Batch) -> Array:
        """The rows of all points, float32.

        Raises:
            DataError: an energy is 0, or float32 does not hold it; or there are no layers.
        """
        columns = [block.pos[:, column].double() * scale for column, scale in self._plane]
        columns += [self._layer(block).double(), block.weight.double() * self._energy]
        if self._time is not None:
            columns.append(block.x[:, self._time].double())
        hits = torch.stack(columns, 1).float().cpu().numpy()
        bad = ~(np.isfinite(hits[:, 3]) & (hits[:, 3] > 0))
        if bad.any():
            row = int(bad.argmax())
            event = self.written + int(block.batch[row])
            raise DataError(
                f"{self.path}: weight of a point of event {event} is {float(block.weight[row])}, "
                "expected positive values that float32 holds in GeV: readers of the layout take "
                "points of energy 0 for padding"
            )
        return hits

    def _layer(self, block: Batch) -> Tensor:
        """Layer of each point [N]."""
        layer: Tensor | None = block.get("layer")
        if layer is not None:
            return layer
        if self._z is None:
            raise DataError(
                f"{self.path}: got clouds without layer, whose z is a length; expected a layer, or "
                "z that counts layers"
            )
        z, sizes = block.pos[:, self._z].double().cpu(), convention.sizes(block).cpu()
        return layer_numbers(z.floor().numpy(), sizes.numpy(), self.written, self.path)

    def _write(self, hits: Sequence[Array], particle: Array, pdg: Array) -> None:
        sizes = np.array([len(each) for each in hits], np.int32)
        self._largest = max(self._largest, int(sizes.max(initial=0)))
        self._file.extend_ragged("showers", [each.reshape(-1) for each in hits])
        plain = {
            "energies": particle[:, :1],
            "directions": particle[:, 1:],
            "pdg": pdg,
            "shower_ids": np.arange(self.written, self.written + len(hits), dtype=np.int32),
            "num_points": sizes,
        }
        for name, value in plain.items():
            self._file.extend(name, value, compression=0)


def _found(
    field: str, wanted: Quantity, among: Sequence[Quantity], path: str | Path
) -> tuple[int, float]:
    """Column of a quantity, and the factor to its unit."""
    for column, each in enumerate(among):
        if each.name == wanted.name:
            return column, factor(each.unit, wanted.unit, f"{path}: {each.name}")
    known = ", ".join(each.name for each in among) or "none"
    raise ArgumentError(f"{path}: got the {field} {known}, expected {wanted.label} among them")


def _number(name: str, numbers: dict[str, int], path: str | Path) -> int:
    """Number of a particle by its name, or by the number itself."""
    if name in numbers:
        return numbers[name]
    if name.removeprefix("-").isdecimal() and abs(int(name)) < 2**31:
        return int(name)
    raise ArgumentError(
        f"{path}: got the class {name!r}, expected particles by name or number: "
        f"{', '.join(numbers)}, 13"
    )
