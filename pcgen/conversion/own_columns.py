"""Conditions and classes that a user brings to ``pcgen convert``: options in, columns out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pcgen import io
from pcgen.errors import ArgumentError
from pcgen.io.beside import classes, conditions
from pcgen.io.columns import names_a_file, read_column
from pcgen.io.source import Array
from pcgen.io.tables import TableFile
from pcgen.schema import Quantity, Schema


@dataclass(frozen=True)
class OwnColumns:
    """What replaces the conditions and the classes of a source.

    Attributes:
        y: Conditions of all its events [B, C]; None: its own stay.
        condition: What they are.
        label: Classes of all its events [B]; None: its own stay.
        labels: Names of the classes.
        used: References that were given, for instance ``energy`` or ``energy.npy``.
    """

    y: Tensor | None = None
    condition: tuple[Quantity, ...] = ()
    label: Tensor | None = None
    labels: tuple[str, ...] = ()
    used: tuple[str, ...] = ()

    def named(self, schema: Schema) -> Schema:
        """The schema with these conditions and classes in place of its own."""
        if self.y is not None:
            schema = dataclasses.replace(schema, condition=self.condition)
        if self.label is not None:
            schema = dataclasses.replace(schema, labels=self.labels)
        return schema


def own_columns(
    source: io.CloudSource | io.ImageSource,
    condition: Sequence[str],
    labels: str | None,
    names: Sequence[str] | None,
) -> OwnColumns:
    """Read what the options name.

    Args:
        source: File of the events.
        condition: ``NAME [UNIT]=WHERE`` each; WHERE as in :func:`pcgen.io.columns.read_column`.
        labels: Where the classes are.
        names: Of the classes, one or, with commas, several to a text.

    Raises:
        ArgumentError: an option cannot be understood, or names what is not there.
        FileError: a file is missing or damaged, or has not one value for each event.
        DataError: a value is no finite number, or no class; names file, event and value.
    """
    y, quantities, used = [], [], []
    for text in condition:
        named, equals, where = text.partition("=")
        if not equals or not where.strip():
            raise ArgumentError(
                f"condition: got {text!r}, expected a name, a unit and where the numbers are: "
                "'E [GeV]=energy.npy'"
            )
        quantities.append(quantity("condition", named))
        _check_own(quantities[-1], where.strip(), source)
        y.append(_condition(where.strip(), source))
        used.append(where.strip())
    if len({each.name for each in quantities}) != len(quantities):
        raise ArgumentError(
            f"condition: got the names {', '.join(q.name for q in quantities)}, expected different "
            "ones"
        )
    wanted = _class_names(names)
    if wanted and labels is None:
        labels = _stored_labels(source)
    own = OwnColumns(_together(y), tuple(quantities), used=tuple(used))
    if labels is None:
        return own
    values, place = _read("labels", labels, source)
    label, known = classes(values, len(source), place, wanted)
    return dataclasses.replace(own, label=label, labels=known, used=(*used, labels))


def quantity(option: str, text: str) -> Quantity:
    """``energy [MeV]``, or a name alone.

    Raises:
        ArgumentError: it is neither; names the option.

    >>> quantity("weight", "energy [MeV]").label
    'energy [MeV]'
    """
    match = re.fullmatch(r"\s*([^\[\]]*[^\[\]\s])\s*(?:\[([^\[\]]*)\])?\s*", text)
    if match is None:
        raise ArgumentError(f"{option}: got {text!r}, expected a name and a unit: energy [MeV]")
    return Quantity(match[1], match[2] or "")


def _check_own(given: Quantity, where: str, source: io.CloudSource | io.ImageSource) -> None:
    """Refuse to give the source's own condition another unit: no number would change with it."""
    if isinstance(source, TableFile):
        return  # its columns have no unit of their own
    place = where.removeprefix(f"{source.path}:").removeprefix("/")
    match = re.fullmatch(rf"{_prefix(source)}y(?::(\d+))?", place)
    known = () if source.schema is None else source.schema.condition
    column = int(match[1] or 0) if match else len(known)
    if column < len(known) and known[column].unit not in ("", given.unit):
        raise ArgumentError(
            f"condition: got {given.name} [{given.unit}] for {where}, expected the unit "
            f"{known[column].unit} of {known[column].name} in {source.path}, whose numbers an "
            "option does not convert"
        )


def _prefix(source: io.CloudSource | io.ImageSource) -> str:
    """In front of the names of the source's own arrays."""
    contexts = isinstance(source, io.CloudFile) and source.part == "context"
    return "context_" if contexts else ""


def unread(source: io.CloudSource | io.ImageSource, used: Sequence[str]) -> tuple[str, ...]:
    """What the source holds and neither its reader nor an option takes.

    The source itself then warns no more.
    """
    roots = {re.split("[:/]", reference.removeprefix("/"))[0] for reference in used}
    own = f"{source.path}:"
    roots |= {re.split("[:/]", r.removeprefix(own))[0] for r in used if r.startswith(own)}
    names, source.passed_over = source.passed_over, ()
    return tuple(name for name in names if name.removesuffix(" (a group)") not in roots)


def _condition(where: str, source: io.CloudSource | io.ImageSource) -> Tensor:
    values, place = _read("condition", where, source)
    column = conditions(values, len(source), place)
    if column.shape[1] != 1:
        raise ArgumentError(
            f"condition: got {column.shape[1]} columns of {place}, expected one; {where}:0 is the "
            "first of them"
        )
    return column


def _together(columns: list[Tensor]) -> Tensor | None:
    """Columns side by side, in the widest of their types."""
    if not columns:
        return None
    kind = torch.float64 if any(c.dtype == torch.float64 for c in columns) else torch.float32
    return torch.cat([column.to(kind) for column in columns], 1)


def _read(option: str, where: str, source: io.CloudSource | io.ImageSource) -> tuple[Array, str]:
    try:
        if isinstance(source, TableFile) and not names_a_file(where):
            return source.values(where), f"{source.path}: {where}"
        return read_column(where, source.path)
    except ArgumentError as error:
        raise ArgumentError(f"{option}: {error}") from error


def _class_names(names: Sequence[str] | None) -> tuple[str, ...]:
    words = tuple(word.strip() for text in names or () for word in text.split(","))
    if "" in words or len(set(words)) != len(words):
        raise ArgumentError(f"classes: got {', '.join(words)!r}, expected different names: e,pi")
    return words


def _stored_labels(source: io.CloudSource | io.ImageSource) -> str:
    """Where the source itself keeps its classes."""
    if isinstance(source, TableFile):
        raise ArgumentError(
            "classes: was given without --labels, expected the column of the classes"
        )
    for name in (f"{_prefix(source)}label", f"{_prefix(source)}labels"):
        try:
            read_column(name, source.path)
        except ArgumentError:
            continue
        return name
    raise ArgumentError(
        f"classes: was given, but {source.path} has no array label; expected --labels too"
    )
