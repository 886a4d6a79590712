from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any, Literal

import pytest

import pcgen
from pcgen.errors import DataError
from pcgen.tools import cli

if TYPE_CHECKING:
    from nowhere import Unknown  # a type of what is returned, known to type checkers alone


def command(
    source: str,
    second: str = "-",
    *,
    threshold: float = 0.0,
    mode: Literal["a", "b"] = "a",
    raw: bool = False,
    maybe: bool | None = None,
    how_many: int = 1,
    count: dict[str, int] | None = None,
    names: list[str] | None = None,
    cells: list[int] | None = None,
    edges: tuple[float, float] = (0.0, 1.0),
    phases: dict[str, dict[str, Any]] | None = None,
) -> Unknown:
    """Do something with a file.

    Args:
        source: File to read.
        second: Another.
        threshold: Energy [GeV] below which a cell is empty.
        mode: How.
        raw: As it is.
        maybe: Or not.
        how_many: Times.
        count: Of each.
        names: Their names.
        cells: Along each axis.
        edges: Of the range, 100% of it.
        phases: Options of each.
    """
    if source == "bad":
        raise DataError("bad: got NaN, expected numbers")
    print(source, second, threshold, mode, raw)
    seen.append({"count": count, "names": names, "cells": cells, "edges": edges, "phases": phases,
                 "maybe": maybe})  # fmt: skip


seen: list[dict[str, Any]] = []


def status(words: list[str]) -> Any:
    """The exit status, returned or raised."""
    try:
        return cli.main(words)
    except SystemExit as stop:
        return stop.code


@pytest.fixture(autouse=True)
def _commands(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "do it", (f"{__name__}:command", "do something"))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[command.__module__])


def test_options_come_from_the_signature(capsys):
    assert cli.main(["do", "it", "file", "--threshold", "0.5", "--mode=b"]) == 0
    assert capsys.readouterr().out == "file - 0.5 b False\n"


def test_formats_are_overruled_by_from_and_to(tmp_path, capsys):
    assert cli.main(["convert", "x.bin", "y.bin", "--from", "npy", "--to=clouds"]) == 1
    assert "x.bin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--names g", {"names": ["g"]}),
        ("--names g q t", {"names": ["g", "q", "t"]}),
        ("--names g,q,t", {"names": ["g", "q", "t"]}),
        ("--names g --names q t", {"names": ["g", "q", "t"]}),
        ("--names [g,q]", {"names": ["g", "q"]}),
        ("--names [g, q] --raw", {"names": ["g", "q"]}),
        ("--names ['g, q', 1]", {"names": ["g, q", "1"]}),
        ("--names=[a:b#.h5,1e3,null]", {"names": ["a:b#.h5", "1e3", "null"]}),
        ("--names []", {"names": []}),
        ("--names null", {"names": None}),
        ("--cells 8 16", {"cells": [8, 16]}),
        ("--cells [8,16]", {"cells": [8, 16]}),
        ("--edges -1 1e-3", {"edges": (-1.0, 0.001)}),
        ("--edges [0,2]", {"edges": (0.0, 2.0)}),
        ("--count g=1", {"count": {"g": 1}}),
        ("--count g=1 q=2", {"count": {"g": 1, "q": 2}}),
        ("--count g=1,q=2", {"count": {"g": 1, "q": 2}}),
        ("--count g=1 --count q=2", {"count": {"g": 1, "q": 2}}),
        ("--count {g: 1}", {"count": {"g": 1}}),
        ("--count {g:1,q:2}", {"count": {"g": 1, "q": 2}}),
        ("--count g: 1", {"count": {"g": 1}}),
        ("--count.g 1 --count.q=2", {"count": {"g": 1, "q": 2}}),
        ("--phases {a: {lr: 1} , b: {lr: 2}} --raw", {"phases": {"a": {"lr": 1}, "b": {"lr": 2}}}),
        ("--phases critic.lr=1e-4", {"phases": {"critic": {"lr": 1e-4}}}),
        ("--phases.critic.lr 1e-4", {"phases": {"critic": {"lr": 1e-4}}}),
        ("--phases {critic: {lr: 1, clip: null}}", {"phases": {"critic": {"lr": 1, "clip": None}}}),
        ("--phases a.lr=1 --phases a.clip=2", {"phases": {"a": {"lr": 1, "clip": 2}}}),
    ],
)  # fmt: skip
def test_lists_and_dictionaries_are_written_bare_or_as_in_yaml(words, expected):
    assert cli.main(["do", "it", "file", *words.split(" ")]) == 0
    assert expected.items() <= seen[-1].items()


