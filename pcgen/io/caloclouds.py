"""The layout of CaloClouds and CaloHadronic in HDF5: hits in tables with padding.

=========== ================== ====================================================================
data set    shape              values
=========== ================== ====================================================================
/energy     [n] or [n, 1]      energy of the incoming particle in GeV
/events     [n, P, 4] or       hits of each shower; rows without energy, before or behind the
            [n, 4, P]          others, are padding
/n_points   [n]                counts that are not relied on
=========== ================== ====================================================================

Both may have further axes of length 1 in front. What the four columns are is not in the file: x, y,
z in mm and the energy in GeV in data of CaloClouds, of which y or z is the depth; x, number of the
layer, z, energy in those of CaloHadronic.

Buhmann et al., CaloClouds II, arXiv:2309.05704; Buss et al., CaloHadronic, arXiv:2506.21720.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError, FileError
from pcgen.io.hdf5 import native, opened, values_of
from pcgen.io.hdf5_door import contents, data_set, needed, reading
from pcgen.io.hits import HitSource, filled, layer_numbers
from pcgen.io.image_source import floats
from pcgen.io.source import Array
from pcgen.io.table import name_and_unit
from pcgen.schema import Quantity, Schema
from pcgen.units import factor

COLUMNS = "x [mm],y [mm],z [mm],energy [GeV]"
_WIDTH = 4
_NUMBERS = 1 << 24
"""Numbers of a table that are in memory at a time; most of them may be padding."""


class CaloCloudsFile(HitSource):
    """Showers in the layout of CaloClouds, read in blocks; rows without energy are left out.

    Args:
        path: File.
        columns: What the four columns are, with units: ``energy``, and ``x``, ``y``, ``z`` or
            ``layer`` with ``x`` and ``y``. Where there is a layer, z = layer + 1/2 counts them.

    Raises:
        ArgumentError: ``columns`` are no such names.
        FileError: the file is missing, truncated, or has other data sets or shapes.
        DataError: a layer of a point is no whole number.
    """

    def __init__(self, path: str | Path, columns: str | None = None) -> None:
        self.path, self._text = Path(path), columns
        self.attrs: dict[str, Any] = {"layout": "CaloClouds"}
        quantities = _quantities(COLUMNS if columns is None else columns)
        self._place = {each.name: column for column, each in enumerate(quantities)}
        with opened(path) as self._file:
            self._open()
        axes = [each for each in quantities if each.name in "xyz"]
        if "layer" in self._place:
            axes.append(Quantity("z"))
        layers = range(self._scan().layers) if "layer" in self._place else ()
        self.schema = Schema(
            axes=tuple(sorted(axes, key=lambda axis: axis.name)),
            weight=quantities[self._place["energy"]],
            condition=(Quantity("incident_energy", "GeV"),),
            layers=tuple(map(str, layers)),
            description="hits of showers in CaloClouds's layout, with columns "
            + ("of its convention" if columns is None else "as given"),
        )

    def _open(self) -> None:
        names = ("events", "energy")
        self._events, energy = needed(self._file, names, self.path, "CaloClouds's")
        shape, front = self._events.shape, max(self._events.ndim - 3, 0)
        if len(shape) < 3 or any(length != 1 for length in shape[:front]):
            raise FileError(
                f"{self.path}: events has shape {shape}, expected [n, P, 4] or [n, 4, P]"
            )
        self._front = (0,) * front
        self._number, *table = shape[front:]
        if table.count(_WIDTH) != 1:
            both = ", and not both" if table.count(_WIDTH) else ""
            raise FileError(
                f"{self.path}: events has shape {shape}, expected [n, P, 4] or [n, 4, P]{both}"
            )
        self._across = table[0] == _WIDTH  # columns come before points
        if self._events.dtype.kind not in "iuf":
            raise FileError(f"{self.path}: events holds {self._events.dtype}, expected numbers")
        if math.prod(energy.shape) != self._number:
            raise FileError(
                f"{self.path}: energy has shape {energy.shape}, expected that of each of the "
                f"{self._number} events"
            )
        self._energy = floats(values_of(energy, self.path).reshape(-1, 1), self.path)
        counts = data_set(self._file, "n_points", self.path)
        known = {"events", "energy", *(["n_points"] if counts is not None else [])}
        self.passed_over = contents(self._file, known, self.path)

    def __reduce__(self) -> tuple[type[CaloCloudsFile], tuple[Path, str | None]]:
        return CaloCloudsFile, (self.path, self._text)

    def __len__(self) -> int:
        return int(self._number)

    def _read(self, start: int, stop: int) -> Batch:
        step = max(_NUMBERS // max(math.prod(self._events.shape[-2:]), 1), 1)
        parts = [self._part(first, min(first + step, stop)) for first in range(start, stop, step)]
        return (
            convention.concat(parts) if len(parts) > 1 else (parts or [self._part(start, stop)])[0]
        )

    def _part(self, start: int, stop: int) -> Batch:
        with reading(self.path):
            table: Array = self._events[(*self._front, slice(start, stop))]
        table = native(table.swapaxes(1, 2) if self._across else table, f"{self.path}: /events")
        flat = table.reshape(-1, _WIDTH)
        rows = np.full(stop - start, table.shape[1])
        points, sizes = filled(flat[:, self._place["energy"]], rows, start, self.path)
        hits = flat[points]
        values, layer = floats(hits, self.path), None
        columns = {name: values[:, column] for name, column in self._place.items()}
        if "layer" in self._place:
            layer = layer_numbers(hits[:, self._place["layer"]], sizes, start, self.path)
            columns["z"] = layer.to(values.dtype) + 0.5
        axes: list[Tensor] = [columns[name] for name in "xyz"]
        return convention.make(
            torch.stack(axes, 1),
            torch.from_numpy(sizes),
            weight=columns["energy"].contiguous(),
            layer=layer,
            y=self._energy[start:stop],
        )


def _quantities(text: str) -> tuple[Quantity, ...]:
    """What the columns of the table are.

    Raises:
        ArgumentError: they are other than a reader can use.
    """
    found = tuple(Quantity(*name_and_unit(word.strip())) for word in text.split(","))
    names = {each.name for each in found}
    if len(found) != _WIDTH or names not in ({*"xyz", "energy"}, {*"xy", "layer", "energy"}):
        raise ArgumentError(
            f"columns: got {text!r}, expected energy with x, y and z or with x, y and layer, in "
            f"the order of the file, each with its unit; for instance {COLUMNS!r}"
        )
    for each in found:
        if each.name != "layer":
            factor(each.unit, "GeV" if each.name == "energy" else "mm", f"columns: {each.name}")
    return tuple(dataclasses.replace(q, unit="") if q.name == "layer" else q for q in found)
