from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from toy_models import Toy
from toy_runs import differences, fit, last, rows

from pcgen.errors import ArgumentError, CheckpointError, FileError
from pcgen.training import Reports
from pcgen.training import run as training_run

OFTEN = Reports(log_every=1, checkpoint_every=2, validate_every=3, keep=2, progress=False)


def improving():
    """A score that falls at each validation."""
    scores = iter(range(9, 0, -1))
    return lambda model: {"score": float(next(scores))}


@pytest.fixture
def run(tmp_path) -> Path:
    """Six steps: numbered checkpoints of the steps 4 and 6, the best one of step 6."""
    folder = tmp_path / "run"
    fit(Toy(), folder, 6, reports=OFTEN, validate=improving())
    return folder


def lose(folder: Path, *names: str) -> None:
    for name in names:
        (folder / "checkpoints" / f"{name}.ckpt").unlink()


def damage(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / "checkpoints" / f"{name}.ckpt"
        file.write_bytes(file.read_bytes()[:100])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "checkpoints").iterdir()}


@pytest.mark.parametrize(
    ("lost", "broken", "source"),
    [
        (("last",), (), "best"),
        (("last", "best"), (), "step-00000006"),
        (("last", "best"), ("step-00000006",), "step-00000004"),
        (("last", "best", "step-00000006"), (), "step-00000004"),
        (("last", "step-00000006", "step-00000004"), (), "best"),
    ],
)
def test_a_run_goes_on_from_the_newest_that_is_whole(tmp_path, run, capsys, lost, broken, source):
    lose(run, *lost)
    damage(run, *broken)
    step = last(run, source).step
    capsys.readouterr()
    fit(Toy(), run, 10, reports=OFTEN)
    shown = capsys.readouterr().err
    assert f"last.ckpt: was lost, going on from {source}.ckpt instead" in shown
    assert f"resuming at step {step} of 10 steps" in shown
    fit(Toy(), tmp_path / "whole", 10, reports=OFTEN)
    states = [dataclasses.asdict(last(folder)) for folder in (tmp_path / "whole", run)]
    different = {path for path in differences(*states) if path not in ("/seconds", "/best")}
    assert different == set()


def test_a_finished_run_gets_its_last_checkpoint_back(run):
    lose(run, "last")
    fit(Toy(), run, 6, reports=OFTEN)
    assert last(run).step == 6


def test_another_configuration_is_refused_and_nothing_is_overwritten(run):
    lose(run, "last")
    before = files(run)
    with pytest.raises(ArgumentError, match=r"another configuration \(seed 0 -> 7\)"):
        fit(Toy(), run, 6, seed=7, reports=OFTEN)
    assert files(run) == before


def test_a_damaged_last_checkpoint_stops_the_run_and_names_the_remedy(run):
    damage(run, "last")
    before = files(run)
    remedy = r"last\.ckpt: is damaged .*; move it away to go on from best.ckpt \(step 6\)"
    with pytest.raises(CheckpointError, match=remedy):
        fit(Toy(), run, 8, reports=OFTEN)
    assert files(run) == before
    lose(run, "last")
    fit(Toy(), run, 8, reports=OFTEN)
    assert last(run).step == 8


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(run):
    damage(run, "last", "best", "step-00000006", "step-00000004")
    with pytest.raises(CheckpointError, match=r"last\.ckpt: is damaged"):
        fit(Toy(), run, 8, reports=OFTEN)
    lose(run, "last")
    before = files(run)
    with pytest.raises(CheckpointError, match=r"holds no last\.ckpt, and no other one can be read"):
        fit(Toy(), run, 8, reports=OFTEN)
    assert files(run) == before


def test_a_run_that_lost_its_configuration_is_not_begun_anew(run):
    (run / "config.json").unlink()
    with pytest.raises(FileError, match="exists and is not a run"):
        fit(Toy(), run, 8, reports=OFTEN)


