"""What stands beside each event: conditions and classes, from arrays of numbers and of text.

A condition is a number for each event [B], or several [B, C]. A class is a whole number from 0, or
a name; the names of a file become the classes of its schema. Nothing is guessed: what is no number,
no whole number or no known name is refused with the file, the event and the value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen.errors import DataError, FileError
from pcgen.io.source import Array
from pcgen.schema import Quantity, Schema

_EXACT = 2**53  # float64 holds every whole number up to this


class Beside(NamedTuple):
    """Conditions and classes of all events of a file.

    Attributes:
        y: Conditions [B, C], where there are some.
        label: Classes [B], where there are some.
        schema: What they mean, with names where the file has none; None if there is nothing to say.
    """

    y: Tensor | None
    label: Tensor | None
    schema: Schema | None


def beside(values: Mapping[str, Array], events: int, schema: Schema | None, path: Path) -> Beside:
    """Conditions and classes from the arrays of a file that are called ``y`` and ``label``.

    A condition without a name is called ``y`` (``y_0``, ``y_1``, ... where there are several).

    Raises:
        FileError: they have another shape, or columns that the schema of the file does not have.
        DataError: a value is no finite number, or no class; names the event.
    """
    y, label = None, None
    known = schema or Schema(axes=())
    if "y" in values:
        y = conditions(values["y"], events, f"{path}: y")
        condition = known.condition or _unnamed(y.shape[1])
        if len(condition) != y.shape[1]:
            raise FileError(
                f"{path}: y has {y.shape[1]} columns, expected the {len(condition)} of its schema "
                f"({', '.join(quantity.name for quantity in condition)})"
            )
        known = dataclasses.replace(known, condition=condition)
    if "label" in values:
        label, names = classes(values["label"], events, f"{path}: label", known.labels)
        known = dataclasses.replace(known, labels=names)
    return Beside(y, label, schema if schema is None and known == Schema(axes=()) else known)


def _unnamed(columns: int) -> tuple[Quantity, ...]:
    return tuple(Quantity(f"y_{k}") for k in range(columns)) if columns != 1 else (Quantity("y"),)


def conditions(values: Array, events: int, where: str) -> Tensor:
    """Numbers beside the events [B, C], float32 where that holds their type and float64 otherwise.

    Args:
        values: [B], or [B, C].
        events: Number of events B that there must be.
        where: File and name, for messages.

    Raises:
        FileError: the shape does not fit.
        DataError: a value is no finite number, or a whole number that float64 does not hold; names
            the event.
    """
    if values.ndim not in (1, 2) or len(values) != events:
        raise FileError(
            f"{where} has shape {values.shape}, expected [B] or [B, C] for B = {events} events"
        )
    columns = values[:, None] if values.ndim == 1 else values
    if values.dtype.kind not in "biuf":
        raise DataError(f"{_of_event(columns[:1], where)}, expected a number")
    good = np.isfinite(columns) & representable(columns)
    if not good.all():
        event = int((~good).any(1).argmax())
        raise DataError(
            f"{where} of event {event} is {columns[event][~good[event]][0]}, expected a finite "
            "number that float64 holds"
        )
    kind = np.float32 if np.can_cast(columns.dtype, np.float32) else np.float64
    return torch.from_numpy(columns.astype(kind))


def classes(
    values: Array, events: int, where: str, names: Sequence[str] = (), *, first: int = 0
) -> tuple[Tensor, tuple[str, ...]]:
    """Class of each event [B], int64, and the names of the classes.

    Args:
        values: Whole numbers from 0 [B], of any type that holds them; or names [B].
        events: Number of events B that there must be.
        where: File and name, for messages.
        names: Of the classes, in their order. Where there are none, text brings its own, sorted.
        first: Number of the first of these events in its file, for messages.

    Raises:
        FileError: the shape does not fit.
        DataError: a value is no whole number, or none of the classes; names the event.

    >>> classes(np.array(["q", "g", "q"]), 3, "a.npz: label")
    (tensor([1, 0, 1]), ('g', 'q'))
    """
    if values.shape != (events,):
        raise FileError(f"{where} has shape {values.shape}, expected [B] for B = {events} events")
    names = tuple(names)
    if values.dtype.kind == "S":
        values = _decoded(values, where)
    if values.dtype.kind == "U":
        names = names or tuple(sorted(set(values.tolist())))
        places = {name: place for place, name in enumerate(names)}
        numbers = np.array([places.get(name, -1) for name in values.tolist()], dtype=np.int64)
    elif values.dtype.kind in "biuf":
        exact = values.astype(np.float64)
        whole = (exact >= 0) & (exact < _EXACT) & (exact == np.floor(exact))
        numbers = np.where(whole, exact, -1).astype(np.int64)
    else:
        raise DataError(f"{where} holds {values.dtype}, expected whole numbers or names")
    good = (numbers >= 0) & (numbers < len(names) if names else True)
    if not good.all():
        event = int((~good).argmax())
        expected = f"one of the classes {', '.join(names)}" if names else "a class"
        counted = f" (0 to {len(names) - 1})" if names else ""
        if values.dtype.kind != "U":
            expected += f" as a whole number{counted or ' from 0'}"
        raise DataError(f"{_of_event(values, where, event, first)}, expected {expected}")
    return torch.from_numpy(numbers), names


def _decoded(values: Array, where: str) -> Array:
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is no text in UTF-8 ({error})") from error


def representable(values: Array) -> Array:
    """Whether float64 holds each value exactly; of integers only those to 2^53 surely are."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8:
        return np.ones(values.shape, dtype=bool)
    return (values <= _EXACT) & (values >= (-_EXACT if values.dtype.kind == "i" else 0))


def _of_event(values: Array, where: str, event: int = 0, first: int = 0) -> str:
    if not len(values):
        return where
    return f"{where} of event {first + event} is {str(values[event].tolist())[:40]}"
