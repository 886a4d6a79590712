"""Which columns of a table are what in clouds: a value, from options or from a preset.

The same words in both: ``--pos x,y,z:mm`` is ``pos: [x, y, "z:mm"]`` in YAML, and their grammar is
that of :mod:`pcgen.io.tables.terms`. Keys of a preset alone are those that say how the points of
one cloud lie in several columns (:mod:`pcgen.io.tables.grouping`): ``axis``, ``members``,
``parts``; and what an event has (``condition``, ``label``, ``classes``).
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pcgen.errors import ArgumentError
from pcgen.io.tables.terms import Cut, Layer, Term, parse_terms
from pcgen.schema import Quantity, Schema

DERIVED = ("pt", "eta", "phi")
"""What a momentum brings as columns of points; of the sum over a cloud they are ``sum.pt``, ..."""

_ETA_PHI = (
    Term(Quantity("eta", symbol=r"$\eta$"), "eta"),
    Term(Quantity("phi", "rad", 2 * math.pi, r"$\phi$"), "phi"),
)


@dataclass(frozen=True)
class Points:
    """Columns of points, which have one value for each.

    Attributes:
        pos: Coordinates.
        weight: What a point carries; None: points only count.
        x: Further features.
        layer: Detector layer; None: there is none.
        momentum: The columns p_x, p_y, p_z, from which pt, eta and phi are computed; or none.
        where: Only points that pass all these cuts.
    """

    pos: tuple[Term, ...]
    weight: Term | None = None
    x: tuple[Term, ...] = ()
    layer: Layer | None = None
    momentum: tuple[Term, ...] = ()
    where: tuple[Cut, ...] = ()

    @property
    def terms(self) -> tuple[Term, ...]:
        """All that is computed of its columns."""
        weight = (self.weight,) if self.weight else ()
        return (*self.pos, *weight, *self.x, *self.momentum)

    @property
    def columns(self) -> tuple[str, ...]:
        """References of all columns that it needs, cuts included."""
        used = [column for term in self.terms for column in term.columns]
        used += [self.layer.column] if self.layer else []
        used += [cut.column for cut in self.where]
        derived = DERIVED if self.momentum else ()
        return tuple(dict.fromkeys(each for each in used if each not in derived))


@dataclass(frozen=True)
class Members:
    """Points that a list of indices chooses, for each of several jets in a row.

    Attributes:
        jets: How the names of the columns of jets begin.
        owner: Column of indices of jets, one for each member.
        index: Column of indices of points, one for each member; negative ones are none.
    """

    jets: str
    owner: str
    index: str


@dataclass(frozen=True)
class Columns:
    """Columns of a table and what they are in clouds.

    Attributes:
        parts: Columns of points; the points of several parts make up one cloud.
        condition: Conditions of a cloud.
        label: Class of a cloud, where the table has one.
        classes: Names of the classes.
        where: Only clouds that pass all these cuts.
        axis: What coordinates are relative to: columns of the cloud, one for each coordinate; or
            ``sum``, the direction of the summed momenta; ``centroid``, the mean of the coordinates
            by weight; empty: nothing.
        members: How points belong to jets, where a row has several of them.
        event: Column of the event's number in a flat table, or ``file``; empty: none.
        events: Where the numbers of all events are, as for conditions; empty: an event has a row.
        offsets: Name of the array that says where events begin; empty: none.
        table: Tree of a ROOT file, group of an HDF5 file; empty: the only one that fits.
        sort: Rows of a flat table are sorted by event, in memory.
        name: Of the preset, for messages; empty: options.
        description: Of the clouds, for their schema.
    """

    parts: tuple[Points, ...]
    condition: tuple[Term, ...] = ()
    label: Term | None = None
    classes: tuple[str, ...] = ()
    where: tuple[Cut, ...] = ()
    axis: tuple[str, ...] = ()
    members: Members | None = None
    event: str = ""
    events: str = ""
    offsets: str = ""
    table: str = ""
    sort: bool = False
    name: str = ""
    description: str = ""

    @property
    def schema(self) -> Schema:
        """What the clouds mean."""
        first = self.parts[0]
        return Schema(
            tuple(term.quantity for term in first.pos),
            first.weight.quantity if first.weight else None,
            tuple(term.quantity for term in first.x),
            tuple(term.quantity for term in self.condition),
            self.label.quantity.categories if self.label and self.label.one_hot else self.classes,
            description=self.description,
        )

    @property
    def of_points(self) -> tuple[str, ...]:
        """References of the columns of points."""
        return tuple(dict.fromkeys(column for part in self.parts for column in part.columns))

    @property
    def of_clouds(self) -> tuple[str, ...]:
        """References of the columns of clouds, cuts included."""
        terms = (*self.condition, *((self.label,) if self.label else ()))
        used = [column for term in terms for column in term.columns]
        used += [cut.column for cut in self.where]
        used += list(self.axis) if len(self.axis) > 1 else []
        derived = [f"sum.{name}" for name in DERIVED] if self.parts[0].momentum else []
        return tuple(each for each in dict.fromkeys(used) if each not in derived)


def from_words(words: Mapping[str, Any], where: str = "") -> Columns:
    """Columns from the keys of a preset, or from options of the same names.

    Args:
        words: Values by key; those that are None or empty are not there.
        where: What to put in front of a key in messages: ``"preset jetclass: "``.

    Raises:
        ArgumentError: a key is unknown, a value cannot be understood, or parts do not fit together.
    """
    given = {key: value for key, value in words.items() if value not in (None, "", [], False)}
    for key in given:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f", did you mean {near[0]}?" if near else f", expected one of {', '.join(_KEYS)}"
            raise ArgumentError(f"{where}got the key {key}{hint}")
    common = {key: value for key, value in given.items() if key in _OF_POINTS}
    parts = given.get("parts", [{}])
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        raise ArgumentError(f"{where}parts: got {parts!r:.60}, expected a list of keys and values")
    read = tuple(_points({**common, **part}, where) for part in parts)
    for part in read[1:]:
        if _meaning(part) != _meaning(read[0]):
            raise ArgumentError(
                f"{where}parts: got different quantities, expected equal ones in all"
            )
    label = None
    if given.get("label") is not None:
        (label,) = _terms(given, "label", where)
    texts: dict[str, Any] = {key: _text(given.get(key, ""), f"{where}{key}") for key in _TEXTS}
    columns = Columns(
        read,
        condition=_terms(given, "condition", where),
        label=label,
        classes=tuple(map(str, _list(given.get("classes"), f"{where}classes"))),
        axis=tuple(map(str, _list(given.get("axis"), f"{where}axis"))),
        members=_members(given.get("members"), where),
        sort=given.get("sort", False) is True,
        **texts,
    )
    return _checked(columns, where)


_OF_POINTS = ("pos", "weight", "x", "layer", "momentum", "where")
_TEXTS = ("event", "events", "offsets", "table", "name", "description")
_KEYS = (*_OF_POINTS, *_TEXTS, "condition", "label", "classes", "axis", "members", "parts", "sort")


def _points(given: Mapping[str, Any], where: str) -> Points:
    momentum = _terms(given, "momentum", where)
    pos = _terms(given, "pos", where) or (_ETA_PHI if momentum else ())
    weight: tuple[Term, ...] = _terms(given, "weight", where)
    if momentum and len(momentum) != 3:
        raise ArgumentError(f"{where}momentum: got {len(momentum)} columns, expected px,py,pz:GeV")
    if momentum and not weight:
        unit = momentum[0].quantity.unit
        weight = (Term(Quantity("pt", unit, symbol="$p_T$"), "pt"),)
    if not any(term.columns for term in pos):
        raise ArgumentError(
            f"{where}pos: got none, expected the columns of the coordinates: x,y,z:mm"
        )
    if len(weight) > 1:
        raise ArgumentError(f"{where}weight: got {len(weight)} columns, expected one: energy:GeV")
    for term in (*pos, *weight, *momentum):
        if term.quantity.categories or term.one_hot:
            raise ArgumentError(
                f"{where}{term.quantity.name}: got kinds, expected them for x alone"
            )
    cuts = _list(given.get("where"), f"{where}where")
    layer = given.get("layer")
    return Points(
        pos,
        weight[0] if weight else None,
        _terms(given, "x", where),
        None if layer is None else Layer.parse(f"{where}layer", _text(layer, f"{where}layer")),
        momentum,
        tuple(Cut.parse(f"{where}where", str(cut)) for text in cuts for cut in text.split(",")),
    )


def _terms(given: Mapping[str, Any], key: str, where: str) -> tuple[Term, ...]:
    """The terms of a key; what is a dictionary in YAML has one column for each category."""
    option, value = f"{where}{key}", given.get(key)
    if key == "label" and isinstance(value, Mapping):
        value = [{"label": value}]
    if key in ("pos", "momentum"):
        words = [str(each) for each in _list(value, option)]
        return parse_terms(option, words, shared=True) if words else ()
    found: list[Term] = []
    for each in _list(value, option):
        if isinstance(each, Mapping):
            found += [_one_hot(option, name, columns) for name, columns in each.items()]
        else:
            found += parse_terms(option, [each])
    names = [term.quantity.name for term in found]
    if len(set(names)) != len(names):
        raise ArgumentError(f"{option}: got the names {', '.join(names)}, expected different ones")
    return tuple(found)


def _one_hot(option: str, name: Any, columns: Any) -> Term:
    """A term of one column for each category."""
    if not isinstance(columns, Mapping) or len(columns) < 2:
        raise ArgumentError(
            f"{option}: got {name}: {columns!r:.60}, expected a column for each category: "
            "{kind: {photon: isPhoton, electron: isElectron}}"
        )
    quantity = Quantity(str(name), categories=tuple(map(str, columns)))
    return Term(quantity, one_hot=tuple(map(str, columns.values())))


def _members(value: Any, where: str) -> Members | None:
    if value is None:
        return None
    fields = [field.name for field in dataclasses.fields(Members)]
    if not isinstance(value, Mapping) or sorted(map(str, value)) != sorted(fields):
        raise ArgumentError(f"{where}members: got {value!r:.60}, expected {', '.join(fields)}")
    return Members(**{key: _text(each, f"{where}members: {key}") for key, each in value.items()})


def _checked(columns: Columns, where: str) -> Columns:
    """Refuse values that exclude each other."""
    no_ids, dimensions = columns.event in ("", "file"), len(columns.parts[0].pos)
    refused: tuple[tuple[bool, str, str], ...] = (
        (bool(columns.event and columns.offsets), "event", "no --offsets beside it"),
        (columns.sort and no_ids, "sort", "--event with the column to sort by"),
        (bool(columns.events) and no_ids, "events", "--event with the column of these numbers"),
        (
            columns.axis not in ((), ("sum",), ("centroid",))
            and (columns.axis[0] in ("sum", "centroid") or len(columns.axis) != dimensions),
            "axis",
            "sum, centroid, or a column for each coordinate",
        ),
        (columns.axis == ("sum",) and not columns.parts[0].momentum, "axis", "a momentum to sum"),
        (columns.axis == ("sum",) and dimensions != 2, "axis", "coordinates eta, phi"),
    )
    for wrong, key, expected in refused:
        if wrong:
            raise ArgumentError(f"{where}{key}: got {getattr(columns, key)!r}, expected {expected}")
    return columns


def _meaning(points: Points) -> tuple[Any, ...]:
    quantities = [term.quantity for term in (*points.pos, *points.x)]
    return (*quantities, points.weight and points.weight.quantity, points.layer is None)


def _list(value: Any, option: str) -> Sequence[Any]:
    """A list as it is, a single value as a list of it, nothing as an empty one."""
    if value is None:
        return ()
    values = value if isinstance(value, list | tuple) else [value]
    for each in values:
        if not isinstance(each, str | int | Mapping):
            raise ArgumentError(f"{option}: got {each!r:.60}, expected text")
    return [each if isinstance(each, Mapping) else str(each) for each in values]


def _text(value: Any, option: str) -> str:
    if not isinstance(value, str):
        raise ArgumentError(f"{option}: got {value!r:.60}, expected text")
    return value
