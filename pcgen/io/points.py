"""Clouds in point files (PLY, PCD, XYZ): one event a file, many events as numbered files.

The columns of a file are x, y, z (the first three coordinates; zeros where there are fewer),
further coordinates by name, ``weight``, the features by name, ``layer`` and ``cell_0``, ...
A comment of the header, ``pcgen`` and JSON, keeps what columns cannot: the schema, the condition
and the class, so that the way back is exact. Files without it are read too: every further column
is a feature, except ``weight`` or ``energy``, which is the weight. A unit in brackets goes to the
schema, and names are compared without regard to case unless two columns differ in nothing else.

A column of floats becomes float32 where its declared type fits into it and float64 otherwise; text
declares none. Whole numbers that float64 does not hold are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.bounds import parse_json
from pcgen.errors import DataError, FileError
from pcgen.io import pcd, ply, xyz
from pcgen.io.source import arrays
from pcgen.io.table import MARK, Column, Table, name_and_unit
from pcgen.schema import Quantity, Schema

_WEIGHTS = ("weight", "energy")
_DTYPES = ("float32", "float64", "int64")
_OTHER = ("_", "rgb", "rgba")  # names by which PCD means padding and packed colours


@dataclass(frozen=True)
class PointFormat:
    """How one event is read from and written to a file.

    Attributes:
        ending: Of the file's name.
        read: The columns of a file.
        count: Number of points of a file, cheaper than reading them.
        declared: The columns without points, in their declared types, and the comments; no column
            where the format declares no types.
        write: Write columns to a file.
    """

    ending: str
    read: Callable[[Path], Table]
    count: Callable[[Path], int]
    declared: Callable[[Path], Table]
    write: Callable[[Path, Table], None]


PLY = PointFormat(".ply", ply.read, ply.count, ply.declared, ply.write)
PCD = PointFormat(".pcd", pcd.read, pcd.count, pcd.declared, pcd.write)
XYZ = PointFormat(".xyz", xyz.read, xyz.count, xyz.declared, xyz.write)


class _Roles(NamedTuple):
    """Which column of a foreign file is what."""

    axes: list[str]
    weight: str | None
    features: list[str]

    def attributes(self) -> dict[str, list[str]]:
        """Columns of each attribute of the cloud."""
        weight = [] if self.weight is None else [self.weight]
        owned = {"pos": self.axes, "weight": weight, "x": self.features}
        return {name: columns for name, columns in owned.items() if columns}


def to_table(cloud: Batch, schema: Schema) -> Table:
    """The columns of a batch of one cloud.

    Raises:
        DataError: a layer or cell does not fit into the 32 bits that the formats have for it.
    """
    values = arrays(cloud)
    columns: dict[str, Column] = {}
    for name, (attribute, place) in _layout(schema, tuple(values)).items():
        value = values[attribute]
        column = value if value.ndim == 1 else value[:, place]
        columns[name] = column if column.dtype.kind == "f" else _narrow(column, attribute)
    for axis in ("y", "z"):
        columns.setdefault(axis, np.zeros(len(values["pos"]), values["pos"].dtype))
    columns = {name: columns.pop(name) for name in ("x", "y", "z")} | columns
    facts = {"schema": schema.to_dict(), "attributes": {n: v.dtype.name for n, v in values.items()}}
    facts |= {n: values[n][0].tolist() for n in convention.CLOUD_ATTRIBUTES if n in values}
    return Table(columns, (MARK + json.dumps(facts),))


def _narrow(column: Column, attribute: str) -> Column:
    narrow = column.astype("i4")
    if (narrow != column).any():
        bad = int(column[narrow != column][0])
        raise DataError(f"{attribute}: got {bad}, expected whole numbers of 32 bits in point files")
    return narrow


def schema_of(table: Table, path: Path) -> Schema:
    """What the columns of a file mean, as far as the file gives it.

    Raises:
        FileError: pcgen's comment is damaged, there are no x and y, or names differ only by case.
    """
    facts = _facts(table, path)
    if facts is not None:
        return facts[0]
    roles = _roles(table, path)
    weight = None
    if roles.weight is not None:
        name, unit = name_and_unit(roles.weight)
        weight = Quantity(name.lower(), unit)
    axes = (name_and_unit(column) for column in roles.axes)
    features = [Quantity(*name_and_unit(column)) for column in roles.features]
    names = [feature.name for feature in features]
    return Schema(
        tuple(Quantity(name.lower(), unit) for name, unit in axes),
        weight,
        # Two columns that differ by their unit alone keep it in their name.
        tuple(
            feature if names.count(feature.name) == 1 else Quantity(column)
            for feature, column in zip(features, roles.features, strict=True)
        ),
    )


def kinds_of(table: Table, path: Path) -> dict[str, str]:
    """Type of each attribute of the cloud of a file, by what its header declares.

    Args:
        table: What :attr:`PointFormat.declared` gives.
        path: For messages.

    Returns:
        ``"float32"``, ``"float64"`` or ``"int64"`` by attribute; empty where nothing is declared.

    Raises:
        FileError: as for :func:`schema_of`.
    """
    facts = _facts(table, path)
    if facts is not None:
        return dict(facts[1]["attributes"])
    return {
        name: "float32"
        if all(np.can_cast(table.columns[column].dtype, np.float32) for column in columns)
        else "float64"
        for name, columns in (_roles(table, path).attributes() if table.columns else {}).items()
    }


def from_table(table: Table, schema: Schema, kinds: Mapping[str, str], path: Path) -> Batch:
    """A batch of the one cloud of a file.

    Args:
        table: Its columns.
        schema: What they mean: that of the first file where there are several.
        kinds: Type of each attribute, the same for all files; float64 where it names none.
        path: For messages.

    Raises:
        DataError: the file means something else than ``schema``.
        FileError: pcgen's comment is damaged, a column is missing, or a number does not fit its
            type.
    """
    if schema_of(table, path) != schema:
        raise DataError(
            f"{path}: got the columns {', '.join(table.columns)} of another schema, "
            f"expected the same in all files"
        )
    facts = _facts(table, path)
    owned = _roles(table, path).attributes() if facts is None else _recorded(table, *facts, path)
    values: dict[str, Tensor] = {}
    for name, columns in owned.items():
        kind = kinds.get(name, "float64")
        matrix = np.stack([_exact(table.columns[each], kind, each, path) for each in columns], 1)
        wide = name in ("pos", "x", "cell")
        values[name] = torch.from_numpy(matrix if wide else matrix[:, 0])
    for name in convention.CLOUD_ATTRIBUTES:
        if facts is not None and name in facts[1]["attributes"]:
            values[name] = torch.from_numpy(np.array([facts[1][name]], dtype=kinds[name]))
    return convention.make(values.pop("pos"), [table.rows], **values)


def _recorded(
    table: Table, schema: Schema, facts: Mapping[str, Any], path: Path
) -> dict[str, list[str]]:
    """Columns of each attribute of a file that pcgen wrote."""
    owned: dict[str, list[str]] = {}
    layout = _layout(schema, tuple(facts["attributes"]))
    for column, (attribute, _) in layout.items():
        owned.setdefault(attribute, []).append(column)
    missing = [name for name in layout if name not in table.columns]
    if missing:
        raise FileError(
            f"{path}: got the columns {', '.join(table.columns)}, "
            f"expected {', '.join(missing)} too as in its pcgen comment"
        )
    return owned


def _roles(table: Table, path: Path) -> _Roles:
    """Which column is what in a file that pcgen did not write."""
    parts = {column: name_and_unit(column)[0] for column in table.columns}
    axes = {axis: _like(parts, axis) for axis in ("x", "y", "z")}
    if not axes["x"] or not axes["y"]:
        raise FileError(
            f"{path}: got the columns {', '.join(table.columns) or 'none'}, "
            f"expected x and y among them"
        )
    found = [columns for columns in axes.values() if columns]
    exact = all(parts[columns[0]] in axes for columns in found)
    if any(len(columns) > 1 for columns in found) and not exact:
        raise _alike([column for columns in found for column in columns], path)
    weight = next((columns for name in _WEIGHTS if (columns := _like(parts, name))), [])
    for columns in (*found, weight):
        if len(columns) > 1 and parts[columns[0]] not in (*axes, *_WEIGHTS):
            raise _alike(columns, path)
        if len({parts[column] for column in columns}) < len(columns):
            raise _alike(columns, path)
    taken = [columns[0] for columns in (*found, weight) if columns]
    return _Roles(
        [columns[0] for columns in found],
        weight[0] if weight else None,
        [column for column in parts if column not in taken],
    )


def _like(parts: Mapping[str, str], name: str) -> list[str]:
    """Columns of a name, without regard to case; the exact one first."""
    alike = [column for column, plain in parts.items() if plain.lower() == name]
    return sorted(alike, key=lambda column: parts[column] != name)


def _alike(columns: list[str], path: Path) -> FileError:
    return FileError(
        f"{path}: got the columns {', '.join(columns)}, whose names are alike, "
        f"expected x, y, z and the weight once, or in lower case where others differ by case"
    )


def _layout(schema: Schema, attributes: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Name of each column, and the attribute and column of the cloud that it holds."""
    names = {
        "pos": ["x", "y", "z", *(axis.name for axis in schema.axes[3:])][: len(schema.axes)],
        "weight": ["weight"],
        "x": [feature.name for feature in schema.features],
        "layer": ["layer"],
        "cell": [f"cell_{number}" for number in range(len(schema.axes))],
    }
    layout: dict[str, tuple[str, int]] = {}
    for attribute in (name for name in names if name in attributes):
        for place, name in enumerate(names[attribute]):
            # Names are words in all three formats and differ; y and z are there even if unused.
            word = "_".join(name.split()) or "column"
            while word in layout or word in _OTHER or (word in "xyz" and attribute != "pos"):
                word += "_"
            layout[word] = (attribute, place)
    return layout


