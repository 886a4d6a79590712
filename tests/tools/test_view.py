"""``pcgen view``: what is read, what is drawn where, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from pcgen import clouds as cloud
from pcgen import viewing
from pcgen.errors import ArgumentError, DataError, FileError, PcgenError
from pcgen.io import write_clouds
from pcgen.schema import Quantity, Schema
from pcgen.tools import view as tool
from pcgen.tools.view import view
from pcgen.viewing.scene import frame_of

SCHEMA = Schema(
    axes=(Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "mm")),
    weight=Quantity("energy", "GeV"),
    labels=("photon", "pion"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two files and no display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(viewing, "has_display", lambda: False)
    for name in ("real", "fake"):
        clouds = cloud.make(
            torch.rand(12, 3),
            [2, 4, 6],
            weight=torch.rand(12),
            label=torch.tensor([0, 1, 1]),
        )
        write_clouds(f"{name}.h5", clouds, SCHEMA)
    return tmp_path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The calls of ``picture``, which draws nothing here."""
    calls: list[dict[str, Any]] = []

    def picture(samples: Any, schema: Schema, *, event: int, calorimeter: Any) -> Any:
        calls.append({name: cloud.sizes(batch).tolist() for name, batch in samples.items()})
        frame_of(samples, schema, [event], calorimeter)
        return Figure(figsize=(1, 1))

    monkeypatch.setattr(viewing, "picture", picture)
    return calls


def test_without_a_display_a_picture_is_written(
    folder: Path, drawn: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert view("real.h5", "fake.h5", event=1) is None
    assert drawn == [{"real": [2, 4, 6], "fake": [2, 4, 6]}]
    assert (folder / "real-1.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == "no display: a picture instead\nwritten: ./real-1.png\n"


def test_the_ending_of_the_output_decides(folder: Path, drawn: list[dict[str, Any]]) -> None:
    view("real.h5", output="a.pdf")
    view("real.h5", output="a.html", number=2)
    assert (folder / "a.pdf").read_bytes().startswith(b"%PDF")
    assert "<html" in (folder / "a.html").read_text()
    with pytest.raises(ArgumentError, match=r"got ending '\.doc'"):
        view("real.h5", output="a.doc")


def test_events_of_one_class_are_counted_among_themselves(
    folder: Path, drawn: list[dict[str, Any]]
) -> None:
    view("real.h5", label="pion", event=1, output="a.png")
    assert drawn == [{"real": [4, 6]}]
    with pytest.raises(ArgumentError, match=r"label: got 'muon', expected .*: photon, pion"):
        view("real.h5", label="muon")
    with pytest.raises(
        ArgumentError, match="events of 'real': got 1, expected numbers from 0 to 0"
    ):
        view("real.h5", label="photon", event=1)


def test_a_class_that_is_not_there_and_an_empty_file(folder: Path) -> None:
    clouds = cloud.make(torch.rand(1, 3), [1], weight=torch.ones(1), label=torch.tensor([0]))
    write_clouds("one.h5", clouds, SCHEMA)
    with pytest.raises(DataError, match=r"one\.h5: holds no events of class pion"):
        view("one.h5", label="pion")
    write_clouds("none.h5", cloud.select(clouds, []), SCHEMA)
    with pytest.raises((DataError, FileError), match=r"none\.h5"):
        view("none.h5")


def test_the_newest_samples_of_a_run_are_shown(folder: Path, drawn: list[dict[str, Any]]) -> None:
    run = folder / "run"
    (run / "samples").mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({}))
    with pytest.raises(FileError, match="the run has no samples yet"):
        view("run")
    for age, (name, size) in enumerate((("new", 3), ("old", 1))):
        file = run / "samples" / f"{name}.h5"
        clouds = cloud.make(torch.rand(size, 3), [size], weight=torch.rand(size))
        write_clouds(file, clouds, SCHEMA)
        os.utime(file, (1000 - age, 1000 - age))
    view("real.h5", "run", output="a.png")
    assert drawn == [{"real": [2, 4, 6], "run": [3]}]


def test_titles_are_the_names_of_the_files_or_as_requested(
    folder: Path, drawn: list[dict[str, Any]]
) -> None:
    view("real.h5", "real.h5", names="a, b", output="a.png")
    (folder / "other").mkdir()
    (folder / "other" / "real.h5").write_bytes((folder / "real.h5").read_bytes())
    view("real.h5", "other/real.h5", output="a.png")
    assert [list(call) for call in drawn] == [["a", "b"], ["real.h5", "other/real.h5"]]
    with pytest.raises(ArgumentError, match=r"names: got .* expected 2 different ones"):
        view("real.h5", "fake.h5", names="a")


def test_files_that_mean_different_things(folder: Path) -> None:
    other = Schema(axes=(Quantity("x", "cm"), *SCHEMA.axes[1:]), weight=SCHEMA.weight)
    clouds = cloud.make(torch.rand(1, 3), [1], weight=torch.ones(1))
    write_clouds("other.h5", clouds, other)
    with pytest.raises(DataError, match=r"other\.h5: got axes x \[cm\].*expected x \[mm\].*real"):
        view("real.h5", "other.h5")
    turning = Schema(axes=(Quantity("x", "mm", 6.5), *SCHEMA.axes[1:]), weight=SCHEMA.weight)
    write_clouds("turning.h5", clouds, turning)
    with pytest.raises(DataError, match=r"turning\.h5: got axes x \[mm\] with period 6\.5, .*"):
        view("real.h5", "turning.h5")
    with pytest.raises(FileError, match=r"missing\.h5"):
        view("missing.h5")


def test_with_a_display_a_window_opens_and_a_picture_where_it_cannot(
    folder: Path,
    drawn: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[int] = []
    monkeypatch.setattr(viewing, "has_display", lambda: True)
    monkeypatch.setattr(viewing, "window", lambda event, **_: opened.append(event))
    view("real.h5", event=2)
    assert opened == [2]
    assert not drawn

    def fail(**_: Any) -> None:
        raise PcgenError("no OpenGL")

    monkeypatch.setattr(viewing, "window", fail)
    view("real.h5")
    assert len(drawn) == 1
    assert "no window (no OpenGL): a picture instead" in capsys.readouterr().out
    view("real.h5", output="a.png")
    assert len(drawn) == 2


def test_in_a_notebook_the_page_is_returned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "in_notebook", lambda: True)
    shown = view("real.h5", number=1)
    assert shown is not None
    assert "iframe" in shown._repr_html_()
    assert not list(folder.glob("*.png"))


def test_long_files_are_read_as_far_as_needed(
    folder: Path, drawn: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "_STEPS", 1)
    number = 3000
    clouds = cloud.make(torch.rand(number, 3), [1] * number, weight=torch.ones(number))
    write_clouds("long.h5", clouds, SCHEMA)
    view("long.h5", output="a.png")
    assert len(drawn[0]["long"]) < number
