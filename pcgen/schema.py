"""What the numbers of a data set mean: names, units, periods. A schema carries no data.

A :class:`Schema` travels with a data set, its file, the model and the checkpoint. Plots and errors
speak in it; units are converted and never assumed. Whether two schemas mean the same is decided by
:meth:`Schema.difference` alone.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pcgen.errors import ArgumentError, DataError
from pcgen.units import typed


@dataclass(frozen=True)
class Quantity:
    """One measured quantity: a coordinate, an energy, a condition.

    Attributes:
        name: Identifier, ``"eta_rel"`` say. Rapidity and pseudorapidity are distinguished here:
            ``y`` and ``eta`` are different names.
        unit: ``"GeV"``, ``"mm"``, ``"rad"``; empty for a pure number.
        period: Length after which the coordinate repeats (2π for φ in rad), None if it does not.
        symbol: How plots write it; the name where empty.
        categories: Of a feature that is one of several kinds (a particle's type, its charge): the
            name of each, where the value k of the feature stands for the k-th name. Empty for a
            number.
    """

    name: str
    unit: str = ""
    period: float | None = None
    symbol: str = ""
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.categories)) != len(self.categories):
            raise DataError(
                f"categories of {self.name!r}: got {', '.join(self.categories)}, expected "
                "different names"
            )
        if self.period is not None and not 0 < self.period < math.inf:
            raise DataError(
                f"period of {self.name!r}: got {self.period}, expected a positive number"
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Quantity:
        """A quantity from its fields, whose kinds are checked.

        Raises:
            TypeError: a field is unknown, missing or of the wrong kind.
            DataError: the period is not positive.
        """
        fields = {**data}
        fields["categories"] = _names(fields.get("categories", ()), "categories")
        quantity = cls(**fields)
        for name in ("name", "unit", "symbol"):
            if not isinstance(getattr(quantity, name), str):
                raise TypeError(f"{name} is {reprlib.repr(getattr(quantity, name))}, no text")
        if type(quantity.period) not in (int, float, type(None)):
            raise TypeError(f"period is {reprlib.repr(quantity.period)}, no number")
        return quantity

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of its fields; categories only where there are some.

        A file without categories is thus one that earlier versions read too.
        """
        fields = dataclasses.asdict(self)
        if not self.categories:
            del fields["categories"]
        return fields

    @property
    def label(self) -> str:
        """Axis label of a plot: symbol and unit.

        >>> Quantity("pt", "GeV", symbol="$p_T$").label
        '$p_T$ [GeV]'
        """
        text = self.symbol or self.name
        return f"{text} [{self.unit}]" if self.unit else text


FIELDS = ("axes", "weight", "features", "condition", "labels", "layers")
"""Fields of a schema on which the meaning of numbers depends: all but the description."""


class Difference(NamedTuple):
    """The first field in which two schemas differ; as text, "got ..., expected ...".

    Attributes:
        field: Name of the field of :class:`Schema`.
        expected: Its value in the schema whose :meth:`Schema.difference` was called.
        got: Its value in the other one.
    """

    field: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"got {self.field} {_text(self.got)}, expected {_text(self.expected)}"


@dataclass(frozen=True)
class Schema:
    """Meaning of every attribute of the clouds of one data set (see :mod:`pcgen.clouds`).

    Attributes:
        axes: The D coordinates of ``pos``, in order.
        weight: What a point carries (``weight``); None where points only count.
        features: The F columns of ``x``; they alone may be categories.
        condition: The C columns of ``y``.
        labels: Name of the class of each value of ``label``.
        layers: Name of the detector layer or channel of each value of ``layer``.
        description: One line on where the data come from.
    """

    axes: tuple[Quantity, ...]
    weight: Quantity | None = None
    features: tuple[Quantity, ...] = ()
    condition: tuple[Quantity, ...] = ()
    labels: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        others = (*self.axes, *self.condition, *((self.weight,) if self.weight else ()))
        for quantity in others:
            if quantity.categories:
                raise DataError(
                    f"categories: got some for {quantity.name!r}, expected them for features alone "
                    "(classes of events are labels)"
                )

    @property
    def periods(self) -> tuple[float | None, ...]:
        """Period of each coordinate of ``pos``, None where it is not periodic."""
        return tuple(axis.period for axis in self.axes)

    def difference(self, other: Schema, *, of: Collection[str] = FIELDS) -> Difference | None:
        """The first field in which ``other`` means something else, or None where it means the same.

        Names, units, periods, categories and order count. Symbols do not: they are only how plots
        write a name.

        Args:
            other: The schema to compare with.
            of: Fields to compare; by default :data:`FIELDS`, all but the description.

        Raises:
            ArgumentError: ``of`` names a field that a schema does not have.

        >>> hits = Schema((Quantity("x", "mm"), Quantity("phi", "rad", 6.28)))
        >>> print(hits.difference(Schema((Quantity("x", "mm"), Quantity("phi", "rad")))))
        got axes x [mm], phi [rad], expected x [mm], phi [rad] with period 6.28
        >>> hits.difference(hits) is None
        True
        """
        unknown = [name for name in of if name not in (*FIELDS, "description")]
        if unknown:
            raise ArgumentError(f"of: got {', '.join(unknown)}, expected some of {FIELDS}")
        for name in of:
            own, others = getattr(self, name), getattr(other, name)
            if _meaning(own) != _meaning(others):
                return Difference(name, own, others)
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of strings, numbers and lists, ready for JSON."""
        fields = dataclasses.asdict(self)
        for name in ("axes", "features", "condition"):
            fields[name] = tuple(quantity.to_dict() for quantity in getattr(self, name))
        fields["weight"] = None if self.weight is None else self.weight.to_dict()
        return fields

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schema:
        """Inverse of :meth:`to_dict`.

        Raises:
            DataError: a key is missing, unknown or of the wrong kind.

        >>> schema = Schema((Quantity("phi", "rad", 6.28),), weight=Quantity("E", "GeV"))
        >>> Schema.from_dict(schema.to_dict()) == schema
        True
        """
        try:
            fields = {"axes": data["axes"], **data}
            for name in ("axes", "features", "condition"):
                fields[name] = tuple(Quantity.from_dict(q) for q in fields.get(name, ()))
            if fields.get("weight") is not None:
                fields["weight"] = Quantity.from_dict(fields["weight"])
            for name in ("labels", "layers"):
                fields[name] = _names(fields.get(name, ()), name)
            if not isinstance(fields.get("description", ""), str):
                raise TypeError("description is no text")
            return cls(**fields)
        except (TypeError, KeyError) as error:
            raise DataError(
                f"schema: got {reprlib.repr(data)}, expected the fields of Schema ({error})"
            ) from error


def _names(values: Any, what: str) -> tuple[str, ...]:
    if isinstance(values, (str, bytes, Mapping)):
        raise TypeError(f"{what} are {values!r:.40}, no list of names")
    return tuple(str(value) for value in values)


def _meaning(value: Any) -> Any:
    """A field's value without the symbols."""
    if isinstance(value, tuple):
        return tuple(map(_meaning, value))
    return dataclasses.replace(value, symbol="") if isinstance(value, Quantity) else value


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value)) or "none"
    if not isinstance(value, Quantity):
        return "none" if value is None else str(value)
    text = f"{value.name} [{value.unit}]" if value.unit else value.name
    text += f" with period {typed(value.period)}" if value.period else ""
    return text + (f" of {'/'.join(value.categories)}" if value.categories else "")
