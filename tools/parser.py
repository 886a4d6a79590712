"""Words of a command line to the values of its options, with help and configuration files."""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NoReturn, get_args, get_origin

from pcgen.tools.options import MisuseError, Option

Groups = Mapping[str, Sequence[Option]]
Translate = Callable[[dict[str, Any]], dict[str, Any]]

_OWN = ("help", "config", "print-config")
_LOGICAL = ("true", "false", "yes", "no", "on", "off")


class Parser:
    """The options of one command.

    Args:
        command: Its name, ``"pcgen train points-vae"`` say.
        description: What help shows first.
        groups: Options under the title that help gives them.
        translate: From what a configuration file holds to the values of options, where a command
            reads files of another layout too.
        elsewhere: What errors say of an option that the command does not have, by its word: that
            others have it; empty where none does.
    """

    def __init__(
        self,
        command: str,
        description: str,
        groups: Groups,
        translate: Translate = lambda found: found,
        elsewhere: Callable[[str], str] = lambda word: "",
    ) -> None:
        self.command, self.description = command, description
        self.groups, self.translate, self.elsewhere = groups, translate, elsewhere
        self.options = [option for options in groups.values() for option in options]
        self.positional = [option for option in self.options if option.positional]

    @property
    def usage(self) -> str:
        """``pcgen view path [second] [OPTIONS]``."""
        words = [o.word if o.required else f"[{o.word}]" for o in self.positional]
        return " ".join([self.command, *words, "[OPTIONS]"])

    def parse(self, argv: Sequence[str]) -> dict[str, Any]:
        """The value of every option: what was given, or its default; raises as :meth:`given`."""
        values = self.given(argv)
        return {option.name: values.get(option.name, option.default) for option in self.options}

    def given(self, argv: Sequence[str]) -> dict[str, Any]:
        """The values that are given; what the words say goes before what files say.

        Raises:
            MisuseError: the words, or a configuration file, cannot be understood, or a required
                value is missing.
            SystemExit: help or the configuration was wanted, and is printed.
        """
        given = self._split(argv)
        if "help" in given:
            print(self.help(), end="")
            raise SystemExit(0)
        values: dict[str, Any] = {}
        for (path,) in given.pop("config", []):
            values |= self._configured(path)
        printed = given.pop("print-config", None)
        values |= {option.name: option.read(given[option.word]) for option in self._of(given)}
        if printed is not None:
            self._print(values)
        for option in self.options:
            if option.required and option.name not in values:
                raise MisuseError(
                    f"{option.shown}: got none, expected {option.expected} ({self.usage})"
                )
        return values

    def help(self) -> str:
        """Usage, description, arguments, and the options in their groups."""
        width = _width()
        paragraphs = (" ".join(text.split()) for text in self.description.split("\n\n"))
        described = "\n\n".join(textwrap.fill(text, width) for text in paragraphs)
        return f"usage: {self.usage}\n\n{described}\n\n{self.listing()}"

    def listing(self) -> str:
        """The options in their groups."""
        parser = argparse.ArgumentParser(
            usage=argparse.SUPPRESS,
            add_help=False,
            formatter_class=lambda prog: argparse.HelpFormatter(
                prog, max_help_position=30, width=_width()
            ),
        )
        plain = parser.add_argument_group("arguments")
        for option in self.positional:
            plain.add_argument(option.word, help=_explained(option))
        for title, options in self.groups.items():
            group = parser.add_argument_group(title)
            for option in options:
                if not option.positional:
                    _add(group, option)
        own = parser.add_argument_group("of every command")
        own.add_argument("-h", "--help", action="store_true", help="Show this help.")
        own.add_argument(
            "--config",
            metavar="FILE",
            help="YAML file with options; those of the command line go before it.",
        )
        own.add_argument(
            "--print_config",
            "--print-config",
            action="store_true",
            help="Print such a file with the options of this command, and stop.",
        )
        return parser.format_help().lstrip("\n")

    def _of(self, given: Mapping[str, Any]) -> list[Option]:
        return [option for option in self.options if option.word in given]

    def _split(self, argv: Sequence[str]) -> dict[str, list[list[str]]]:
        """The words of each option, a list for each time it is given."""
        given: dict[str, list[list[str]]] = {}
        words, bare = list(argv), []
        while words:
            word = words.pop(0)
            if word == "--":
                bare += words
                break
            if not _is_option(word):
                bare.append(word)
                continue
            name, equals, value = word.partition("=")
            key, dot, path = name.lstrip("-").partition(".")
            key = {"h": "help"}.get(key, key).replace("_", "-") if name[:2] == "--" else key
            if word in ("-h", "--help"):
                return {"help": []}
            if key in _OWN and name[:2] == "--" and not dot:
                given.setdefault(key, []).append(_own(key, equals, value, words))
                continue
            option = self._named(key, name)
            if dot and option.kind is not dict:
                raise MisuseError(f"{name}: --{key} holds no names, expected --{key} alone")
            taken = [value] if equals else _taken(option, words, bool(dot))
            taken = [f"{path}={' '.join(taken)}"] if dot else taken
            given.setdefault(option.word, []).append(taken)
        self._place(bare, given)
        return given

    def _named(self, key: str, name: str) -> Option:
        for option in self.options:
            if key in (option.word, option.name.replace("_", "-")) and name[:2] == "--":
                return option
        known = [*(option.word for option in self.options), *_OWN]
        hint = self.elsewhere(_plain(key)) or near(_plain(key), known, "--")
        raise MisuseError(f"unknown option {name}{hint}")

    def _place(self, bare: Sequence[str], given: dict[str, list[list[str]]]) -> None:
        """Words without an option go to the arguments that need none, in their order."""
        free = [option for option in self.positional if option.word not in given]
        several = bool(free) and free[-1].kind is list  # the last one takes all words that are left
        if len(bare) > len(free) and not several:
            known = ", ".join(option.word for option in self.positional)
            raise MisuseError(
                f"got {bare[len(free)]!r}, expected an option"
                + (f" after {known}" if known else "")
            )
        for option, word in zip(free, bare, strict=False):
            given[option.word] = [[word]]
        if several and len(bare) > len(free):
            given[free[-1].word] = [list(bare[len(free) - 1 :])]

    def _configured(self, path: str) -> dict[str, Any]:
        """The values in a YAML or JSON file."""
        place = f"--config {path}"
        found = loaded(path)
        if not isinstance(found, dict):
            kind = "nothing" if found is None else f"a {type(found).__name__}"
            raise MisuseError(f"{place}: got {kind}, expected options, a line each: NAME: VALUE")
        values = {}
        try:
            for key, value in self.translate(found).items():
                option = self._key(str(key))
                if value is None and option.required:
                    continue  # as --print_config writes what was not given
                if isinstance(value, str) and option.kind in (list, dict):
                    values[option.name] = option.read([[value]])
                else:
                    values[option.name] = option.check(value)
        except MisuseError as error:
            raise MisuseError(f"{place}: {error}") from error
        return values

    def _key(self, key: str) -> Option:
        for option in self.options:
            if key.replace("_", "-") in (option.word, option.name.replace("_", "-")):
                return option
        known = [option.word for option in self.options]
        hint = self.elsewhere(_plain(key)) or near(_plain(key), known)
        raise MisuseError(f"unknown option {key!r}{hint}")

    def _print(self, values: Mapping[str, Any]) -> NoReturn:
        import yaml

        known = {
            option.word.replace("-", "_"): listed(
                values.get(option.name, None if option.required else option.default)
            )
            for option in self.options
        }
        print(yaml.safe_dump(known, sort_keys=False, allow_unicode=True), end="")
        raise SystemExit(0)


