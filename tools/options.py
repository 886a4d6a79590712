"""Options from the signature of a function: names, types and help, and values from words.

Types are plain: text, numbers, true or false, a choice (``Literal``), lists, tuples and
dictionaries of these, each or none. What a word means is decided by its type; jsonargparse converts
and checks. Lists and dictionaries are written bare or as in YAML::

    --classes g q t      --classes g,q,t       --classes g --classes q       --classes [g,q,t]
    --condition pt=1000  --condition.pt 1000   --condition '{pt: 1000}'
"""

from __future__ import annotations

import inspect
import math
import re
import sys
import types
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pcgen.errors import ArgumentError

SHORT = {"from_format": "from", "to_format": "to"}
"""Arguments whose option is a word of Python's own."""

_SCALARS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_OF_CLOCKS = re.compile(r"\s*[+-]?\d+(:\d+)+(\.\d*)?\s*")
"""What YAML takes for a number of minutes or seconds: 1:30 is 90."""


class MisuseError(Exception):
    """Words that cannot be understood: one line that names them, and what was expected."""


@dataclass(frozen=True)
class Option:
    """One argument of a function, as an option of a command.

    Attributes:
        name: Of the argument.
        hint: Its type.
        default: Its default; ``inspect.Parameter.empty`` where it must be given.
        positional: It may stand without its name.
        help: Its description in the docstring.
    """

    name: str
    hint: Any
    default: Any
    positional: bool
    help: str

    @property
    def word(self) -> str:
        """How it is written on the command line, without the dashes: ``latent-dim``."""
        return SHORT.get(self.name, self.name).replace("_", "-")

    @property
    def shown(self) -> str:
        """How errors name it."""
        return self.word if self.required and self.positional else f"--{self.word}"

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def optional(self) -> bool:
        """Whether it may be none: ``null``."""
        return _optional(self.hint)

    @property
    def kind(self) -> Any:
        """``list``, ``dict``, ``bool``, or None for one word."""
        bare = _without_none(self.hint)
        origin = get_origin(bare) or bare
        return {tuple: list, list: list, dict: dict, bool: bool}.get(origin)

    @property
    def expected(self) -> str:
        """The type in plain words."""
        return plain(self.hint)

    def read(self, given: Sequence[Sequence[str]]) -> Any:
        """The value of the words that were given, once or several times.

        Raises:
            MisuseError: they do not fit the type.
        """
        got = " ".join(given[-1])
        if self.kind is list:
            if given[-1] == ["null"] and self.optional:
                return None
            return self.check([item for words in given for item in self._items(words)], got)
        if self.kind is dict:
            if given[-1] == ["null"] and self.optional:
                return None
            merged: dict[str, Any] = {}
            for words in given:
                _merge(merged, self._pairs(words))
            return self.check(merged, got)
        return self.check(given[-1][0], got)

    def check(self, value: Any, got: str | None = None) -> Any:
        """The value converted to the type: ``"8"`` becomes 8 where that is a number.

        Raises:
            ArgumentError: a whole number is beyond 64 bits.
            MisuseError: it does not fit.
        """
        from jsonargparse import ArgumentParser

        shown = str(value) if got is None else got
        wrong = MisuseError(f"{self.shown}: got {shown or 'nothing'}, expected {self.expected}")
        if _without_none(self.hint) is str and isinstance(value, str):
            if not value.strip() and self.default != "":
                raise wrong  # of an unset variable of the shell, say
            # Whatever is written is the text, even if it looks like a number.
            return None if value == "null" and self.optional else value
        if value is None and not self.optional:
            raise wrong
        if not _of(self.hint, str) and any(
            isinstance(leaf, str) and _OF_CLOCKS.fullmatch(leaf) for leaf in _leaves(value)
        ):
            raise wrong
        if _without_none(self.hint) is int and re.fullmatch(
            r"\d+(\.0*)?[eE]\+?\d{1,2}", str(value)
        ):
            value = int(float(value))  # 1e5 is how a physicist writes it
        if isinstance(value, str) and (self.kind in (list, dict) or not value.strip()):
            raise wrong
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--value", type=self.hint)
        try:
            found = parser.parse_object({"value": value}, defaults=False)["value"]
        except Exception as error:
            # jsonargparse passes on whatever its loaders raise.
            raise wrong from error
        for leaf in _leaves(found):
            if isinstance(leaf, int) and not -(2**63) <= leaf < 2**63:
                raise ArgumentError(f"{self.shown}: got {shown}, expected a number below 2**63")
            if isinstance(leaf, float) and not math.isfinite(leaf):
                raise MisuseError(f"{self.shown}: got {shown}, expected a finite number")
        return found

    def _items(self, words: Sequence[str]) -> list[Any]:
        text = " ".join(words)
        if not text.startswith("["):
            items: list[Any] = [item.strip() for word in words for item in word.split(",")]
        elif text.endswith("]") and not re.search(r"[\[\]{}'\"]", text[1:-1]):
            # Not YAML's business: names of files hold what is special there.
            items = [item.strip() for item in text[1:-1].split(",")] if text[1:-1].strip() else []
        else:
            items = self._yaml(text, list, text)
        if not all(items):
            raise MisuseError(f"{self.shown}: got {text or 'nothing'}, expected {self.expected}")
        return items

    def _pairs(self, words: Sequence[str]) -> dict[str, Any]:
        """``a=1 b=2``, ``a=1,b=2`` or YAML, with or without braces."""
        pieces = [piece for word in words for piece in re.split(r",(?=[^,=]+=)", word)]
        found: dict[str, Any] = {}
        if all(re.match(r"[^\s=:{}\[\],]+=.", piece) for piece in pieces):
            for piece in pieces:
                path, _, text = piece.partition("=")
                _merge(found, self._nested(path, text))
            return found
        text = " ".join(words).strip()
        wrong = MisuseError(f"{self.shown}: got {text or 'nothing'}, expected {self.expected}")
        if not text:
            raise wrong
        braced = text if text[:1] == "{" else f"{{{text}}}"
        for key, value in self._yaml(braced, dict, text).items():
            # YAML takes {pt:1000}, without a blank, for a name without a value.
            name, _, rest = key.partition(":") if value == "" else (key, "", value)
            if rest == "":
                raise wrong
            found[name] = rest
        return found

    def _nested(self, path: str, text: str) -> dict[str, Any]:
        """``critic.lr`` is a name in a name where the values are dictionaries."""
        inner = (get_args(_without_none(self.hint)) or (str, Any))[1]
        deep = inner is Any or (get_origin(inner) or inner) is dict
        name, dot, rest = path.partition(".")
        return {name: self._nested(rest, text)} if deep and dot else {path: text}

    def _yaml(self, text: str, kind: type, got: str) -> Any:
        """Structure alone: all that is not a list or a dictionary stays text."""
        import yaml

        try:
            value = yaml.load(text, yaml.BaseLoader)
        except (yaml.YAMLError, RecursionError):
            value = None
        if not isinstance(value, kind):
            raise MisuseError(f"{self.shown}: got {got}, expected {self.expected}")
        return value


