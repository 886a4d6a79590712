from __future__ import annotations

import re
import subprocess
import sys
from typing import Literal

import pytest

import pcgen
from pcgen.errors import DataError
from pcgen.tools import cli


def command(
    source: str,
    second: str = "-",
    *,
    threshold: float = 0.0,
    mode: Literal["a", "b"] = "a",
    raw: bool = False,
    how_many: int = 1,
    count: dict[str, int] | None = None,
):
    """Do something with a file.

    Args:
        source: File to read.
        second: Another.
        threshold: Energy [GeV] below which a cell is empty.
        mode: How.
        raw: As it is.
        how_many: Times.
        count: Of each.
    """
    if source == "bad":
        raise DataError("bad: got NaN, expected numbers")
    print(source, second, threshold, mode, raw)


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


def test_a_flag_needs_no_value(capsys):
    assert cli.main(["do", "it", "file", "--raw", "--mode", "b"]) == 0
    assert cli.main(["do", "it", "file", "--raw", "false"]) == 0
    assert capsys.readouterr().out == "file - 0.0 b True\nfile - 0.0 a False\n"


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
    error = "pcgen do it: --mode: got c, expected Literal['a', 'b']\nsee pcgen do it --help\n"
    assert capsys.readouterr().err == error


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("do it", "the following arguments are required: source"),
        ("do it file --nothing", "unrecognized arguments: --nothing"),
        ("do it file --threshold low", "--threshold: got low, expected float"),
        (
            "do it file --count {g: many}",
            "--count: got {'g': 'many'}, expected dict[str, int] or null",
        ),
        ("do it file other more", "unrecognized arguments: more"),
        ("do it file --config none.yaml", "--config: File does not exist"),
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
    assert {"simulate": "simulate jets", "train": "jets-vae", "--help": "view"}[words[0]] in text


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


def test_help_does_not_wait_for_torch():
    code = (
        "import sys; from pcgen.tools.cli import main; main([]);"
        "sys.exit(bool({'torch', 'open3d'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
