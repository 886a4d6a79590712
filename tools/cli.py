"""The command ``pcgen``: options and help come from the signatures of the tools' functions.

A command is one function with typed arguments and a docstring; a recipe of ``pcgen train`` adds its
own arguments. Errors of pcgen are one line on stderr and exit status 1, never a traceback; words
that no command understands are a line, a second one that says where help is, and exit status 2.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

import pcgen
from pcgen.errors import PcgenError

COMMANDS = {
    "simulate jets": ("pcgen.tools.simulate:simulate_jets", "make jets with Pythia 8 and anti-kT"),
    "convert": ("pcgen.tools.convert:convert", "images to clouds and back, between file formats"),
    "train": ("pcgen.tools.train:train", "train one of the recipes"),
    "resume": ("pcgen.tools.resume:resume", "go on with a run by its folder alone"),
    "sample": ("pcgen.tools.sample:sample", "generate events with a trained model"),
    "evaluate": ("pcgen.tools.evaluate:evaluate", "compare generated with real events"),
    "view": ("pcgen.tools.view:view", "look at events in Open3D, a picture or a web page"),
    "info": ("pcgen.tools.info:info", "say what is in a file, a run or a checkpoint"),
    "bench": ("pcgen.tools.bench:bench", "time our distances beside other packages"),
    "compare": (
        "pcgen.tools.compare:compare",
        "train representations and objectives on the same events, and report",
    ),
    "demo": ("pcgen.tools.demo:demo", "the main job, end to end, on the shipped jets"),
}

SHORT = {"from": "from_format", "to": "to_format"}
"""Options whose name is a word of Python's own."""


