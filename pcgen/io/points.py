"""Clouds in point files (PLY, PCD, XYZ): one event a file, many events as numbered files.

The columns of a file are x, y, z (the first three coordinates; zeros where there are fewer),
further coordinates by name, ``weight``, the features by name, ``layer`` and ``cell_0``, ...
A comment of the header, ``pcgen`` and JSON, keeps what columns cannot: the schema, the condition
and the class, so that the way back is exact. Files without it are read too: every further column
is a feature, except ``weight`` or ``energy``, which is the weight.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import DataError, FileError
from pcgen.io import pcd, ply, xyz
from pcgen.io.source import arrays
from pcgen.io.table import Column, Table
from pcgen.schema import Quantity, Schema

_MARK = "pcgen "
_WEIGHTS = ("weight", "energy")
_DTYPES = ("float32", "float64", "int64")


@dataclass(frozen=True)
class PointFormat:
    """How one event is read from and written to a file.

    Attributes:
        ending: Of the file's name.
        read: The columns of a file.
        count: Number of points of a file, cheaper than reading them.
        write: Write columns to a file.
    """

    ending: str
    read: Callable[[Path], Table]
    count: Callable[[Path], int]
    write: Callable[[Path, Table], None]


PLY = PointFormat(".ply", ply.read, ply.count, ply.write)
PCD = PointFormat(".pcd", pcd.read, pcd.count, pcd.write)
XYZ = PointFormat(".xyz", xyz.read, xyz.count, xyz.write)


def to_table(cloud: Batch, schema: Schema) -> Table:
    """The columns of a batch of one cloud."""
    values = arrays(cloud)
    columns: dict[str, Column] = {}
    for name, (attribute, place) in _layout(schema, tuple(values)).items():
        value = values[attribute]
        column = value if value.ndim == 1 else value[:, place]
        columns[name] = column if column.dtype.kind == "f" else column.astype("i4")
    for axis in ("y", "z"):
        columns.setdefault(axis, np.zeros(len(values["pos"]), values["pos"].dtype))
    columns = {name: columns.pop(name) for name in ("x", "y", "z")} | columns
    facts = {"schema": schema.to_dict(), "attributes": {n: v.dtype.name for n, v in values.items()}}
    facts |= {n: values[n][0].tolist() for n in convention.CLOUD_ATTRIBUTES if n in values}
    return Table(columns, (_MARK + json.dumps(facts),))


def schema_of(table: Table, path: Path) -> Schema:
    """What the columns of a file mean, as far as the file says it.

    Raises:
        FileError: pcgen's comment is damaged, or there are no x and y.
    """
    facts = _facts(table, path)
    if facts is not None:
        return facts[0]
    names = {name.lower(): name for name in table.columns}
    if not {"x", "y"} <= set(names):
        raise FileError(
            f"{path}: got the columns {', '.join(table.columns) or 'none'}, "
            f"expected x and y among them"
        )
    axes = [name for name in ("x", "y", "z") if name in names]
    weight = next((name for name in _WEIGHTS if name in names), None)
    others = [name for low, name in names.items() if low not in axes and low != weight]
    return Schema(
        tuple(Quantity(axis) for axis in axes),
        Quantity(weight) if weight else None,
        tuple(Quantity(name) for name in others),
    )


def from_table(table: Table, schema: Schema, path: Path) -> Batch:
    """A batch of the one cloud of a file.

    Args:
        table: Its columns.
        schema: What they mean: that of the first file where there are several.
        path: For messages.

    Raises:
        DataError: the file means something else than ``schema``.
        FileError: pcgen's comment is damaged, or a column is missing.
    """
    facts = _facts(table, path)
    own = schema_of(table, path)
    if own != schema:
        raise DataError(
            f"{path}: got the columns {', '.join(table.columns)} of another schema, "
            f"expected the same in all files"
        )
    if facts is None:
        return _foreign(table, schema)
    layout = _layout(schema, tuple(facts[1]["attributes"]))
    missing = [name for name in layout if name not in table.columns]
    if missing:
        raise FileError(
            f"{path}: got the columns {', '.join(table.columns)}, "
            f"expected {', '.join(missing)} too as its pcgen comment says"
        )
    values: dict[str, Tensor] = {}
    for attribute, kind in facts[1]["attributes"].items():
        names = [name for name, (owner, _) in layout.items() if owner == attribute]
        if attribute in convention.CLOUD_ATTRIBUTES:
            values[attribute] = torch.from_numpy(np.array([facts[1][attribute]], dtype=kind))
        elif attribute in ("pos", "x", "cell"):
            columns = np.stack([table.columns[name] for name in names], 1)
            values[attribute] = torch.from_numpy(columns.astype(kind))
        else:
            values[attribute] = torch.from_numpy(table.columns[names[0]].astype(kind))
    return convention.make(values.pop("pos"), [table.rows], **values)


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
            while word in layout or (word in "xyz" and attribute != "pos"):
                word += "_"
            layout[word] = (attribute, place)
    return layout


def _facts(table: Table, path: Path) -> tuple[Schema, dict[str, Any]] | None:
    """Schema and further facts of pcgen's own comment, where there is one."""
    for comment in table.comments:
        if comment.startswith(_MARK + "{"):
            try:
                facts = json.loads(comment.removeprefix(_MARK))
                kinds = facts["attributes"]
                if "pos" not in kinds or not set(kinds.values()) <= set(_DTYPES):
                    raise ValueError(f"attributes are {kinds}")
                for name in convention.CLOUD_ATTRIBUTES:
                    np.array(facts[name] if name in kinds else 0.0, dtype=np.float64)
                return Schema.from_dict(facts["schema"]), facts
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise FileError(f"{path}: pcgen's comment is damaged ({error})") from error
    return None


def _foreign(table: Table, schema: Schema) -> Batch:
    columns = {name.lower(): column for name, column in table.columns.items()}
    weight = columns.get(schema.weight.name) if schema.weight else None
    features = [columns[feature.name.lower()] for feature in schema.features]
    return convention.make(
        _matrix([columns[axis.name] for axis in schema.axes]),
        [table.rows],
        weight=None if weight is None else _matrix([weight])[:, 0],
        x=_matrix(features) if features else None,
    )


def _matrix(columns: list[Column]) -> Tensor:
    """Columns side by side, float32 where that holds every value's type and float64 otherwise."""
    small = all(np.can_cast(column.dtype, np.float32) for column in columns)
    return torch.from_numpy(np.stack(columns, 1).astype(np.float32 if small else np.float64))
