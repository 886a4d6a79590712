"""Outputs that must not be written: a file that the same command reads, links that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_pairs import write_pairs

from pcgen.tools import cli


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with events, their contexts, numbers of theirs, and a loop of links."""
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path, 30)
    np.save("pt.npy", np.ones(30))
    Path("table.csv").write_text("points\n1\n2\n")
    Path("loop.h5").symlink_to("loop.h5")
    Path("link.h5").symlink_to("truth.h5")
    return tmp_path


def fails(words: str, capsys) -> str:
    assert cli.main(words.split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "name", "file"),
    [
        ("sample jets-student truth.h5 --like truth.h5", "like", "truth.h5"),
        ("sample jets-student ./truth.h5 --context link.h5", "context", "truth.h5"),
        ("sample truth.h5 truth.h5", "run", "truth.h5"),
        ("sample jets-student table.csv --to clouds --conditions table.csv", "conditions", ""),
        ("convert events.h5 truth.h5 --context truth.h5", "context", "truth.h5"),
        ("convert events.h5 pt.npy --to arrays --condition pt=pt.npy", "condition", "pt.npy"),
        ("convert events.h5 pt.npy --to arrays --labels pt.npy", "labels", "pt.npy"),
        ("classify r.ckpt table.csv --output table.csv", "data", "table.csv"),
        ("invert r.ckpt truth.h5 truth.h5", "events", "truth.h5"),
        ("view truth.h5 --output truth.h5", "path", "truth.h5"),
        ("view events.h5 --second truth.h5 --output truth.h5", "second", "truth.h5"),
    ],
)
def test_what_is_read_is_not_replaced(here, capsys, words, name, file):
    before = {path.name: path.read_bytes() for path in here.iterdir() if path.name != "loop.h5"}
    line = fails(words, capsys)
    assert f"pcgen: {name}: got the output " in line
    assert line.endswith(f"{file} itself, expected another file")
    assert all(Path(name).read_bytes() == old for name, old in before.items())


@pytest.mark.parametrize(
    "words",
    [
        "convert loop.h5 a.h5",
        "convert events.h5 a.h5 --context loop.h5",
        "train points-vae --data loop.h5",
        "train points-vae --data events.h5 --output loop.h5",
        "train points-vae --start loop.h5",
        "train points-context-gan --data events.h5 --context loop.h5",
        "evaluate events.h5 loop.h5",
        "info loop.h5",
        "resume loop.h5",
    ],
)
def test_a_loop_of_links_is_one_line(here, capsys, words):
    assert "loop.h5" in fails(words, capsys)
    assert not Path("a.h5").exists()


def test_a_loop_of_links_is_replaced_by_an_output(here):
    assert cli.main(["convert", "events.h5", "loop.h5"]) == 0
    assert Path("loop.h5").read_bytes() == Path("events.h5").read_bytes()
