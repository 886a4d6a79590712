"""``pcgen simulate jets``: options reach the simulation, the summary is true, errors are short."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pcgen.errors import ArgumentError, FileError
from pcgen.io import CloudFile
from pcgen.tools import simulate as tool
from pcgen.tools.simulate import simulate_jets

pytest.importorskip("pythia8mc")


def test_jets_are_generated_as_requested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jets.h5"
    simulate_jets(
        str(path),
        classes="wg",
        number=6,
        radius=0.8,
        pt_min=450,
        pt_max=650,
        parton_pt_min=490,
        parton_pt_max=520,
        seed=9,
        processes=1,
        progress=False,
    )
    with CloudFile(path) as file:
        clouds, made = file.read(), file.attrs["simulation"]
    assert sorted(clouds.label.tolist()) == [0] * 6 + [3] * 6
    assert bool(((clouds.y > 450) & (clouds.y < 650)).all())
    assert (made["radius"], made["seed"], made["parton_pt_max"]) == (0.8, 9, 520.0)
    printed = capsys.readouterr().out
    assert f"{path}: 12 jets, {clouds.num_nodes} particles" in printed
    assert "R = 0.8" in printed


def test_every_core_is_used_unless_a_number_is_requested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[int] = []

    def simulate(what: str, output: str, *, processes: int, **rest: Any) -> list[Path]:
        requested.append(processes)
        return [Path(output)]

    monkeypatch.setattr(tool, "_simulated", simulate)
    monkeypatch.setattr(tool, "_summary", lambda *given: "")
    simulate_jets("a.h5")
    simulate_jets("a.h5", processes=3)
    assert requested == [len(os.sched_getaffinity(0)), 3]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"classes": "gb"}, ArgumentError, "classes: got 'g b', expected some of g q t w z"),
        ({"pt_min": 1700.0}, ArgumentError, "pt_min, pt_max: got 1700 and 1600 GeV"),
        ({"pt_max": 900.0}, ArgumentError, "overlaps that of the jets, 800 to 900 GeV"),
        ({"number": -5}, ArgumentError, "number: got -5"),
        ({"output": "missing/a.h5"}, FileError, "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    output = tmp_path / arguments.pop("output", "a.h5")
    with pytest.raises(error, match=message) as caught:
        simulate_jets(str(output), progress=False, **arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
