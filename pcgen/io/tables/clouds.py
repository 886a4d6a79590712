r"""Columns of some clouds to a batch of clouds: derived quantities, cuts, categories, axes.

For a momentum :math:`(p_x, p_y, p_z)`: :math:`p_T = \sqrt{p_x^2 + p_y^2}`,
:math:`\eta = \mathrm{arsinh}(p_z / p_T)`, :math:`\phi = \mathrm{atan2}(p_y, p_x)`. Relative to
an axis, periodic coordinates lie within half a period of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import DataError
from pcgen.io.beside import classes
from pcgen.io.hdf5 import native
from pcgen.io.image_source import floats
from pcgen.io.source import Array
from pcgen.io.tables.grouping import Block, common_sizes
from pcgen.io.tables.mapping import Columns, Points
from pcgen.io.tables.table import pointer
from pcgen.io.tables.terms import OTHER, Layer, Term


@dataclass(frozen=True)
class _Part:
    """The points of one part, cut.

    Attributes:
        values: Values of each attribute [n, ...].
        momentum: [n, 3] or [n, 0].
        sizes: Points of each cloud [B].
    """

    values: dict[str, Array]
    momentum: Array
    sizes: Array


def clouds_of(block: Block, columns: Columns, first: int, path: Path) -> Batch:
    """The clouds of a block of columns.

    Args:
        block: The columns.
        columns: What they are.
        first: Number of the first cloud, for messages.
        path: File, for messages.

    Raises:
        DataError: lists differ in length, a value is no number, or none of its categories; names
            the event.
    """
    parts = [_Reading(block, part, first, path).part() for part in columns.parts]
    sizes = np.sum([part.sizes for part in parts], 0)
    order = _order([part.sizes for part in parts])
    names = parts[0].values
    values = {n: np.concatenate([part.values[n] for part in parts])[order] for n in names}
    momentum = np.concatenate([part.momentum for part in parts])[order]
    summed = _summed(momentum, sizes) if momentum.shape[1] else {}
    known = {**block.clouds, **summed}
    if columns.axis:
        axis = _axis(columns, known, values, sizes)
        values["pos"] = _relative(values["pos"], np.repeat(axis, sizes, 0), columns)
    given = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in values.items()}
    place = _Place(path, first, np.arange(len(sizes) + 1))
    if columns.condition:
        y = [_number(term, known, place, len(sizes)) for term in columns.condition]
        given["y"] = torch.from_numpy(np.stack(y, 1))
    if columns.label is not None:
        given["label"] = _label(columns, known, place, len(sizes))
    return convention.make(given.pop("pos"), torch.from_numpy(sizes), **given)


@dataclass(frozen=True)
class _Place:
    """Where values come from, for messages.

    Attributes:
        path: File.
        first: Number of the first event.
        offsets: Where the values of each event begin [B + 1].
    """

    path: Path
    first: int
    offsets: Array

    def of(self, name: str, row: int) -> str:
        event = self.first + int(np.searchsorted(self.offsets, row, "right")) - 1
        return f"{self.path}: {name} of event {event}"


class _Reading:
    """One part of the points of a block."""

    def __init__(self, block: Block, points: Points, first: int, path: Path) -> None:
        self._points, self._path = points, path
        self._found = {name: block.points[name] for name in points.columns}
        self._sizes = common_sizes(self._found, path, first)
        self._place = _Place(path, first, pointer(self._sizes))
        content = {name: values.content for name, values in self._found.items()}
        if points.momentum:
            px, py, pz = (_number(t, content, self._place, self._number) for t in points.momentum)
            content |= _derived(px, py, pz)
            self._momentum = np.stack([px, py, pz], 1)
        else:
            self._momentum = np.zeros((self._number, 0))
        self._content = content

    @property
    def _number(self) -> int:
        return int(self._place.offsets[-1])

    def part(self) -> _Part:
        points, kept = self._points, np.ones(self._number, bool)
        for cut in points.where:
            values = _numeric(self._content[cut.column], cut.column, self._place)
            kept &= cut.kept(values)
        if not kept.all():
            self._content = {name: each[kept] for name, each in self._content.items()}
            self._momentum = self._momentum[kept]
            owner = np.repeat(np.arange(len(self._sizes)), self._sizes)[kept]
            self._sizes = np.bincount(owner, minlength=len(self._sizes))
            self._place = _Place(self._path, self._place.first, pointer(self._sizes))
        found = {"pos": self._stacked(points.pos)}
        if points.weight is not None:
            found["weight"] = self._stacked((points.weight,))[:, 0]
        if points.x:
            found["x"] = self._stacked(points.x)
        if points.layer is not None:
            found["layer"] = _layer(points.layer, self._content, self._place)
        return _Part(found, self._momentum, self._sizes)

    def _stacked(self, terms: tuple[Term, ...]) -> Array:
        columns = [_number(term, self._content, self._place, self._number) for term in terms]
        return np.stack(columns, 1)


def _number(term: Term, content: Mapping[str, Array], place: _Place, rows: int) -> Array:
    """The values of a term as floats [n]: float32 where that holds the column's type."""
    name = term.quantity.name
    if term.one_hot:
        return _chosen(term, content, place).astype(np.float32)
    if not term.column:
        values = np.full(rows, int(term.factor) if term.factor.is_integer() else term.factor)
    else:
        values = content[term.column]
    if term.quantity.categories:
        return _category(values, term, place).astype(np.float32)
    numbers = floats(_numeric(values, name, place), place.path).numpy()
    return numbers if not term.column or term.factor == 1 else numbers * term.factor