@pytest.mark.parametrize("word", ["1", "1e3", "true", "[a", "{a", "a: b", "-", "-1", "a,b"])
def test_text_is_taken_as_it_is(word, capsys):
    assert cli.main(["do", "it", "--", word, word]) == 0
    assert capsys.readouterr().out == f"{word} {word} 0.0 a False\n"


def test_words_without_an_option_stand_anywhere(capsys):
    assert cli.main(["do", "it", "--mode", "b", "file", "--raw", "other"]) == 0
    assert cli.main(["do", "it", "--names", "g", "t", "--", "file", "--other"]) == 0
    assert capsys.readouterr().out == "file other 0.0 b True\nfile --other 0.0 a False\n"
    assert seen[-1]["names"] == ["g", "t"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "got nothing, expected options"),
        ("[1, 2]", "got a list, expected options"),
        ("threshold: [", "got what is not YAML"),
        ("when: 2020-99-99", "got what is not YAML"),
        ("a: " + "[" * 5000, "got what is not YAML"),
        ("threshold: !!python/name:os.system", "got what is not YAML"),
        ("treshold: 1", "unknown option 'treshold', did you mean threshold?"),
        ("--threshold: 1", "unknown option '--threshold', did you mean threshold?"),
        ("config: a.yaml", "unknown option 'config'"),
        ("threshold: .nan", "--threshold: got nan, expected a finite number"),
        ("edges: [0, .inf]", "--edges: got [0, inf], expected a finite number"),
        ("second: ''", "--second: got nothing, expected text"),
        ("threshold: {a: 1}", "--threshold: got {'a': 1}, expected a number"),
        ("count: [1]", "--count: got [1], expected NAME=NUMBER"),
        ("how_many: true", "--how-many: got True, expected a whole number"),
        ("how_many:", "--how-many: got None, expected a whole number"),
        ("source: 1", "source: got 1, expected text"),
    ],
)
def test_a_bad_configuration_is_one_line(text, error, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit) as stop:
        cli.main(["do", "it", "file", "--config", str(path)])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"pcgen do it: --config {path}: {error}")


def test_what_is_not_text_is_no_configuration(tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SystemExit):
        cli.main(["do", "it", "file", "--config", str(path)])
    assert "got what is not YAML" in capsys.readouterr().err


def test_words_go_before_configurations_and_later_ones_before_earlier(tmp_path, capsys):
    for name, text in {"a": "threshold: 1\nmode: b\nnames: [x]", "b": "threshold: 2"}.items():
        (tmp_path / name).write_text(text)
    files = ["--config", str(tmp_path / "a"), f"--config={tmp_path / 'b'}"]
    assert cli.main(["do", "it", "file", "--names", "y", *files]) == 0
    assert cli.main(["do", "it", "file", "--threshold", "3", *files]) == 0
    assert capsys.readouterr().out == "file - 2.0 b False\nfile - 3.0 b False\n"
    assert [each["names"] for each in seen[-2:]] == [["y"], ["x"]]


def test_a_flag_needs_no_value(capsys):
    assert cli.main(["do", "it", "file", "--raw", "--mode", "b"]) == 0
    assert cli.main(["do", "it", "file", "--raw", "false"]) == 0
    assert cli.main(["do", "it", "file", "--raw", "off"]) == 0
    assert capsys.readouterr().out == "file - 0.0 b True\n" + 2 * "file - 0.0 a False\n"


def test_a_flag_that_may_be_none_takes_null():
    assert cli.main(["do", "it", "--maybe", "null", "file"]) == 0
    assert seen[-1]["maybe"] is None
    assert cli.main(["do", "it", "--maybe", "file"]) == 0
    assert seen[-1]["maybe"] is True


