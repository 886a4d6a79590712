"""Columns as words: ``x,y,z:mm``, ``pt=part_pt*0.001:GeV``, ``charge:-1/0/1``, ``energy > 0.1``.

====================================== ==========================================================
word                                   is
====================================== ==========================================================
``energy``                             a column; its name is that of the quantity
``energy:GeV``, ``energy [GeV]``       with a unit
``pt=part_pt:GeV``                     with a name of its own
``pt=part_pt*0.001:GeV``               times a number: what is stored as MeV is in GeV
``phi:rad:2pi``                        with a period
``charge:-1/0/1``                      of these kinds: the feature k is the k-th of them; ``other``
                                       as the last takes all values that are not listed
``pid=22``                             the same number for all points
``block[0:800:4]``, ``block[801]``     places in a column of as many numbers in each row
====================================== ==========================================================
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pcgen.errors import ArgumentError
from pcgen.schema import Quantity
from pcgen.units import angle

OTHER = "other"  #: as the last category: every value that is not listed
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"(?:([^=]+?)\s*=\s*)?([^=]+?)(?:\s*\*\s*({_NUMBER}))?")
_UNIT = re.compile(r"(.*\S)\s+\[([^\[\]]*)\]")
_KINDS = re.compile(rf"[+-]?\d+(?:/[+-]?\d+)*/(?:[+-]?\d+|{OTHER})")
_PLACE = re.compile(r"(.+)\[(-?\d*(?::-?\d*){0,2})\]")
_CUT = re.compile(rf"([^<>=!]*[^<>=!\s])\s*(<=|>=|==|!=|<|>)\s*({_NUMBER})")
_EXPECTED = "a column, with a name and a unit where it needs them: pt=part_pt:GeV"
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Term:
    """A quantity and the column that holds it.

    Attributes:
        quantity: What it is.
        column: Reference of a column: its name, with places in it where there are some.
        factor: Its numbers are multiplied by this; without a column, it is the number itself.
        one_hot: In place of a column, one column for each category, of which one is 1.
    """

    quantity: Quantity
    column: str = ""
    factor: float = 1.0
    one_hot: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """References of all columns that it needs."""
        return self.one_hot or ((self.column,) if self.column else ())


@dataclass(frozen=True)
class Cut:
    """What is kept: values of a column that compare so with a number; NaN never does.

    Attributes:
        column: Reference of a column.
        relation: One of ``<``, ``<=``, ``==``, ``!=``, ``>=``, ``>``.
        number: To compare with.
    """

    column: str
    relation: str
    number: float

    def kept(self, values: Any) -> Any:
        """Whether each value is kept, as an array of bool."""
        # NaN is unlike every number, and still no value to keep.
        return _COMPARE[self.relation](values, self.number) & (values == values)

    @classmethod
    def parse(cls, option: str, text: str) -> Cut:
        """``energy > 0.1``.

        Raises:
            ArgumentError: it is no such comparison; names the option.

        >>> Cut.parse("where", "E>=.5")
        Cut(column='E', relation='>=', number=0.5)
        """
        match = _CUT.fullmatch(text.strip())
        if match is None:
            raise ArgumentError(
                f"{option}: got {text!r}, expected a column, one of {', '.join(_COMPARE)} and a "
                "number: 'energy > 0.1'"
            )
        return cls(match[1], match[2], float(match[3]))


@dataclass(frozen=True)
class Layer:
    """The layer of a point: a column of whole numbers, or some bits of one.

    Attributes:
        column: Reference of the column.
        offset: The first bit, the lowest being 0.
        width: Number of bits; 0 for the whole number.
    """

    column: str
    offset: int = 0
    width: int = 0

    @classmethod
    def parse(cls, option: str, text: str) -> Layer:
        """``layer_id``, or ``cellID:19:9`` for the bits 19 to 27.

        Raises:
            ArgumentError: it is neither; names the option.
        """
        column, *bits = text.strip().split(":")
        numbers = [int(bit) for bit in bits if re.fullmatch(r"\d{1,2}", bit)]
        fits = len(numbers) == 2 and numbers[1] > 0 and sum(numbers) <= 64
        if not column or len(bits) not in (0, 2) or (bits and not fits):
            raise ArgumentError(
                f"{option}: got {text!r}, expected a column of whole numbers, or first and number "
                "of the bits of one: cellID:19:9 (64 bits at most)"
            )
        return cls(column, *numbers)


def places(reference: str) -> tuple[str, slice | int | None]:
    """The name in a reference of a column, and the places in each row of it; None for all.

    >>> places("block[0:800:4]"), places("E")
    (('block', slice(0, 800, 4)), ('E', None))
    """
    match = _PLACE.fullmatch(reference)
    if match is None or not match[2]:
        return reference, None
    ends = [int(word) if word not in ("", "-") else None for word in match[2].split(":")]
    return match[1], ends[0] if len(ends) == 1 else slice(*ends)


def parse_terms(option: str, texts: Sequence[str], *, shared: bool = False) -> tuple[Term, ...]:
    """The terms of words, each of which may hold several between commas.

    Args:
        option: Name of the option, for messages.
        texts: The words.
        shared: A unit is that of the columns in front of it too: ``x,y,z:mm``. A period, or an
            empty unit (``eta:``), ends that: ``eta,phi:rad:2pi``.

    Raises:
        ArgumentError: a word cannot be understood, or two quantities have the same name.

    >>> [term.quantity.label for term in parse_terms("pos", ["x,y:mm,t [ns]"], shared=True)]
    ['x [mm]', 'y [mm]', 't [ns]']
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    found = [_parse(option, word) for word in words]
    if shared:
        unit = ""
        for place in reversed(range(len(found))):
            term, own = found[place]
            if own:
                alone = term.quantity.period is not None or term.quantity.categories
                unit = "" if alone else term.quantity.unit
            else:
                quantity = dataclasses.replace(term.quantity, unit=unit)
                found[place] = dataclasses.replace(term, quantity=quantity), True
    terms = tuple(term for term, _ in found)
    names = [term.quantity.name for term in terms]
    if len(set(names)) != len(names):
        raise ArgumentError(f"{option}: got the names {', '.join(names)}, expected different ones")
    return terms


