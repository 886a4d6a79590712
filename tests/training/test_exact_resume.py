from __future__ import annotations

import dataclasses
import json
import signal

import pytest
import torch
import toy_gan
from toy_models import Numbers, Toy
from toy_runs import STEPS, assert_same_run, differences, fit, last, plain, script

from pcgen.errors import ArgumentError, CheckpointError, FileError, Terminated
from pcgen.training import Reports, checkpoint


def test_a_killed_and_resumed_gan_equals_the_uninterrupted_one(tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    toy_gan.run(str(whole), STEPS)
    # Batch 45 is the fourth of the critic in step 8: the kill is in the middle of everything.
    assert script(pieces, "--kill-at", "45").returncode == -signal.SIGKILL
    assert last(pieces).step == 5
    toy_gan.run(str(pieces), STEPS)
    assert_same_run(whole, pieces)


class Pressed(Numbers):
    """Ctrl-C, or another signal, while batch ``at`` is drawn."""

    def __init__(self, at: int, signal: signal.Signals = signal.SIGINT) -> None:
        super().__init__()
        self.at, self.signal = at, signal

    def __call__(self, step: int, rank: int, world: int):
        if step == self.at:
            signal.raise_signal(self.signal)
        return super().__call__(step, rank, world)


@pytest.fixture
def listening():
    """Ctrl-C as in a terminal: a program in the background begins with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_an_interrupted_run_is_saved_and_goes_on_exactly(tmp_path, capsys):
    options = {"optimiser": plain(schedule="cosine"), "seed": 3}
    whole = fit(Toy(), tmp_path / "whole", 10, **options)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="interrupted at step 7 of 10; the same command"):
        fit(Toy(), tmp_path / "pieces", 10, batches=Pressed(6), **options)
    assert signal.getsignal(signal.SIGINT) is before
    assert last(tmp_path / "pieces").step == 7
    capsys.readouterr()
    pieces = fit(Toy(), tmp_path / "pieces", 10, **options)
    assert capsys.readouterr().err == f"{tmp_path / 'pieces'}: resuming at step 7 of 10 steps\n"
    assert list(differences(whole.state_dict(), pieces.state_dict())) == []
    states = [dataclasses.asdict(last(tmp_path / name)) for name in ("whole", "pieces")]
    assert list(differences(*states)) == ["/seconds"]
    # In the last step there is nothing to go on with, and nothing is lost.
    fit(Toy(), tmp_path / "end", 10, batches=Pressed(9), **options)
    assert last(tmp_path / "end").step == 10


def test_a_terminated_run_is_saved_and_goes_on_exactly(tmp_path):
    whole = fit(Toy(), tmp_path / "whole", 10)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated, match="interrupted at step 7 of 10; the same command"):
        fit(Toy(), tmp_path / "pieces", 10, batches=Pressed(6, signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) is before
    assert last(tmp_path / "pieces").step == 7
    pieces = fit(Toy(), tmp_path / "pieces", 10)
    assert list(differences(whole.state_dict(), pieces.state_dict())) == []


@pytest.mark.usefixtures("listening")
def test_a_second_interruption_does_not_wait(tmp_path):
    class Twice(Pressed):
        def __call__(self, step: int, rank: int, world: int):
            batch = super().__call__(step, rank, world)
            return super().__call__(step, rank, world) if step == self.at else batch

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(Toy(), tmp_path, 10, batches=Twice(6))
    assert not caught.value.args
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


def test_a_run_that_ignores_interruptions_goes_on_doing_so(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        fit(Toy(), tmp_path, 10, batches=Pressed(6))
    finally:
        signal.signal(signal.SIGINT, before)
    assert last(tmp_path).step == 10


@pytest.mark.parametrize(("schedule", "lines"), [("constant", 1), ("cosine", 2)])
def test_what_a_longer_run_changes_is_reported(tmp_path, capsys, schedule, lines):
    optimiser = plain(schedule=schedule)
    fit(Toy(), tmp_path, 4, optimiser=optimiser)
    fit(Toy(), tmp_path, 4, optimiser=optimiser)
    assert capsys.readouterr().err == f"{tmp_path}: nothing is left of 4 steps\n"
    fit(Toy(), tmp_path, 6, optimiser=optimiser)
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == lines
    assert ("was planned for 4 steps" in printed[-1]) == (schedule == "cosine")


@pytest.mark.slow
def test_resuming_is_exact_in_two_processes(tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    two = ("--devices", "2", "--strategy", "ddp")
    done = script(whole, *two)
    assert done.returncode == 0, done.stderr
    assert script(pieces, *two, "--kill-at", "45").returncode == -signal.SIGKILL
    assert last(pieces).step == 5
    done = script(pieces, *two)
    assert done.returncode == 0, done.stderr
    assert_same_run(whole, pieces)
    first, second = last(whole).random
    assert not torch.equal(first["torch"], second["torch"])


@pytest.mark.slow
def test_spawned_processes_bring_the_model_back(tmp_path):
    done = script(tmp_path / "run", "--devices", "2", "--strategy", "ddp_spawn")
    assert done.returncode == 0, done.stderr
    weight = last(tmp_path / "run").phases["generator"]["average"]["0.0.weight"]
    assert f"generator {weight.double().sum().item()}" in done.stdout


def test_a_run_can_be_made_longer(tmp_path):
    whole = fit(Toy(), tmp_path / "whole", 10)
    fit(Toy(), tmp_path / "pieces", 4)
    pieces = fit(Toy(), tmp_path / "pieces", 10)
    assert list(differences(whole.state_dict(), pieces.state_dict())) == []


def test_a_finished_run_is_only_loaded(tmp_path):
    model = fit(Toy(), tmp_path, 4)
    again = Toy()
    fit(again, tmp_path, 4)
    assert again.history == []
    assert list(differences(model.state_dict(), again.state_dict())) == []


def test_another_configuration_is_refused(tmp_path):
    fit(Toy(), tmp_path, 4, seed=1, config={"data": ["a.h5"]})
    with pytest.raises(ArgumentError, match=r"another configuration \(seed 1 -> 2\)"):
        fit(Toy(), tmp_path, 4, seed=2, config={"data": ["a.h5"]})
    with pytest.raises(ArgumentError, match=r"data \['a.h5'\] -> \['b.h5'\]"):
        fit(Toy(), tmp_path, 4, seed=1, config={"data": ["b.h5"]})
    more = Reports(log_every=1, progress=False)
    fit(Toy(), tmp_path, 5, seed=1, config={"data": ["a.h5"]}, reports=more)
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 5


def test_another_number_of_processes_is_refused(tmp_path):
    fit(Toy(), tmp_path, 4)
    state = last(tmp_path)
    file = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint.write(file, dataclasses.replace(state, random=state.random * 2))
    with pytest.raises(CheckpointError, match="written by 2 processes, expected 1"):
        fit(Toy(), tmp_path, 6)
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 4


def test_a_checkpoint_of_another_optimiser_is_refused(tmp_path):
    fit(Toy(), tmp_path, 4)
    state = last(tmp_path)
    file = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint.write(file, dataclasses.replace(state, phases={"other": state.phases["fit"]}))
    with pytest.raises(CheckpointError, match="does not fit this run"):
        fit(Toy(), tmp_path, 6)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FileError, match="exists and is not a run"):
        fit(Toy(), tmp_path, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(FileError, match="exists and is not a run"):
        fit(Toy(), tmp_path / "thesis.tex", 4)
    with pytest.raises(FileError, match="cannot be written"):
        fit(Toy(), tmp_path / "thesis.tex" / "run", 4)


def test_a_damaged_configuration_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(FileError, match="is not JSON"):
        fit(Toy(), tmp_path, 4)


def test_fewer_steps_than_are_done_are_refused_and_nothing_changes(tmp_path):
    fit(Toy(), tmp_path, 6)
    before = (tmp_path / "config.json").read_bytes(), last(tmp_path).step
    with pytest.raises(ArgumentError, match=r"steps: got 3, expected at least the 6 that .* done"):
        fit(Toy(), tmp_path, 3)
    assert ((tmp_path / "config.json").read_bytes(), last(tmp_path).step) == before