def test_an_argument_with_a_default_may_stand_after_the_others(capsys):
    assert cli.main(["do", "it", "file", "other", "--mode", "b"]) == 0
    assert cli.main(["do", "it", "file", "--second", "other"]) == 0
    assert capsys.readouterr().out == "file other 0.0 b False\nfile other 0.0 a False\n"


def test_help_speaks_the_docstring(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["do", "it", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "Do something with a file." in text
    assert "Energy [GeV] below which" in text
    assert "--print_config" in text


def test_a_printed_configuration_can_be_read_back(capsys, tmp_path):
    with pytest.raises(SystemExit):
        cli.main(["do", "it", "file", "--threshold", "0.25", "--print_config"])
    path = tmp_path / "config.yaml"
    path.write_text(capsys.readouterr().out)
    assert cli.main(["do", "it", "file", "--config", str(path)]) == 0
    assert "0.25" in capsys.readouterr().out


def test_errors_are_one_line_and_a_status(capsys):
    assert cli.main(["do", "it", "bad"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "pcgen: bad: got NaN, expected numbers\n"
    assert captured.out == ""


def test_a_wrong_value_is_refused_with_the_choices(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["do", "it", "file", "--mode", "c"])
    assert stop.value.code == 2
    error = "pcgen do it: --mode: got c, expected one of a, b\nsee pcgen do it --help\n"
    assert capsys.readouterr().err == error


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("do it", "source: got none, expected text (pcgen do it source [second] [OPTIONS])"),
        ("do it file --nothing", "unknown option --nothing"),
        ("do it file --treshold 1", "unknown option --treshold, did you mean --threshold?"),
        ("do it file -treshold 1", "unknown option -treshold, did you mean --threshold?"),
        ("do it file --threshold low", "--threshold: got low, expected a number"),
        ("do it file --threshold", "--threshold: got no value, expected a number"),
        ("do it file --threshold.a 1", "--threshold.a: --threshold holds no names"),
        ("do it file --how-many 1.5", "--how-many: got 1.5, expected a whole number"),
        ("do it file --raw=perhaps", "--raw: got perhaps, expected true or false"),
        (
            "do it file --count {g: many}",
            "--count: got {g: many}, expected NAME=NUMBER or '{NAME: NUMBER}' or null",
        ),
        ("do it file --count g", "--count: got g, expected NAME=NUMBER"),
        ("do it file --count {g: {h: 1}}", "--count: got {g: {h: 1}}, expected NAME=NUMBER"),
        ("do it file --cells 1,two", "--cells: got 1,two, expected a list of whole numbers"),
        ("do it file --cells 1,,2", "--cells: got 1,,2, expected a list of whole numbers"),
        ("do it file --cells [1", "--cells: got [1, expected a list of whole numbers"),
        ("do it file --names", "--names: got no value, expected a list"),
        ("do it file --edges 1 2 3", "--edges: got 1 2 3, expected 2 numbers"),
        ("do it file other more", "got 'more', expected an option after source, second"),
        ("do it file --config none.yaml", "--config none.yaml: no such file"),
        ("do it file --config /", "--config /: is a folder, expected a file"),
        (f"do it file --config {'x' * 300}", "--config xxx"),
        ("do it file --config", "--config: got no value, expected a YAML file"),
        ("do it file --print_config=1", "--print_config: got 1, expected no value"),
        ("do it file --help=1", "--help: got 1, expected no value"),
        ("do it file --Threshold 1", "unknown option --Threshold, did you mean --threshold?"),
        ("do it file --threshold .nan", "--threshold: got .nan, expected a finite number"),
        ("do it file --threshold=-.inf", "--threshold: got -.inf, expected a finite number"),
        ("do it file --threshold 1e400", "--threshold: got 1e400, expected a finite number"),
        ("do it file --edges 0 .nan", "--edges: got 0 .nan, expected a finite number"),
        ("do it file --phases a.lr=.inf", "--phases: got a.lr=.inf, expected a finite number"),
        ("do it file --how-many 1:30", "--how-many: got 1:30, expected a whole number"),
        ("do it file --threshold 1:30.5", "--threshold: got 1:30.5, expected a number"),
        ("do it file --edges 0 1:30", "--edges: got 0 1:30, expected 2 numbers"),
        ("do it file --second=", "--second: got nothing, expected text"),
        ("do it file --count=", "--count: got nothing, expected NAME=NUMBER"),
        ("do it file --phases a", "--phases: got a, expected NAME.OPTION=VALUE"),
    ],
)
def test_misuse_is_one_line_and_a_pointer_to_help(words, error, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(re.findall(r"\{.*\}|\S+", words))
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"pcgen do it: {error}")
    assert lines[1] == "see pcgen do it --help"


def test_help_shows_options_as_they_are_written(capsys):
    with pytest.raises(SystemExit):
        cli.main(["do", "it", "--help"])
    text = capsys.readouterr().out
    assert text.startswith("usage: pcgen do it source [second] [OPTIONS]\n")
    assert "--how-many" in text
    assert "how_many" not in text
    with pytest.raises(SystemExit):
        cli.main(["convert", "--help"])
    text = capsys.readouterr().out
    assert "--from" in text
    assert "--to" in text
    assert "_format" not in text.lower()
    assert cli.main(["do", "it", "file", "--how-many", "3", "--how_many=4"]) == 0


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        ("trian", "train"),
        ("simulate jet", "simulate jets"),
        ("train points-latnet-gan", "points-latent-gan"),
        ("train points-vae --stepz 5", "--steps"),
        ("train points-vae --latnet_dim 5", "--latent-dim"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(words, suggestion, capsys):
    assert status(words.split()) == 2
    assert f"did you mean {suggestion}?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["nothing"], ["simulate"], ["train", "no-such-recipe"]])
def test_an_unknown_command_lists_the_known_ones(words, capsys):
    assert cli.main(words) == 2
    error, pointer = capsys.readouterr().err.splitlines()
    assert "expected" in error
    assert re.fullmatch(r"see pcgen( simulate| train)? --help", pointer)


@pytest.mark.parametrize("words", [["simulate", "--help"], ["train", "-h"], ["--help"]])
def test_help_of_a_group_lists_what_is_in_it(words, capsys):
    assert cli.main(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: pcgen")
    assert {"simulate": "simulate jets", "train": "points-vae", "--help": "view"}[words[0]] in text


def test_an_interruption_may_say_what_was_saved(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt("interrupted at step 3")

    monkeypatch.setattr(cli, "_dispatch", interrupted)
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err == "pcgen: interrupted at step 3\n"


def test_help_lists_every_command(capsys):
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in cli.COMMANDS)
    assert cli.main(["--version"]) == 0
    assert pcgen.__version__ in capsys.readouterr().out


WITHOUT_TORCH = """
import json, sys
from pcgen.tools.cli import COMMANDS, main

heavy, found = {"torch", "torch_geometric", "matplotlib", "open3d", "h5py", "scipy"}, {}

def call(words):
    try:
        main(words)
    except SystemExit:
        pass
    found[" ".join(words)] = sorted(heavy & sys.modules.keys())

for words in [[], ["--version"], ["trian"], ["train"], ["train", "--steps"]]:
    call(words)
for words in COMMANDS:
    call([*words.split(), "--help"])
    call([*words.split(), "--no-such-option"])
from pcgen.recipes import RECIPES
for name in RECIPES:
    call(["train", name, "--help"])
    call(["train", name, "--print_config"])
    call(["train", name, "--no-such-option"])
print(json.dumps(found))
"""


def test_help_and_wrong_words_do_not_wait_for_torch():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) > 3 * len(cli.COMMANDS)
    assert {words: modules for words, modules in found.items() if modules} == {}


def test_a_warning_is_one_line(monkeypatch):
    def warns(argv):
        shown.append(warnings.formatwarning(UserWarning("a\npassed over"), UserWarning, "a.py", 3))
        return 0

    shown = []
    monkeypatch.setattr(cli, "_dispatch", warns)
    before = warnings.formatwarning
    assert cli.main(["info"]) == 0
    assert shown == ["pcgen: a passed over\n"]
    assert warnings.formatwarning is before


@pytest.mark.parametrize(
    "words",
    [
        "--how-many 1e30",
        "--how-many=-99999999999999999999",
        "--cells 1 99999999999999999999",
        "--count g=9223372036854775808",
    ],
)
def test_whole_numbers_have_64_bits(words, capsys):
    assert cli.main(["do", "it", "file", *words.split()]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("expected a number below 2**63")