def near(word: str, known: Iterable[str], dashes: str = "") -> str:
    """A suggestion, where one of the known names is close: ``", did you mean train?"``."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {dashes}{found[0]}?" if found else ""


def _plain(key: str) -> str:
    """A name as options have it, however it was written: ``--Batch_Size`` is batch-size."""
    return key.lstrip("-").lower().replace("_", "-")


def _is_option(word: str) -> bool:
    """Not so a number such as -1."""
    return re.match(r"--?[A-Za-z]", word) is not None


def _own(key: str, equals: str, value: str, words: list[str]) -> list[str]:
    """What --config and --print_config take."""
    if key != "config":
        if equals:
            raise MisuseError(f"--{key.replace('-', '_')}: got {value}, expected no value")
        return []
    if equals:
        return [value]
    if not words or _is_option(words[0]):
        raise MisuseError("--config: got no value, expected a YAML file")
    return [words.pop(0)]


def _taken(option: Option, words: list[str], inside: bool) -> list[str]:
    """The words that belong to an option, removed from those that follow it."""
    ends = (k for k, word in enumerate(words) if word == "--" or _is_option(word))
    number = next(ends, len(words))
    if option.kind is bool:
        known = (*_LOGICAL, "null") if option.optional else _LOGICAL
        if not number or words[0].lower() not in known:
            return ["true"]
        number = 1
    elif option.kind is None or inside:
        number = min(number, 1)
    elif number and words[0][:1] in "[{":
        number = _closed(words[:number])
    if not number:
        raise MisuseError(f"{option.shown}: got no value, expected {option.expected}")
    taken, words[:] = words[:number], words[number:]
    return taken


def _closed(words: Sequence[str]) -> int:
    """How many words there are until the first bracket is closed; all where it is not."""
    depth = 0
    for number, word in enumerate(words, 1):
        depth += sum(word.count(each) for each in "[{") - sum(word.count(each) for each in "]}")
        if depth <= 0:
            return number
    return len(words)


def loaded(path: str) -> Any:
    """What a YAML or JSON file holds.

    Raises:
        MisuseError: it cannot be read.
    """
    from pcgen.bounds import TEXT, regular_file
    from pcgen.errors import PcgenError
    from pcgen.plain_yaml import parse_yaml

    try:
        file = regular_file(path)
        TEXT.check(file.stat().st_size, str(path))
        return parse_yaml(file.read_text(encoding="utf-8"))
    except PcgenError as error:
        hint = "" if "expected" in str(error) else ", expected YAML with options"
        raise MisuseError(f"--config {error}{hint}") from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise MisuseError(f"--config {path}: got what is not YAML ({reason})") from error


def _width() -> int:
    return min(shutil.get_terminal_size().columns - 2, 100)


def _add(group: argparse._ArgumentGroup, option: Option) -> None:
    words = f"--{option.word}"
    if option.kind is bool:
        group.add_argument(words, nargs="?", metavar="true|false", help=_explained(option))
    else:
        group.add_argument(words, metavar=_metavar(option), help=_explained(option))


def listed(value: Any) -> Any:
    """Tuples as lists: YAML has no others."""
    if isinstance(value, dict):
        return {key: listed(each) for key, each in value.items()}
    return [listed(each) for each in value] if isinstance(value, tuple | list) else value


def _metavar(option: Option) -> str:
    if option.kind is dict:
        return option.expected.split(" or ")[0]
    members = [m for m in get_args(option.hint) if m is not type(None)]
    for hint in (option.hint, *members):
        if get_origin(hint) is Literal:
            return "{" + ",".join(map(str, get_args(hint))) + "}"
    if option.kind is list:
        return "A B" if re.match(r"\d", option.expected) else "A [B ...]"
    return "TEXT" if option.expected.startswith("text") else "NUMBER"


def _explained(option: Option) -> str:
    """The docstring's words, how a dictionary is written, and the default."""
    notes = []
    if option.kind is dict:
        notes.append(option.expected.removesuffix(" or null"))
    if option.expected.endswith("or null") and option.default is not None:
        notes.append("null for none")
    if option.positional and not option.required:
        notes.append(f"also --{option.word}")
    unsaid = option.required or option.default is None or option.default is False
    if not unsaid and option.default != "":
        default = listed(option.default)
        text = " ".join(map(str, default)) if isinstance(default, list) else str(default)
        notes.append(f"default: {text.lower() if default is True else text}")
    elif option.required and not option.positional:
        notes.append("required")
    words = option.help.replace("``", "")
    text = f"{words} ({'; '.join(notes)})" if notes else words
    return text.strip().replace("%", "%%")