def _facts(table: Table, path: Path) -> tuple[Schema, dict[str, Any]] | None:
    """Schema and further facts of pcgen's own comment, where there is one."""
    for comment in table.comments:
        if comment.startswith(MARK + "{"):
            try:
                facts = parse_json(comment.removeprefix(MARK))
                kinds = facts["attributes"]
                if "pos" not in kinds or not set(kinds.values()) <= set(_DTYPES):
                    raise ValueError(f"attributes are {kinds}")
                schema = Schema.from_dict(facts["schema"])
                _check_facts(facts, schema)
                return schema, facts
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                raise FileError(f"{path}: pcgen's comment is damaged ({error})") from error
    return None


def _check_facts(facts: Mapping[str, Any], schema: Schema) -> None:
    """Refuse a condition or a class that is none of the schema's.

    Raises:
        ValueError: naming it.
    """
    kinds = facts["attributes"]
    if not schema.axes:
        raise ValueError("the schema has no axes")
    if "y" in kinds:
        y = np.array(facts["y"], dtype=np.float64)
        if y.shape != (len(schema.condition),) or kinds["y"] == "int64":
            raise ValueError(f"y is {kinds['y']} of shape {y.shape}")
    if "label" in kinds:
        label = facts["label"]
        if type(label) is not int or not 0 <= label < 2**63 or kinds["label"] != "int64":
            raise ValueError(f"label is {str(label)[:40]}, expected a whole number from 0")
    if {"layer", "cell"} & set(kinds) and any(
        kinds.get(name, "int64") != "int64" for name in ("layer", "cell")
    ):
        raise ValueError("layers and cells are no whole numbers")
    if "x" in kinds and not schema.features:
        raise ValueError("attributes have x, the schema has no features")


def _exact(column: Column, kind: str, name: str, path: Path) -> Column:
    """A column in another type, if that holds its values.

    Raises:
        FileError: naming the column and the point.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = column.astype(kind)
    if column.dtype.kind in "iu":
        # Floats compare with integers after rounding, so that large ones are compared one by one.
        large = np.abs(column.astype(np.float64)) >= (2**24 if kind == "float32" else 2**53)
        rows = (r for r in large.nonzero()[0].tolist() if int(values[r]) != int(column[r]))
        bad = next(rows, None)
    else:
        lost = np.isinf(values) & np.isfinite(column) if kind[0] == "f" else values != column
        bad = int(lost.argmax()) if lost.any() else None
    if bad is not None:
        raise FileError(
            f"{path}: {name} of point {bad} is {column[bad]}, expected a number that {kind} holds"
        )
    return values
