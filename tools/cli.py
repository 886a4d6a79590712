"""The command ``pcgen``: options and help come from the signatures of the tools' functions.

A command is one function with typed arguments and a docstring; a recipe of ``pcgen train`` adds its
own arguments. Errors of pcgen, refusals of the system and lack of memory are one line on stderr and
exit status 1, never a traceback; words that no command understands are a line, a second one that
points to the help, and exit status 2. Ctrl-C ends with status 130, SIGTERM with 143, both once
files are whole.

The modules of the commands import what is heavy (torch and all that stands on it) in the functions
that use it, so that help and errors of the command line need none of it.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import pcgen
from pcgen.errors import ArgumentError, PcgenError, Terminated
from pcgen.tools.options import MisuseError, Option, options_of
from pcgen.tools.parser import Groups, Parser, near

COMMANDS = {
    "simulate jets": ("pcgen.tools.simulate:simulate_jets", "make jets with Pythia 8 and anti-kT"),
    "simulate showers": (
        "pcgen.tools.simulate:simulate_showers",
        "make showers in calorimeters by parametrisations",
    ),
    "simulate tracks": ("pcgen.tools.simulate:simulate_tracks", "make hits in a tracker"),
    "simulate shapes": (
        "pcgen.tools.simulate:simulate_shapes",
        "make labelled shapes: boxes, spheres, tori",
    ),
    "simulate electrons": (
        "pcgen.tools.simulate:simulate_electrons",
        "make the response of a detector to single electrons",
    ),
    "convert": ("pcgen.tools.convert:convert", "images to clouds and back, between file formats"),
    "train": ("pcgen.tools.train:train", "train one of the recipes"),
    "resume": ("pcgen.tools.resume:resume", "go on with a run by its folder alone"),
    "sample": ("pcgen.tools.sample:sample", "generate events with a trained model"),
    "invert": (
        "pcgen.tools.invert:invert",
        "find the events of a generator that agree with few measurements",
    ),
    "export": ("pcgen.tools.export:export", "write a trained generator as ONNX, or its weights"),
    "evaluate": ("pcgen.tools.evaluate:evaluate", "compare generated with real events"),
    "classify": ("pcgen.tools.classify:classify", "name the classes of events, and score it"),
    "view": ("pcgen.tools.view:view", "look at events in Open3D, a picture or a web page"),
    "info": ("pcgen.tools.info:info", "show what is in a file, a run or a checkpoint"),
    "bench": ("pcgen.tools.bench:bench", "time our distances beside other packages"),
    "compare": (
        "pcgen.tools.compare:compare",
        "train representations and objectives on the same events, and report",
    ),
    "papers": ("pcgen.tools.papers:papers", "check what papers claim on toys, claim by claim"),
    "demo": ("pcgen.tools.demo:demo", "the main job, end to end, on the shipped jets"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _terminable(), _short_warnings():
            return _dispatch(argv)
    except PcgenError as error:
        return _failed(str(error))
    except KeyboardInterrupt as interrupt:
        _failed(str(interrupt) or "interrupted")
        return 143 if isinstance(interrupt, Terminated) else 130
    except BrokenPipeError:
        # The reader of a pipe has gone; keep the interpreter from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # What the system refuses (a folder that may not be entered, a path that is too long) is no
        # fault of the program, wherever it comes up.
        if error.errno is None:
            raise
        place = "" if error.filename is None else f"{error.filename}: "
        return _failed(f"{place}{error.strerror}, expected a file that can be reached and used")
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        return _failed(_lack_of_memory(str(error), argv))


def _failed(message: str) -> int:
    from pcgen.escaping import one_line

    # Names in files may hold line breaks, and what a terminal takes for commands.
    print(f"pcgen: {one_line(message)}", file=sys.stderr)
    return 1


def _is_lack_of_memory(error: Exception) -> bool:
    """Whether memory is full: NumPy's error, or one of those that torch has for the same."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return "DefaultCPUAllocator" in str(error) or "Storage size calculation" in str(error)


def _lack_of_memory(reason: str, argv: Sequence[str]) -> str:
    """What was wanted, what the machine has, and the numbers that were typed, the largest first."""
    found = re.search(r"allocate ([\d.]+) ?(bytes|[KMGTPE]iB)(?!.*GPU)", reason, re.DOTALL)
    if found is not None:
        wanted = float(found[1]) * 1024.0 ** (" bKMGTPE".index(found[2][0]) - 1)
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        reason = f"{wanted / 1e9:.1f} GB wanted, the machine has {there / 1e9:.1f}"
    reason = " ".join(reason.split())[:200] or "memory is full"
    typed = re.findall(r"(--[a-z][\w-]*)[ =](\d+)(?= |$)", " ".join(argv))
    numbers = [word for word in typed if word[0] != "--seed"]
    numbers.sort(key=lambda word: (len(word[1]), word[1]), reverse=True)
    if not numbers:
        return f"not enough memory ({reason}), expected smaller batches, blocks or grids"
    named = ", ".join(map(" ".join, numbers[:3]))
    return f"not enough memory with {named} ({reason}), expected a smaller number"