def _numeric(values: Array, name: str, place: _Place) -> Array:
    """A column that must hold numbers."""
    if values.dtype.kind in "biuf":
        return native(values, f"{place.path}: {name}")
    words = [str(each) for each in values.tolist()]
    row = next((k for k, word in enumerate(words) if not _is_number(word)), 0)
    text = repr(words[row])[:40] if words else values.dtype
    raise DataError(f"{place.of(name, row)} is {text}, expected a number")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _category(values: Array, term: Term, place: _Place) -> Array:
    """Which category each value is [n]: names are whole numbers, or text as the column has it."""
    names = term.quantity.categories
    listed = names[:-1] if names[-1] == OTHER else names
    if values.dtype.kind in "biuf":
        known = np.array([int(name) for name in listed])
        with np.errstate(invalid="ignore"):
            whole = values.astype(np.int64)
        exact = whole == values
    else:
        known, whole, exact = np.array(listed, dtype=str), values, np.ones(len(values), bool)
    order = np.argsort(known, kind="stable")
    found = order[np.minimum(np.searchsorted(known, whole, sorter=order), len(known) - 1)]
    good = exact & (known[found] == whole)
    if names[-1] == OTHER:
        rest = ~good & (np.isfinite(values) if values.dtype.kind == "f" else True)
        found, good = np.where(rest, len(listed), found), good | rest
    if not good.all():
        row = int((~good).argmax())
        raise DataError(
            f"{place.of(term.quantity.name, row)} is {values[row]}, expected one of the kinds "
            f"{', '.join(names)} ({OTHER} as the last one takes all others)"
        )
    return found


def _chosen(term: Term, content: Mapping[str, Array], place: _Place) -> Array:
    """Which of several columns is 1 [n]; the others are 0."""
    table = np.stack([_numeric(content[c], c, place) for c in term.one_hot], 1)
    good = ((table == 0) | (table == 1)).all(1) & (table.sum(1) == 1)
    if not good.all():
        row = int((~good).argmax())
        raise DataError(
            f"{place.of(term.quantity.name, row)} is {table[row].tolist()} in "
            f"{', '.join(term.one_hot)}, expected a single 1 and else 0"
        )
    return table.argmax(1)


def _layer(layer: Layer, content: Mapping[str, Array], place: _Place) -> Array:
    """Number of the layer of each point, int64."""
    values = content[layer.column]
    if values.dtype.kind == "f" and bool((values == np.floor(values)).all()):
        values = values.astype(np.int64)
    if values.dtype.kind not in "biu":
        raise DataError(
            f"{place.path}: layer {layer.column} holds {values.dtype}, expected whole numbers"
        )
    if layer.width:
        bits = values.astype(np.uint64) >> np.uint64(layer.offset)
        values = bits & np.uint64(2**layer.width - 1)
    return native(values, f"{place.path}: {layer.column}").astype(np.int64)


def _label(columns: Columns, known: Mapping[str, Array], place: _Place, number: int) -> Any:
    term = columns.label
    assert term is not None
    if term.one_hot:
        return torch.from_numpy(_chosen(term, known, place).astype(np.int64))
    where = f"{place.path}: {term.column}"
    return classes(known[term.column], number, where, columns.classes, first=place.first)[0]


def _derived(px: Array, py: Array, pz: Array) -> dict[str, Array]:
    """Transverse momentum, pseudorapidity and azimuth, in the type of the momenta."""
    kind = np.result_type(px, py, pz)
    x, y, z = (each.astype(np.float64) for each in (px, py, pz))
    pt = np.hypot(x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.arcsinh(z / pt)
    return {"pt": pt.astype(kind), "eta": eta.astype(kind), "phi": np.arctan2(y, x).astype(kind)}


def _summed(momentum: Array, sizes: Array) -> dict[str, Array]:
    """Those of the sum over each cloud; 0 for an empty one."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    total = np.zeros((3, len(sizes)))
    for part, sums in zip(momentum.T, total, strict=True):
        np.add.at(sums, owner, part)
    found = _derived(*total)
    kind = momentum.dtype
    return {f"sum.{n}": np.where(sizes > 0, value, 0).astype(kind) for n, value in found.items()}


def _axis(
    columns: Columns, known: Mapping[str, Array], values: Mapping[str, Array], sizes: Array
) -> Array:
    """What the coordinates of each cloud are relative to [B, D]."""
    if columns.axis == ("sum",):
        return np.stack([known["sum.eta"], known["sum.phi"]], 1)
    if columns.axis != ("centroid",):
        return np.stack([known[name] for name in columns.axis], 1)
    owner, pos = np.repeat(np.arange(len(sizes)), sizes), values["pos"].astype(np.float64)
    weight = values.get("weight", np.ones(len(pos))).astype(np.float64)

    def mean(value: Array) -> Array:
        total = np.bincount(owner, weight, len(sizes))
        return np.bincount(owner, weight * value, len(sizes)) / np.where(total > 0, total, 1)

    found = []
    for column, term in enumerate(columns.parts[0].pos):
        turn = term.quantity.period and 2 * math.pi / term.quantity.period
        value = pos[:, column]
        if turn:
            found.append(np.arctan2(mean(np.sin(turn * value)), mean(np.cos(turn * value))) / turn)
        else:
            found.append(mean(value))
    return np.stack(found, 1)


def _relative(pos: Array, axis: Array, columns: Columns) -> Array:
    """Coordinates relative to an axis [n, D], in the type of the coordinates."""
    found = pos.astype(np.float64) - axis
    for column, term in enumerate(columns.parts[0].pos):
        if (period := term.quantity.period) is not None:
            found[:, column] -= period * np.round(found[:, column] / period)
    return found.astype(pos.dtype)


def _order(sizes: list[Array]) -> Array:
    """Places that bring the points of several parts together, cloud by cloud."""
    owner = np.concatenate([np.repeat(np.arange(len(each)), each) for each in sizes])
    return np.argsort(owner, kind="stable")
