from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from toy_models import Number, Toy
from toy_runs import averages, fit, last, rows, two_stages

from pcgen.errors import ArgumentError
from pcgen.training import Reports
from pcgen.training.learner import running_average


def test_the_best_checkpoint_is_the_lowest_score(tmp_path):
    scores = iter([3.0, 1.0, math.nan, 2.0, 1.0])
    reports = Reports(validate_every=2, progress=False)
    fit(Toy(), tmp_path, 10, validate=lambda model: {"w1": next(scores)}, score="w1",
        reports=reports)  # fmt: skip
    assert last(tmp_path, "best").step == 4
    assert last(tmp_path).best == 1.0
    logged = [row["validation/w1"] for row in rows(tmp_path)]
    assert logged == ["3.0", "1.0", "nan", "2.0", "1.0"]


def test_validation_sees_the_average_and_waits_for_every_phase(tmp_path):
    seen: list[tuple[int, float, bool]] = []
    model = Toy(two_stages)

    def validate(given):
        assert given is model
        seen.append((len(model.history), model.mean.value.item(), given.training))
        return {"score": 0.0}

    fit(model, tmp_path, 8, validate=validate, reports=Reports(validate_every=1, progress=False))
    assert [calls for calls, _, _ in seen] == [6, 8, 10, 12]
    assert not any(training for _, _, training in seen)
    assert len({mean for _, mean, _ in seen}) == 1


def test_validation_restores_what_is_being_learnt(tmp_path):
    seen: list[float] = []
    model = Toy()

    def validate(given):
        seen.append(given.mean.value.item())
        return {"score": 0.0}

    fit(model, tmp_path, 6, validate=validate, reports=Reports(validate_every=2, progress=False))
    raw = np.array([*model.history[1:], last(tmp_path).model["mean.value"].item()])
    assert seen == pytest.approx(list(averages(raw, 0.999)[1::2]), rel=1e-6)


def test_further_steps_are_validated_where_requested(tmp_path):
    reports = Reports(validate_every=6, validate_at=(1, 4, 99), progress=False)
    fit(Toy(), tmp_path, 8, validate=lambda model: {"score": 0.0}, reports=reports)
    assert [row["step"] for row in rows(tmp_path) if row["validation/score"]] == list("1468")


def test_a_score_that_validation_does_not_give_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"score: got 'w1', expected .*: mass, girth"):
        fit(Toy(), tmp_path, 4, validate=lambda m: {"mass": 1.0, "girth": 2.0}, score="w1")


def test_numbered_checkpoints_stay_as_many_as_wanted(tmp_path):
    fit(Toy(), tmp_path, 9, reports=Reports(checkpoint_every=2, keep=3, progress=False))
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["last.ckpt", *(f"step-{step:08d}.ckpt" for step in (6, 8, 9))]
    fit(Toy(), tmp_path / "none", 9, reports=Reports(checkpoint_every=2, keep=0, progress=False))
    assert [path.name for path in (tmp_path / "none/checkpoints").iterdir()] == ["last.ckpt"]


def test_the_log_holds_means_since_the_last_row(tmp_path):
    fit(Toy(), tmp_path / "each", 6, reports=Reports(log_every=1, progress=False))
    fit(Toy(), tmp_path / "third", 6, reports=Reports(log_every=3, progress=False))
    each = [float(row["fit/pull"]) for row in rows(tmp_path / "each")]
    third = [float(row["fit/pull"]) for row in rows(tmp_path / "third")]
    assert third == pytest.approx([np.mean(each[:3]), np.mean(each[3:])])
    names = ["step", "fit/pull", "fit/volume", "gradient/fit", "lr/fit", "seconds"]
    assert list(rows(tmp_path / "each")[0]) == names


def test_a_log_that_a_kill_cut_short_is_mended(tmp_path):
    fit(Toy(), tmp_path, 4, reports=Reports(log_every=1, progress=False))
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("5,0.1,0.2,0.3,0.1,9\n6,0.")
    fit(Toy(), tmp_path, 8, reports=Reports(log_every=1, progress=False))
    assert [row["step"] for row in rows(tmp_path)] == [str(step) for step in range(1, 9)]
    assert all(float(row["seconds"]) < 9 for row in rows(tmp_path))


def test_the_run_is_a_folder_of_plain_files(tmp_path):
    fit(Toy(), tmp_path, 4, recipe="toy", arguments={"width": 3}, config={"batch_size": 64})
    fit(Toy(), tmp_path, 6, recipe="toy", arguments={"width": 3}, config={"batch_size": 64})
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["recipe"] == "toy"
    assert config["arguments"] == {"width": 3}
    assert config["optimiser"]["lr"] == 0.1
    assert config["batch_size"] == 64
    starts = json.loads((tmp_path / "environment.json").read_text())
    assert len(starts) == 2
    assert starts[0]["packages"]["torch"] == torch.__version__
    assert starts[0]["device"] == "cpu"
    assert (tmp_path / "samples").is_dir()
    assert (tmp_path / "figures").is_dir()


def test_tensorboard_can_read_the_events(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(Toy(), tmp_path, 4, reports=Reports(log_every=2, progress=False))
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    events = board.Scalars("fit/pull")
    assert [event.step for event in events] == [2, 4]
    expected = [float(row["fit/pull"]) for row in rows(tmp_path)]
    assert [event.value for event in events] == pytest.approx(expected)


def test_buffers_are_copied_and_not_averaged():
    # A table of counts stays a table of counts.
    modules = nn.ModuleList([Number(1.0), nn.BatchNorm1d(2)])
    average = running_average(modules, 0.9)
    assert isinstance(average, AveragedModel)
    for _ in range(3):
        modules[1].num_batches_tracked += 1
        average.update_parameters(modules)
    assert average.module[1].num_batches_tracked.item() == 3
