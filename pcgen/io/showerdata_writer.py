"""Writes showers in ShowerData's layout, see :mod:`pcgen.io.showerdata`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError, DataError
from pcgen.io.atomic import atomic
from pcgen.io.hdf5 import Hdf5Output
from pcgen.io.hits import layer_numbers
from pcgen.io.showerdata import DIRECTION, HITS, INCIDENT, PARTICLES, TIME
from pcgen.io.source import CloudSink
from pcgen.schema import Quantity, Schema
from pcgen.units import factor

Array = np.ndarray[Any, Any]
_VERSION = "0.7.0"


class ShowerDataWriter(CloudSink):
    """Writes clouds as showers in ShowerData's layout; use it in a ``with`` statement.

    Units are converted. Where the condition has no direction it is (0, 0, 1), and where clouds have
    no class the particle's number is 0. Clouds have layers, or z counts them.

    Args:
        path: File.
        schema: What the clouds mean: x, y, a layer or z that counts layers, an energy; the
            condition ``incident_energy`` and perhaps ``direction_x``, ``direction_y`` and
            ``direction_z``; a feature ``time``; classes that are particles, by the names of
            :data:`pcgen.io.showerdata.PARTICLES` or by their numbers.

    Raises:
        ArgumentError: the clouds have other numbers, or units that cannot be converted.

    >>> import tempfile
    >>> from pcgen.io.showerdata import ShowerDataFile
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
