"""What each event of a sample is drawn for, one by one: as in a file of events, or from a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.bounds import BYTES, regular_file
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.columns import archived, array_names, npz, read_array
from pcgen.io.source import Array
from pcgen.models.base import GenerativeModel
from pcgen.models.request import Request
from pcgen.schema import Schema
from pcgen.tools.meaning import check_meaning

_BLOCK = 10_000  # events that are read at a time
_CLASS, _POINTS = "class", "points"
_OBJECT = 64  # bytes of a value as Python has it, and of its place in the checks


def of_events(path: str, split: str, schema: Schema, number: int | None = None) -> Request:
    """Condition and class of each event of a file, in order; sizes are free.

    Args:
        path: File of clouds that mean the same as those of the model.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        schema: Of the model.
        number: Of the first so many events; None: of all.

    Raises:
        ArgumentError: there are fewer events.
        DataError: the file means something else, or its events have no condition or class.
        FileError: it cannot be read.
    """
    from pcgen.datasets.loading import open_clouds
    from pcgen.models.blocks import ranges

    events = open_clouds(path, split)
    check_meaning(schema, events.schema, path, "the model was trained for")
    count = len(events) if number is None else number
    if count > len(events):
        raise ArgumentError(
            f"number: got {number}, expected at most the {len(events)} events of {path} "
            f"(split {split})"
        )
    parts: dict[str, list[Tensor | None]] = {"y": [], "label": []}
    for rows in ranges(count, _BLOCK):
        some = events.read(rows.start, rows.stop)
        for name, values in parts.items():
            values.append(some.get(name))
    fixed = {}
    for name, wanted in (("y", schema.condition), ("label", schema.labels)):
        known = [value for value in parts[name] if value is not None]
        if wanted and len(known) < len(parts[name]):
            kind = "condition" if name == "y" else "class"
            raise DataError(f"{path}: got events without a {kind}, expected one for each")
        fixed[name] = torch.cat(known) if wanted else None
    return Request(count, None, fixed["y"], fixed["label"])


def contexts_of(path: str, split: str, model: GenerativeModel, number: int | None) -> Batch:
    """The contexts of a file that a model generates events from, in order.

    Args:
        path: File of clouds or images; of pairs, whose contexts are taken.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        model: Of events from contexts.
        number: Of the first so many events; None: of all.

    Raises:
        ArgumentError: the model takes no contexts, or there are fewer.
        DataError: the file means something else than the contexts of the training.
        FileError: it cannot be read.
    """
    from pcgen.datasets.contexts import open_contexts
    from pcgen.datasets.splits import split_index

    expected = model.context_schema
    if expected is None:
        raise ArgumentError(f"context: got {path}, expected none: this model takes no context")
    with open_contexts(path) as source:
        check_meaning(expected, source.schema, path, "the model was trained for")
        index = split_index(len(source), split)
        if not len(index) or (number is not None and number > len(index)):
            raise ArgumentError(
                f"number: got {number or 'all'}, expected 1 to the {len(index)} events of {path} "
                f"(split {split})"
            )
        index = index[:number]
        clouds = cl.select(source.read(0, int(index[-1]) + 1), index)
    return cl.cast(clouds, torch.get_default_dtype())


def of_table(path: str, schema: Schema) -> Request:
    """Conditions, classes and numbers of points from a table with a line for each event.

    Its columns are those conditions of the model (all of them, or none), ``class`` (names) and
    ``points``; what has no column is drawn as in the training data.

    Args:
        path: ``.csv`` with a line of names, ``.npz`` with an array [B] for each column, ``.npy``
            with named fields; or plain [B] or [B, 1] for a model of one condition.
        schema: Of the model.

    Raises:
        ArgumentError: the ending is unknown.
        DataError: a column is unknown or missing, or a value cannot be used; names the line.
        FileError: the file cannot be read.
    """
    columns = _columns(Path(path), schema)
    known = [quantity.name for quantity in schema.condition]
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1 or not min(lengths.values()):
        got = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        raise DataError(f"{path}: got {got}, expected as many values of each, at least one")
    y = None
    if known and known[0] in columns:
        values = [_numbers(path, name, columns[name]) for name in known]
        y = torch.tensor(values, dtype=torch.float64).T.to(torch.get_default_dtype())
        if not bool(y.isfinite().all()):
            row, column = y.isfinite().logical_not().nonzero()[0].tolist()
            raise DataError(
                f"{path}: {known[column]} of event {row} is {values[column][row]}, expected a "
                f"number that {y.dtype} holds"
            )
    label = _classes(path, columns[_CLASS], schema.labels) if _CLASS in columns else None
    sizes = _sizes(path, columns[_POINTS]) if _POINTS in columns else None
    return Request(min(lengths.values()), sizes, y, label)


def _columns(path: Path, schema: Schema) -> Mapping[str, Sequence[Any]]:
    """Columns by name: words of a CSV file, or values of arrays."""
    ending = path.suffix.lower()
    if ending not in (".csv", ".npy", ".npz"):
        raise ArgumentError(f"conditions: got {path}, expected a file .csv, .npy or .npz")
    regular_file(path)
    if ending == ".csv":
        words = _words(path)
        _check_names(path, list(words), schema)
        return words
    if ending == ".npz":
        with npz(path) as archive:
            # Arrays that are not needed are not unpacked.
            names = array_names(archive)
            _check_names(path, names, schema)
            arrays = {name: archived(archive, name, path) for name in names}
    else:
        with path.open("rb") as file:
            arrays = _fields(path, read_array(file, str(path)), schema)
        _check_names(path, list(arrays), schema)
    return {name: _list(path, name, array) for name, array in arrays.items()}


def _check_names(path: Path, names: Sequence[str], schema: Schema) -> None:
    """Refuse columns that the model does not know, and some of its conditions without the others.

    Raises:
        DataError: naming those that there may be.
    """
    known = [quantity.name for quantity in schema.condition]
    allowed = [*known, *([_CLASS] if schema.labels else []), _POINTS]
    unknown = [name for name in names if name not in allowed]
    missing = [name for name in known if name not in names]
    if unknown or not names or (missing and len(missing) < len(known)):
        raise DataError(
            f"{path}: got the columns {', '.join(names)[:1000] or 'none'}, "
            f"expected some of {', '.join(allowed)}"
            + (f", and {', '.join(missing)} too" if missing and not unknown and names else "")
        )


def _words(path: Path) -> dict[str, list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, line) for line in reader if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({error}), expected a table") from error
    if not lines:
        return {}
    names = [name.strip() for name in lines[0][1]]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: got the columns {', '.join(names)}, expected different names")
    for number, line in lines[1:]:
        if len(line) != len(names):
            raise DataError(
                f"{path}: got {len(line)} values in line {number}, expected {len(names)} "
                f"({', '.join(names)})"
            )
    return {name: [line[k].strip() for _, line in lines[1:]] for k, name in enumerate(names)}


def _list(path: Path, name: str, array: Array) -> list[Any]:
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1:
        raise DataError(f"{path}: got {name} of shape {array.shape}, expected [B]")
    BYTES.check(_OBJECT * len(flat), f"{path}: {name}")
    values: list[Any] = flat.tolist()
    return values


def _fields(path: Path, stored: Array, schema: Schema) -> dict[str, Array]:
    """Columns of one array."""
    if stored.dtype.names:
        return {name: stored[name] for name in stored.dtype.names}
    if len(schema.condition) == 1:
        return {schema.condition[0].name: stored}
    names = ", ".join(q.name for q in schema.condition) or f"{_CLASS}, {_POINTS}"
    raise DataError(f"{path}: got an array without names, expected named fields ({names})")


def _numbers(path: str, name: str, values: Sequence[Any]) -> list[float]:
    return [_number(path, name, row, value) for row, value in enumerate(values)]


def _number(path: str, name: str, row: int, value: Any) -> float:
    try:
        # float() takes 1_0 for 10.
        number = np.nan if isinstance(value, bool) or "_" in str(value) else float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise DataError(f"{path}: {name} of event {row} is {value!r:.80}, expected a finite number")
    return number


def _classes(path: str, values: Sequence[Any], labels: Sequence[str]) -> Tensor:
    for row, value in enumerate(values):
        if value not in labels:
            raise DataError(
                f"{path}: {_CLASS} of event {row} is {value!r:.80}, "
                f"expected one of {', '.join(labels)}"
            )
    return torch.tensor([labels.index(value) for value in values])


def _sizes(path: str, values: Sequence[Any]) -> Tensor:
    numbers = _numbers(path, _POINTS, values)
    for row, number in enumerate(numbers):
        if not 0 <= number < 2**31 or number % 1:
            raise DataError(
                f"{path}: {_POINTS} of event {row} is {values[row]!r:.80}, "
                "expected a whole number from 0 to 2**31 - 1"
            )
    return torch.tensor(numbers, dtype=torch.float64).long()