def _parse(option: str, word: str) -> tuple[Term, bool]:
    """One term, and whether it states a unit."""
    bracketed = _UNIT.fullmatch(word)
    body, *rest = (bracketed[1], bracketed[2]) if bracketed else _fields(word)
    match = _TERM.fullmatch(body)
    if match is None or len(rest) > 2:
        raise ArgumentError(f"{option}: got {word!r}, expected {_EXPECTED}")
    name, column, factor = match[1] or match[2], match[2], float(match[3] or 1)
    if re.fullmatch(_NUMBER, column):
        if match[1] is None:
            raise ArgumentError(f"{option}: got {word!r}, expected a name for the number: pid=22")
        column, factor = "", float(column)
    unit, period = (*rest, "", "")[:2]
    kinds: tuple[str, ...] = ()
    if _KINDS.fullmatch(unit):
        unit, kinds = "", tuple(unit.split("/"))
    if kinds and (period or len(set(kinds)) != len(kinds)):
        raise ArgumentError(f"{option}: got {word!r}, expected different kinds: charge:-1/0/1")
    quantity = Quantity(name, unit, _period(option, word, period), categories=kinds)
    return Term(quantity, column, factor), bool(rest)


def _fields(word: str) -> list[str]:
    """What stands between colons; those within brackets are places of a column."""
    return [each.strip() for each in re.split(r":(?![^\[\]]*\])", word)]


def _period(option: str, word: str, text: str) -> float | None:
    if not text:
        return None
    try:
        number = angle(text)
    except ValueError:
        number = 0
    if not 0 < number < math.inf:
        raise ArgumentError(
            f"{option}: got {word!r}, expected a positive period, 2pi say: phi:rad:2pi"
        )
    return number