@contextmanager
def _short_warnings() -> Iterator[None]:
    """A warning is one line, as an error is, without the place in the source.

    PyTorch Geometric uses ``torch.jit.script`` at its import, of which PyTorch 2.14 warns: that is
    a matter of the two, and would be the first line of every command.
    """
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"pcgen: {' '.join(str(message).split())}\n"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", FutureWarning)
            yield
    finally:
        warnings.formatwarning = before


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the command like Ctrl-C, so that nothing is left half done."""
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


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
    """The commands there are, where none was named in full."""
    several = {n: s for n, (_, s) in COMMANDS.items() if argv and n.split()[0] == argv[0]}
    rest = argv[1:] if several else argv
    known = several or {name: summary for name, (_, summary) in COMMANDS.items()}
    if rest[:1] in (["-h"], ["--help"]) or not argv:
        note = (
            "pcgen COMMAND --help lists the options of a command; every command takes\n"
            "--config FILE, and --print_config to write such a file."
        )
        print(_list("pcgen COMMAND [OPTIONS]", known, note))
        return 0
    place = f"pcgen {argv[0]}" if several else "pcgen"
    got = " ".join(argv[:2] if several else argv[:1])
    hint = near(got, known) if rest else ""
    hint = hint or f", expected {' or '.join(known)}"
    return _misused(f"pcgen: unknown command {got!r}{hint}", place)


def _list(usage: str, known: Mapping[str, str], note: str) -> str:
    width = max(map(len, known)) + 2
    lines = [f"  {name:{width}s}{summary}" for name, summary in known.items()]
    return "\n".join([f"usage: {usage}", "", *lines, "", note])


def _misused(error: str, place: str) -> int:
    from pcgen.escaping import one_line

    print(f"{one_line(error)}\nsee {place} --help", file=sys.stderr)
    return 2


def _load(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _run(name: str, function: Callable[..., Any], argv: list[str]) -> int:
    options = options_of(function)
    parser = Parser(f"pcgen {name}", _described(function), {"options": options})
    function(**_understood(parser, parser.parse, argv))
    return 0


def _train(function: Callable[..., Any], argv: list[str]) -> int:
    """``pcgen train RECIPE``: the recipe's own arguments beside those of the run."""
    from pcgen.recipes import RECIPES
    from pcgen.recipes.find import find_recipe
    from pcgen.tools.run_options import (
        grouped,
        of_other_recipes,
        recipe_in,
        recipe_options,
        run_config,
        run_options,
    )

    run = run_options(function)
    if argv[:1] in (["-h"], ["--help"]):
        known = {name: _described(recipe).split("\n\n")[0] for name, recipe in RECIPES.items()}
        print(_list("pcgen train RECIPE [OPTIONS]", known, _ABOUT_TRAIN), end="\n\n")
        print(Parser("pcgen train RECIPE", "", grouped(run)).listing(), end="")
        return 0
    if argv and argv[0].partition("=")[0] == "--config":
        file = argv[0].partition("=")[2:] if "=" in argv[0] else argv[1:2]
        argv = [*recipe_in(file), *argv]
    known_recipes = f"one of {', '.join(RECIPES)}, or module:function"
    if not argv or argv[0].startswith("-"):
        got = f"{argv[0]} first" if argv else "no recipe"
        return _misused(f"pcgen train: got {got}, expected {known_recipes}", "pcgen train")
    name = argv[0]
    try:
        recipe = find_recipe(name)
    except ArgumentError as error:
        return _misused(f"pcgen train: {error}", "pcgen train")
    own = recipe_options(name, recipe, run)
    groups: Groups = {f"recipe ({name})": own, **grouped(run)}
    again = "The same command on the same folder goes on with an interrupted run."
    described = f"{_described(recipe)}\n\n{again}"
    translate = partial(run_config, name)
    parser = Parser(f"pcgen train {name}", described, groups, translate, of_other_recipes)
    values = _understood(parser, parser.given, argv[1:])
    arguments = {o.name: values.pop(o.name, o.default) for o in own if _due(o, values)}
    function(name, arguments, **values)
    return 0


def _due(option: Option, values: Mapping[str, Any]) -> bool:
    """Whether an argument of a recipe is passed on: one that is left out may be that of a start."""
    return option.name in values or values.get("start") is None


_ABOUT_TRAIN = """\
A recipe of your own is module:function: a function of plain values with type hints, in a module of
the current folder or an installed one, that returns an untrained model. Its arguments become
options. pcgen train RECIPE --help lists the options of a recipe. The same command on the same
folder goes on with an interrupted run (Ctrl-C), exactly where it stopped."""


def _understood(
    parser: Parser, parse: Callable[[Sequence[str]], dict[str, Any]], argv: Sequence[str]
) -> dict[str, Any]:
    try:
        return parse(argv)
    except MisuseError as error:
        place = parser.command
        raise SystemExit(_misused(f"{place}: {' '.join(str(error).split())}", place)) from error


def _described(function: Callable[..., Any]) -> str:
    """The docstring without its sections."""
    return re.split(r"\n\n(?=\w+:\n)", inspect.getdoc(function) or "")[0]