DAMAGED = ["{", "3", '"text"', "\udcff", "", "[" * 100_000]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_configuration_is_named(run, content):
    (run / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(FileError, match=r"config\.json"):
        fit(Toy(), run, 8, reports=OFTEN)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_environment_is_set_aside(run, content, capsys):
    damaged = content.encode("utf-8", "surrogateescape")
    for number in range(2):
        (run / "environment.json").write_bytes(damaged)
        fit(Toy(), run, 8 + number, reports=OFTEN)
        assert last(run).step == 8 + number
    assert len(json.loads((run / "environment.json").read_text())) == 1
    assert (run / "environment.json.damaged").read_bytes() == damaged
    assert (run / "environment.json.damaged1").read_bytes() == damaged
    lines = [line for line in capsys.readouterr().err.splitlines() if "environment.json: " in line]
    assert len(lines) == 2
    assert lines[0].endswith("it is set aside as environment.json.damaged")


@pytest.mark.parametrize(
    "content",
    [
        b"step,loss\nfirst,1\n",
        b"step,loss\n1,\xff\n",
        b"step,loss\n1,2,3,4\n",
        b"loss\n1\n",
        "step,loss\n\u00b2,1\n".encode(),
        b"step,loss\n1," + b"9" * 200_000 + b"\n",
        b"step,loss\n" + b"9" * 5000 + b",1\n",
    ],
)
def test_a_damaged_log_is_set_aside(run, content, capsys):
    (run / "metrics.csv").write_bytes(content)
    fit(Toy(), run, 8, reports=OFTEN)
    assert last(run).step == 8
    assert (run / "metrics.csv.damaged").read_bytes() == content
    assert {int(row["step"]) for row in rows(run)} <= {7, 8}
    assert "metrics.csv: is no log of a run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["environment.json", "metrics.csv"])
def test_a_folder_in_the_place_of_a_file_is_set_aside(run, name):
    (run / name).unlink()
    (run / name).mkdir()
    fit(Toy(), run, 8, reports=OFTEN)
    assert (run / f"{name}.damaged").is_dir()
    assert (run / name).is_file()


def test_a_run_without_any_checkpoint_may_be_begun_with_other_options(run):
    shutil.rmtree(run / "checkpoints")
    fit(Toy(), run, 2, seed=7, reports=OFTEN)
    assert json.loads((run / "config.json").read_text())["seed"] == 7


@pytest.mark.parametrize("file", [2, 3, 4, 5, 6])
def test_a_run_killed_while_it_saves_ends_like_any_other(tmp_path, monkeypatch, file):
    """Of the steps 2, 3 and 4, in turn: numbered checkpoint, best one (of step 3), last one."""
    reports = dataclasses.replace(OFTEN, keep=1)
    written, write = [], training_run.atomic

    def killed(path):
        written.append(path)
        if path.suffix == ".ckpt" and sum(each.suffix == ".ckpt" for each in written) == file:
            raise KeyboardInterrupt
        return write(path)

    def scored():
        return {
            "reports": reports,
            "validate": lambda model: {"score": abs(model.mean.value.item())},
        }

    with monkeypatch.context() as patch:
        for module in (training_run, training_run.checkpoint):
            patch.setattr(module, "atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(Toy(), tmp_path / "pieces", 6, **scored())
    for name in ("pieces", "whole"):
        fit(Toy(), tmp_path / name, 6, **scored())
    assert set(files(tmp_path / "pieces")) == set(files(tmp_path / "whole"))
    for name in files(tmp_path / "whole"):
        states = [
            dataclasses.asdict(last(tmp_path / each, name.removesuffix(".ckpt")))
            for each in ("pieces", "whole")
        ]
        assert list(differences(*states)) == ["/seconds"], name


@pytest.mark.parametrize("call", range(4))
def test_a_run_killed_while_its_folder_is_made_is_begun_again(tmp_path, monkeypatch, call):
    """Before config.json, or one of the folders: by the first the folder is known to be a run."""
    write, mkdir, calls = training_run.atomic, Path.mkdir, []

    def killed(function):
        def call_(path, *arguments, **options):
            if path.parent == tmp_path / "run":
                calls.append(path.name)
                if len(calls) == call + 1:
                    if path.suffix:  # as SIGKILL leaves it
                        path.with_name(".config.pcgen-00000000-1-00000000.tmp.json").touch()
                    raise KeyboardInterrupt
            return function(path, *arguments, **options)

        return call_

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "atomic", killed(write))
        patch.setattr(Path, "mkdir", killed(mkdir))
        with pytest.raises(KeyboardInterrupt):
            fit(Toy(), tmp_path / "run", 2)
    assert calls[0] == "config.json"
    fit(Toy(), tmp_path / "run", 2)
    assert last(tmp_path / "run").step == 2
