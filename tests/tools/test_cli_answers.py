"""What the command line answers: help, errors in one line, suggestions and warnings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings

import pytest
from toy_command import status

import pcgen
from pcgen.datasets.jets import SAMPLE
from pcgen.tools import cli

pytestmark = pytest.mark.usefixtures("toy_command")


def test_help_speaks_the_docstring(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["do", "it", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "Do something with a file." in text
    assert "Energy [GeV] below which" in text
    assert "--print_config" in text


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


HUGE = "1000000000000"
UNBOUNDED = [
    *(f"simulate {each} a.h5 --number" for each in ("electrons", "jets", "showers", "tracks")),
    "simulate shapes a.h5 --number",
    "simulate shapes a.h5 --points",
    "simulate jets a.h5 --processes",
    *(f"sample run a.h5 --{name}" for name in ("number", "steps", "points", "processes")),
    *(f"invert run b.h5 a.h5 --{name}" for name in ("steps", "restarts", "iterations")),
    "export run a.onnx --steps",
    *(f"evaluate a.h5 b.h5 --{name}" for name in ("repeats", "permutations")),
    *(f"train points-vae --{name}" for name in ("samples", "hidden")),
    "papers games --seeds",
    "compare study.yaml --seeds",
    "demo --number",
    "bench --repeats",
]
"""Numbers of commands that would take for ever, or more memory than there is."""
TOO_LATE = [
    "evaluate a b --seed=-1",
    "evaluate a b --repeats 1",
    "evaluate a b --between pt",
    "evaluate a b --protocol image",
    "evaluate a b --protocol response --grid x:0:1:2",
    "evaluate a b --protocol mpgan2021 --statistics a.npz",
    "sample run a.txt",
    "sample run a.h5 --particles 3",
    "sample run a.h5 --split test",
    "sample run a.h5 --like b.h5 --classes g",
    "classify run a.h5 --missing 1",
    "classify run a.h5 scores.txt",
    "invert run a.h5 b.txt",
    "invert run a.h5 b.h5 --measure blur:2",
    "export run a.txt",
    "train points-vae --steps 0",
    "train points-vae --start-part field",
    "train points-vae --context a.h5",
    "train points-vae --betas 2 3",
    "simulate jets a.h5 --seed=-1",
    "convert a.h5 b.txt",
    "convert a.h5 b.h5 --block 0",
    "view a.h5 --event=-1",
    "compare study.yaml --processes 0",
    "papers nosuch",
    "bench --memory 0",
]
"""What can be refused without any work."""


@pytest.mark.parametrize("words", UNBOUNDED)
def test_numbers_without_end_are_refused_by_their_names(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*words.split(), HUGE]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    name = words.split("--")[1].replace("-", "_")
    assert line.startswith(f"pcgen: {name}: got {HUGE} ")
    assert re.search(r"expected at most \d+ \(PCGEN_MAX_\w+ sets another limit\)", line)
    assert list(tmp_path.iterdir()) == []


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
for words in sys.argv[1:]:
    call(words.split())
print(json.dumps(found))
"""


def test_help_and_wrong_words_do_not_wait_for_torch():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *TOO_LATE, *(f"{each} {HUGE}" for each in UNBOUNDED)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) > 3 * len(cli.COMMANDS)
    assert done.stderr.count("pcgen: ") >= len(TOO_LATE) + len(UNBOUNDED)
    assert {words: modules for words, modules in found.items() if modules} == {}


def test_a_warning_is_one_line(monkeypatch):
    def warns(argv):
        shown.append(warnings.formatwarning(UserWarning("a\npassed over"), UserWarning, "a.py", 3))
        # What PyTorch Geometric causes at its import with PyTorch 2.14 is no matter of the command.
        warnings.warn("`torch.jit.script` is deprecated. Please switch.", FutureWarning, 2)
        return 0

    shown = []
    monkeypatch.setattr(cli, "_dispatch", warns)
    before = warnings.formatwarning
    with warnings.catch_warnings():
        warnings.simplefilter("error")
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


@pytest.mark.parametrize(
    ("words", "status", "out", "err"),
    [
        (f"info {SAMPLE}", 0, "events", ""),
        ("info nowhere.h5", 1, "", "pcgen: nowhere.h5: no such file or folder"),
        ("train points-vae --stepz 2", 2, "", "did you mean --steps?"),
        ("train points-vae --help", 0, "optimisation:", ""),
    ],
)
def test_the_real_command(words, status, out, err):
    command = [sys.executable, "-m", "pcgen.tools", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == status
    assert out in done.stdout
    assert err in done.stderr
    assert "Traceback" not in done.stderr