def options_of(
    function: Callable[..., Any], *, skip: Collection[str] = (), positional: bool = True
) -> list[Option]:
    """The options of a function.

    Args:
        function: With type hints and a docstring in Google's style.
        skip: Arguments that are no options.
        positional: Whether arguments that Python takes without a name need none here.

    Raises:
        ArgumentError: a type hint is missing, unknown or not plain.
    """
    helps, hints = _helps(function), _hints(function)
    return [
        Option(
            name,
            hints[name],
            parameter.default,
            positional and parameter.kind is parameter.POSITIONAL_OR_KEYWORD,
            helps.get(name, ""),
        )
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in skip
    ]


def plain(hint: Any) -> str:
    """A type in plain words.

    >>> plain(Literal["quick", "full"] | None)
    'one of quick, full, or null'
    >>> plain(list[int]), plain(float)
    ('a list of whole numbers', 'a number')
    """
    bare = _without_none(hint)
    if _optional(hint):
        comma = "," if get_origin(bare) is Literal else ""
        return f"{plain(bare)}{comma} or null"
    origin, inner = get_origin(bare), get_args(bare)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (Union, types.UnionType):
        return " or ".join(map(plain, inner))
    if bare is dict or origin is dict:
        return _plain_pairs(inner[1] if inner else Any)
    if origin is tuple and Ellipsis not in inner:
        return f"{len(inner)} {_many(inner[0])}"
    if bare in (list, tuple) or origin in (list, tuple):
        return f"a list of {_many(inner[0])}" if inner else "a list"
    return "a value" if bare is Any else _SCALARS[bare]


def _many(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"some of {', '.join(map(str, get_args(hint)))}"
    return {int: "whole numbers", float: "numbers", str: "words"}.get(hint, "values")


def _plain_pairs(value: Any) -> str:
    if (get_origin(value) or value) is dict:
        return "NAME.OPTION=VALUE or '{NAME: {OPTION: VALUE}}'"
    word = {int: "NUMBER", float: "NUMBER", str: "TEXT"}.get(value, "VALUE")
    return f"NAME={word} or '{{NAME: {word}}}'"


def _helps(function: Callable[..., Any]) -> dict[str, str]:
    from docstring_parser import parse

    parsed = parse(inspect.getdoc(function) or "")
    return {p.arg_name: " ".join((p.description or "").split()) for p in parsed.params}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of the arguments; what is returned may be known to type checkers alone."""
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    home, name = vars(sys.modules[inner.__module__]), getattr(inner, "__name__", str(inner))
    hints = {}
    for parameter in inspect.signature(function).parameters.values():
        place = f"{name}: argument {parameter.name!r}"
        if parameter.annotation is parameter.empty:
            raise ArgumentError(f"{place} has no type hint, expected one")
        holder = types.SimpleNamespace(__annotations__={"it": parameter.annotation})
        try:
            hints[parameter.name] = get_type_hints(holder, home)["it"]
            plain(hints[parameter.name])
        except (NameError, AttributeError, KeyError, TypeError, SyntaxError) as error:
            raise ArgumentError(
                f"{place}: got the type {parameter.annotation}, expected plain values "
                "(str, int, float, bool, Literal, list, tuple, dict)"
            ) from error
    return hints


def _optional(hint: Any) -> bool:
    return hint is type(None) or type(None) in _members(hint)


def _without_none(hint: Any) -> Any:
    rest = tuple(member for member in _members(hint) if member is not type(None))
    # The members are known only at run time; ``X | Y`` has no form for a tuple of them.
    return Union[rest] if rest else hint  # noqa: UP007


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _of(hint: Any, kind: type) -> bool:
    """Whether a type, or a type inside it, is the given one."""
    return hint is kind or any(_of(inner, kind) for inner in get_args(hint))


def _leaves(value: Any) -> Iterator[Any]:
    """What is inside lists and dictionaries, themselves left out."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        known = into.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        else:
            into[name] = value
