"""Training of a row: its budget, its clock, its interruption and divergence."""

from __future__ import annotations

import json
import time

import pytest
import toy_rows
from toy_rows import STUDY, run

from pcgen.tools.comparison import curves, trial
from pcgen.tools.comparison.clock import Clock, EnoughError
from pcgen.tools.comparison.rows import Row
from pcgen.tools.comparison.study import Study
from pcgen.training import RunFolder


def test_a_row_learns_and_is_judged(tmp_path):
    row = Row("representations", "epic", "vae", 16, 0)
    found = run(row, STUDY, tmp_path / row.name)
    assert found["status"] == "done"
    assert (found["steps"], found["planned_steps"]) == (12, 12)
    assert [point["step"] for point in found["curve"]] == [6, 12]
    assert not found["converged"]  # 12 batches of 32 are not all 6,312 events
    seconds = [point["cpu_seconds"] for point in found["curve"]]
    assert 0 < seconds[0] < seconds[1] <= found["cpu_seconds"]
    assert found["parameters"] == 5
    assert found["generator_parameters"] == 1
    # 20 points of equal p_T in narrow jets: fewer cells than real, and distinguished.
    assert found["auc"] > 0.9
    assert found["outside"] == 0


def test_an_interrupted_row_ends_as_it_would_have(tmp_path, monkeypatch):
    row = Row("representations", "epic", "vae", 16, 1)
    whole = run(row, STUDY, tmp_path / "whole")
    point = curves.Curve.__call__

    def interrupted(self, model):
        found = point(self, model)
        raise KeyboardInterrupt if self._clock.steps == 6 else AssertionError(found)

    with monkeypatch.context() as patch:
        patch.setattr(curves.Curve, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(row, STUDY, tmp_path / "halves")
    done = trial.checkpoint.read(RunFolder(tmp_path / "halves").last).step
    assert 0 < done < 12
    halves = run(row, STUDY, tmp_path / "halves")
    assert halves["score"] == whole["score"]
    assert [p["score"] for p in halves["curve"]] == [p["score"] for p in whole["curve"]]
    again = run(row, STUDY, tmp_path / "halves")
    assert again["score"] == whole["score"]
    assert again["cpu_seconds"] == pytest.approx(halves["curve"][-1]["cpu_seconds"])


def test_a_diverged_row_is_scored_from_its_last_checkpoint(tmp_path):
    row = Row("representations", "list", "gan", 16, 0)
    patched = {**trial.LEARNING, "gan": trial.LEARNING["vae"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "LEARNING", patched)
        found = run(row, STUDY, tmp_path / row.name)
        early = run(Row("representations", "epic", "gan", 16, 0), STUDY, tmp_path / "early")
    assert found["status"] == "diverged"
    assert "term 'nll' is" in found["reason"]
    assert (found["nonfinite"], found["converged"], found["steps"]) == (1, False, 6)
    assert found["score"] > 0
    assert early["status"] == "diverged"
    assert early["steps"] == 2


@pytest.fixture
def work(monkeypatch):
    """Processor time that goes on by what is called alone, whatever the machine does besides."""
    now = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])

    def work(seconds):
        now[0] += seconds

    return work


def test_a_budget_becomes_a_number_of_steps(tmp_path, work, monkeypatch):
    loss = toy_rows.Spray.loss

    def slow(self, clouds):
        work(0.01)
        return loss(self, clouds)

    monkeypatch.setattr(toy_rows.Spray, "loss", slow)
    study = Study(STUDY.data, 30, 0.4, None, 32, 60, 30, 20)
    row = Row("representations", "epic", "vae", 16, 0)
    found = run(row, study, tmp_path / row.name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [row.name, f"{row.name}.plan.json"]
    plan = json.loads((tmp_path / f"{row.name}.plan.json").read_text())
    assert plan["seconds_per_step"] == pytest.approx(0.01)
    assert found["steps"] == plan["steps"] == 40
    assert found["cpu_seconds"] == pytest.approx(0.4)


def test_the_clock_stands_still_where_it_is_stopped(work):
    class Draws:
        def __call__(self, step, rank, world):
            work(0.02)

    def train(clock):
        for step in range(100):
            clock(step, 0, 1)
            with clock.stopped():
                work(0.03)

    clock = Clock(Draws(), 2, limit=0.15)
    with pytest.raises(EnoughError):
        train(clock)
    # The first step does not count: 0.15 s at 0.04 s each.
    assert clock.steps == 5
    assert clock.seconds == pytest.approx(0.16)
