"""Training of a row: its budget, its clock, its divergence, and rows that are real events."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_study
from toy_study import written

from pcgen.datasets import open_clouds
from pcgen.tools import compare
from pcgen.tools.comparison import study_file, trial
from pcgen.tools.comparison.budget import Clock, EnoughError


def run(folder: Path, data: Path, entry: dict[str, Any] | None = None, **changes: Any):
    """The result of the only row of a study."""
    rows = [{"name": "a", "recipe": "toy_study:spray", **(entry or {})}]
    if "real" in rows[0]:
        del rows[0]["recipe"]
    study = study_file.read(str(written(folder / "study", data, rows=rows, **changes)))
    (job,) = compare._jobs(study, study.rows, folder / "out")
    return trial.run(job.row, job.files, job.digests, job.run)


def test_a_row_learns_and_is_judged_beside_its_floor(tmp_path, few):
    found = run(tmp_path, few)
    assert found["status"] == "done"
    assert (found["steps"], found["planned_steps"]) == (12, 12)
    assert [point["step"] for point in found["curve"]] == [6, 12]
    assert found["converged"] == (found["curve"][1]["score"] >= 0.9 * found["curve"][0]["score"])
    seconds = [point["cpu_seconds"] for point in found["curve"]]
    assert 0 < seconds[0] < seconds[1] <= found["cpu_seconds"]
    assert found["parameters"] == 5
    assert found["generator_parameters"] == 1
    # 20 points of equal p_T in narrow jets: more and nearer than the 6 hardest of real ones.
    assert found["W1 multiplicity"] > 10 * found["W1 multiplicity floor"] + 5
    assert found["units"]["W1 mass"] == "GeV"
    assert "W1 mass p" not in found
    assert found["events"] == 12


def test_a_row_that_has_not_seen_every_event_is_not_converged(tmp_path, few):
    found = run(tmp_path, few, budget={"steps": 4}, train={"batch_size": 16, "validate_events": 9})
    assert found["steps"] == 4
    assert not found["converged"]


def test_the_grid_loses_what_is_outside_and_p_values_come_with_permutations(tmp_path, few):
    grid = "eta_rel:-0.01:0.01:4,phi_rel:-0.01:0.01:4"
    found = run(tmp_path, few, grid=grid, permutations=4, budget={"steps": 2})
    # N(0, e^-4 = 0.018) within 0.01 along both axes: 0.42^2 of the points.
    assert found["outside"] == pytest.approx(1 - 0.42**2, abs=0.1)
    assert 0.2 <= found["W1 mass p"] <= 1


def test_real_events_are_judged_in_the_place_of_generated_ones(tmp_path, few):
    found = run(tmp_path, few, {"real": "validation", "facts": {"note": "real"}})
    assert found["status"] == "done"
    assert found["note"] == "real"
    assert "steps" not in found
    assert found["W1 multiplicity"] < 2


def test_real_events_need_not_be_in_the_cells_of_the_grid(tmp_path, few):
    """One cell for all: each event has one point there, and several without it."""
    grid = "eta_rel:-2:2:1,phi_rel:-2:2:1"
    placed = run(tmp_path / "cells", few, {"real": "validation"}, grid=grid)
    assert placed["W1 multiplicity"] == 0
    free = run(tmp_path / "points", few, {"real": "validation", "on_grid": False}, grid=grid)
    assert free["W1 multiplicity"] == pytest.approx(5, abs=1)


def test_classes_and_split_of_the_data_are_those_of_the_row(tmp_path, few):
    data = {"files": [str(few)], "classes": ["g"], "split": "validation"}
    study = study_file.read(str(written(tmp_path / "study", few, data=data)))
    (job,) = compare._jobs(study, study.rows, tmp_path / "out")
    found = trial.Trial.of(job.row, job.files)
    assert found.data.classes == ["g"]
    held_out = open_clouds(str(few), "validation", classes=["g"])
    assert torch.equal(found.test.pos, held_out.load().pos[: len(found.test.pos)])
    assert found.test.num_graphs == min(len(held_out), 24)


def test_a_diverged_row_is_scored_from_its_last_checkpoint(tmp_path, few):
    found = run(tmp_path, few, {"options": {"explode": 8}})
    assert found["status"] == "diverged"
    assert "term 'nll' is" in found["reason"]
    assert (found["nonfinite"], found["converged"], found["steps"]) == (1, False, 6)
    assert found["W1 mass"] > 0
    early = run(tmp_path / "early", few, {"options": {"explode": 1}})
    assert early["status"] == "diverged"
    assert "W1 mass" not in early


@pytest.fixture
def work(monkeypatch):
    """Processor time that goes on by what is called alone, whatever the machine does besides."""
    now = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])

    def work(seconds: float) -> None:
        now[0] += seconds

    return work


def test_a_budget_becomes_a_number_of_steps(tmp_path, few, work, monkeypatch):
    loss = toy_study.Spray.loss

    def slow(self, clouds):
        work(0.01)
        return loss(self, clouds)

    monkeypatch.setattr(toy_study.Spray, "loss", slow)
    found = run(tmp_path, few, budget={"seconds": 0.4})
    runs = tmp_path / "out" / "runs"
    assert sorted(path.name for path in runs.iterdir()) == ["a_s0", "a_s0.plan.json"]
    plan = json.loads((runs / "a_s0.plan.json").read_text())
    assert plan["seconds_per_step"] == pytest.approx(0.01)
    assert found["steps"] == plan["steps"] == 40
    assert found["cpu_seconds"] == pytest.approx(0.4)
    trial.forget(runs / "a_s0")
    assert list(runs.iterdir()) == []


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