class Parser(ArgumentParser):
    """jsonargparse's, with a short usage and errors that are one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong and where help is, and exit with status 2."""
        raise SystemExit(_misused(f"{self.prog}: {_plain(message)}", self.prog)) from ex

    def spell(self) -> None:
        """Show options in help as they are written on the command line: ``--latent-dim``."""
        short = {name: word for word, name in SHORT.items()}
        for action in self._actions:
            if action.option_strings and action.dest not in ("help", "print_config"):
                name = short.get(action.dest, action.dest).replace("_", "-")
                action.option_strings = [f"--{name}"]
                if action.dest in short:
                    action.metavar = "FORMAT"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(argv)
    except PcgenError as error:
        print(f"pcgen: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"pcgen: {interrupt if interrupt.args else 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone; keep the interpreter from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _dispatch(argv: list[str]) -> int:
    if argv[:1] == ["--version"]:
        print(f"pcgen {pcgen.__version__}")
        return 0
    name = next((n for n in COMMANDS if argv[: len(n.split())] == n.split()), None)
    if name is None:
        return _guide(argv)
    rest = argv[len(name.split()) :]
    function = _load(COMMANDS[name][0])
    return _train(function, rest) if name == "train" else _run(name, function, rest)


def _guide(argv: list[str]) -> int:
    """What there is to be asked for, where it was not named in full."""
    several = {n: s for n, (_, s) in COMMANDS.items() if argv and n.split()[0] == argv[0]}
    asked = argv[1:] if several else argv
    known = several or {name: summary for name, (_, summary) in COMMANDS.items()}
    if asked[:1] in (["-h"], ["--help"]) or not argv:
        note = (
            "pcgen COMMAND --help tells the options of a command; every command takes\n"
            "--config FILE, and --print_config to write such a file."
        )
        return _list("pcgen COMMAND [OPTIONS]", known, note)
    place = f"pcgen {argv[0]}" if several else "pcgen"
    got = " ".join(argv[:2] if several else argv[:1])
    return _misused(f"pcgen: unknown command {got!r}, expected {' or '.join(known)}", place)


def _list(usage: str, known: Mapping[str, str], note: str) -> int:
    width = max(map(len, known)) + 2
    lines = [f"  {name:{width}s}{summary}" for name, summary in known.items()]
    print("\n".join([f"usage: {usage}", "", *lines, "", note]))
    return 0


def _misused(error: str, place: str) -> int:
    print(f"{error}\nsee {place} --help", file=sys.stderr)
    return 2


def _plain(message: str) -> str:
    """One line of what jsonargparse says: option, value, and what was expected."""
    told = re.match(r'Parser key "(.+?)":\s*(.*)', message, re.DOTALL)
    if told is None:
        return " ".join(message.split())
    key, body = told.groups()
    word = next((word for word, name in SHORT.items() if name == key), key).replace("_", "-")
    got = re.search(r"Given value: (.*)", body) or re.search(r"Got value: (.*)", body)
    want = re.search(r"Subtypes: \[(.*)\]", body) or re.search(r"Expected an? (.*?)\. Got", body)
    if got is None or want is None:
        return f"--{word}: {' '.join(body.split())}"
    kinds = re.sub(r"<class '(.*?)'>", r"\1", want[1]).replace("typing.", "")
    return f"--{word}: got {got[1]}, expected {kinds.replace(', NoneType', ' or null')}"


def _load(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _spelt(argv: list[str], *functions: Callable[..., Any]) -> list[str]:
    """Options as jsonargparse wants them: ``--latent-dim 8`` with underscores, flags with a value.

    ``--jitter`` alone means ``--jitter=true`` where the argument is a bool; values are left alone.
    """
    signatures = [inspect.signature(function).parameters for function in functions]
    flags = {n for s in signatures for n, p in s.items() if p.annotation in (bool, "bool")}
    # A list may be written word by word, each with its option: --condition A --condition B.
    lists = {n for s in signatures for n, p in s.items() if p.annotation == "list[str] | None"}
    words, argv = _leading(argv, signatures[0])
    for word, following in zip(argv, [*argv[1:], "--"], strict=False):
        option, equals, value = word.partition("=")
        if re.match(r"--[a-z]", option):
            option = "--" + SHORT.get(option[2:], option[2:]).replace("-", "_")
            alone = not equals and following.lower() not in ("true", "false", "yes", "no")
            word = option + equals + value
            if alone and option[2:] in flags:
                word += "=true"
            given = value if equals else following
            if option[2:] in lists and given[:1] not in ("[", "") and given != "null":
                word = f"{option}+{equals}{value}"
        words.append(word)
    return words


def _leading(
    argv: list[str], parameters: Mapping[str, inspect.Parameter]
) -> tuple[list[str], list[str]]:
    """Words before the first option, and the rest: ``view REAL FAKE`` where FAKE has a default."""
    number = next((k for k, word in enumerate(argv) if word.startswith("-")), len(argv))
    plain = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    words = argv[:number]
    for k, parameter in enumerate(plain[:number]):
        if parameter.default is not parameter.empty:
            words[k] = f"--{parameter.name}={words[k]}"
    return words, argv[number:]


def _parser(name: str, summary: str, words: str = "") -> Parser:
    """A parser of options; ``words`` are the arguments that come without."""
    usage = " ".join(each for each in (f"pcgen {name}", words, "[OPTIONS]") if each)
    parser = Parser(prog=f"pcgen {name}", description=summary, usage=usage)
    parser.add_argument("--config", action="config", help="YAML file with options")
    return parser


def _run(name: str, function: Callable[..., Any], argv: list[str]) -> int:
    parser = _parser(name, _summary(function), _words(function))
    parser.add_function_arguments(function, as_group=False, as_positional=True)
    parser.spell()
    options = parser.parse_args(_spelt(argv, function)).as_dict()
    options.pop("config", None)
    function(**options)
    return 0


def _train(function: Callable[..., Any], argv: list[str]) -> int:
    """``pcgen train RECIPE``: the recipe's own arguments beside those of the run."""
    from pcgen.recipes import ALIASES, RECIPES

    if argv[:1] in (["-h"], ["--help"]):
        known = {name: _summary(recipe) for name, recipe in RECIPES.items()}
        note = (
            "pcgen train RECIPE --help tells the options of a recipe. The same command on the\n"
            "same folder goes on with an interrupted run (Ctrl-C), exactly where it stopped."
        )
        return _list("pcgen train RECIPE [OPTIONS]", known, note)
    if not argv or ALIASES.get(argv[0], argv[0]) not in RECIPES:
        got = f"unknown recipe {argv[0]!r}" if argv else "got no recipe"
        return _misused(f"pcgen train: {got}, expected {', '.join(RECIPES)}", "pcgen train")
    name = ALIASES.get(argv[0], argv[0])
    recipe = RECIPES[name]
    again = "The same command on the same folder goes on with an interrupted run."
    parser = _parser(f"train {name}", f"{_summary(recipe)} {again}")
    own = set(inspect.signature(recipe).parameters)
    parser.add_function_arguments(recipe, as_group=False)
    parser.add_function_arguments(
        function, as_group=False, skip={"recipe", "recipe_arguments"}, as_positional=False
    )
    parser.spell()
    words = _spelt(argv[1:], recipe, function)
    options = parser.parse_args(words).as_dict()
    options.pop("config", None)
    arguments = {key: options.pop(key) for key in list(options) if key in own}
    function(name, arguments, **options)
    return 0


def _words(function: Callable[..., Any]) -> str:
    """Arguments that need no option, those with a default in brackets: ``path [second]``."""
    plain = inspect.signature(function).parameters.values()
    return " ".join(
        p.name if p.default is p.empty else f"[{p.name}]"
        for p in plain
        if p.kind is p.POSITIONAL_OR_KEYWORD
    )


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
