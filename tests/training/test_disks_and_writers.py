"""Full and vanished disks, and a second writer: one line each, and the last checkpoint stays."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from toy_models import Numbers, Toy
from toy_runs import fit, last, rows

from pcgen.errors import FileError
from pcgen.io.lock import locked
from pcgen.training import Reports, RunFolder, checkpoint

OFTEN = Reports(log_every=1, checkpoint_every=1, keep=0, progress=False)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """A disk that is full once a file has so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(tmp_path, share):
    fit(Toy(), tmp_path, 4, reports=OFTEN)
    before = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()
    state = last(tmp_path)
    with (
        files_up_to(int(share * len(before))),
        pytest.raises(FileError, match=r"last\.ckpt: cannot be written \(File too large\)"),
    ):
        checkpoint.write(tmp_path / "checkpoints" / "last.ckpt", state)
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == before
    assert [file.name for file in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]
    fit(Toy(), tmp_path, 6, reports=OFTEN)
    assert last(tmp_path).step == 6


class Events(Numbers):
    """Something happens while batch ``at`` is drawn."""

    def __init__(self, at: int, happens) -> None:
        super().__init__()
        self.at, self.happens = at, happens

    def __call__(self, step: int, rank: int, world: int):
        if step == self.at:
            self.happens()
        return super().__call__(step, rank, world)


@pytest.mark.parametrize("size", [0, 100, 1000])
def test_a_disk_that_fills_while_training(tmp_path, size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fills() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    try:
        with pytest.raises(FileError, match=r"cannot be written \(File too large\)"):
            fit(Toy(), tmp_path, 10, reports=OFTEN, batches=Events(4, fills))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert last(tmp_path).step == 4
    whole, pieces = fit(Toy(), tmp_path / "whole", 10), fit(Toy(), tmp_path, 10, reports=OFTEN)
    assert all(map(torch.equal, whole.state_dict().values(), pieces.state_dict().values()))
    assert [row["step"] for row in rows(tmp_path)] == [str(step) for step in range(1, 11)]


def test_a_run_folder_that_vanishes(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(FileError, match=r"run/.*cannot be written \(No such file or directory\)"):
        fit(Toy(), run, 10, reports=OFTEN, batches=Events(4, lambda: shutil.rmtree(run)))


def test_a_second_training_in_a_folder_gets_one_line(tmp_path):
    run = tmp_path / "run"
    fit(Toy(), run, 2, reports=OFTEN)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    def second() -> None:
        with pytest.raises(FileError, match=rf"run: is being written by process {os.getpid()} on"):
            fit(Toy(), run, 4, reports=OFTEN)
        with pytest.raises(FileError, match="expected one writer at a time"):
            RunFolder(run).amend({})

    with locked(run / ".run.pcgen-lock", run):
        second()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    fit(Toy(), run, 6, reports=OFTEN, batches=Events(4, second))
    assert [row["step"] for row in rows(run)] == [str(step) for step in range(1, 7)]
    assert not list(run.glob(".run*"))


def test_a_second_training_in_a_new_folder_gets_one_line(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with (
        locked(run / ".run.pcgen-lock", run),
        pytest.raises(FileError, match="is being written by process"),
    ):
        fit(Toy(), run, 4)
    fit(Toy(), run, 4)
    assert last(run).step == 4


def test_a_run_that_is_refused_leaves_no_folder(tmp_path):
    class Refused(Toy):
        def phases(self):
            raise FileError("no")

    with pytest.raises(FileError, match="no"):
        fit(Refused(), tmp_path / "a" / "b", 4)
    with RunFolder(tmp_path / "a" / "b").writing():
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_too_long(tmp_path):
    with pytest.raises(FileError, match=r"cannot be written \(File name too long\)"):
        fit(Toy(), Path(tmp_path / ("a" * 300)), 4)
