"""The command ``pcgen``: options and help come from the signatures of the tools' functions.

A command is one function with typed arguments and a docstring; a recipe of ``pcgen train`` adds its
own arguments. Errors of pcgen are one line on stderr and exit status 1, never a traceback.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jsonargparse import ArgumentParser

import pcgen
from pcgen.errors import PcgenError

COMMANDS = {
    "simulate jets": ("pcgen.tools.simulate:simulate_jets", "make jets with Pythia 8 and anti-kT"),
    "convert": ("pcgen.tools.convert:convert", "images to clouds and back, between file formats"),
    "train": ("pcgen.tools.train:train", "train one of the recipes"),
    "sample": ("pcgen.tools.sample:sample", "generate events with a trained model"),
    "evaluate": ("pcgen.tools.evaluate:evaluate", "compare generated with real events"),
    "view": ("pcgen.tools.view:view", "look at events in Open3D, a picture or a web page"),
    "info": ("pcgen.tools.info:info", "say what is in a file, a run or a checkpoint"),
    "bench": ("pcgen.tools.bench:bench", "time our distances beside other packages"),
    "demo": ("pcgen.tools.demo:demo", "the main job, end to end, on the shipped jets"),
}

SHORT = {"from": "from_format", "to": "to_format"}
"""Options whose name is a word of Python's own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(argv)
    except PcgenError as error:
        print(f"pcgen: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pcgen: interrupted", file=sys.stderr)
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
        asked = not argv or argv[0] in ("-h", "--help")
        print(_overview(argv), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    rest = argv[len(name.split()) :]
    function = _load(COMMANDS[name][0])
    return _train(function, rest) if name == "train" else _run(name, function, rest)


def _overview(argv: list[str]) -> str:
    lines = ["usage: pcgen COMMAND [OPTIONS]", ""]
    lines += [f"  {name:15s} {summary}" for name, (_, summary) in COMMANDS.items()]
    lines += ["", "pcgen COMMAND --help tells the options of a command; every command takes"]
    lines += ["--config FILE, and --print_config to write such a file."]
    if argv and argv[0] not in ("-h", "--help"):
        first = [name for name in COMMANDS if name.split()[0] == argv[0]]
        wanted = " or ".join(first) if first else "one of the commands above"
        lines += ["", f"pcgen: unknown command {' '.join(argv[:2])!r}, expected {wanted}"]
    return "\n".join(lines)


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
    words, argv = _leading(argv, signatures[0])
    for word, following in zip(argv, [*argv[1:], "--"], strict=False):
        option, equals, value = word.partition("=")
        if re.match(r"--[a-z]", option):
            option = "--" + SHORT.get(option[2:], option[2:]).replace("-", "_")
            alone = not equals and following.lower() not in ("true", "false", "yes", "no")
            word = option + equals + value
            if alone and option[2:] in flags:
                word += "=true"
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


def _parser(name: str, summary: str) -> ArgumentParser:
    parser = ArgumentParser(prog=f"pcgen {name}", description=summary)
    parser.add_argument("--config", action="config", help="YAML file with options")
    return parser


def _run(name: str, function: Callable[..., Any], argv: list[str]) -> int:
    parser = _parser(name, _summary(function))
    parser.add_function_arguments(function, as_group=False, as_positional=True)
    options = parser.parse_args(_spelt(argv, function)).as_dict()
    options.pop("config", None)
    function(**options)
    return 0


def _train(function: Callable[..., Any], argv: list[str]) -> int:
    """``pcgen train RECIPE``: the recipe's own arguments beside those of the run."""
    from pcgen.recipes import RECIPES

    if not argv or argv[0] not in RECIPES:
        asked = bool(argv) and argv[0] in ("-h", "--help")
        lines = ["usage: pcgen train RECIPE [OPTIONS]", ""]
        lines += [f"  {name:22s} {_summary(recipe)}" for name, recipe in RECIPES.items()]
        lines += ["", "pcgen train RECIPE --help tells the options of a recipe."]
        if argv and not asked:
            lines += ["", f"pcgen: unknown recipe {argv[0]!r}, expected {', '.join(RECIPES)}"]
        print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    name, recipe = argv[0], RECIPES[argv[0]]
    parser = _parser(f"train {name}", _summary(recipe))
    own = set(inspect.signature(recipe).parameters)
    parser.add_function_arguments(recipe, as_group=False)
    parser.add_function_arguments(
        function, as_group=False, skip={"recipe", "recipe_arguments"}, as_positional=False
    )
    words = _spelt(argv[1:], recipe, function)
    options = parser.parse_args(words).as_dict()
    options.pop("config", None)
    arguments = {key: options.pop(key) for key in list(options) if key in own}
    function(name, arguments, **options)
    return 0


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
