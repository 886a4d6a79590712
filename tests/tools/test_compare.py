"""Rows, their training and resumption, their scores."""

from __future__ import annotations

import inspect
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
import torch
import toy_rows

from pcgen import clouds as pc
from pcgen.datasets.jets import SAMPLE
from pcgen.errors import ArgumentError, FileError, MissingExtraError
from pcgen.recipes import RECIPES
from pcgen.tools import cli, compare
from pcgen.tools.comparison import cluster, curves, fleet, floors, scores, study, trial, worker
from pcgen.tools.comparison import events as jets
from pcgen.tools.comparison.clock import Clock, EnoughError
from pcgen.tools.comparison.rows import Row, grid_of
from pcgen.tools.comparison.spine import ABSENT, AXIS, LEARNING, NETWORKS, OBJECTIVES, SPINE
from pcgen.tools.comparison.study import PROFILES, Study, claim, read
from pcgen.tools.options import options_of
from pcgen.training import RunFolder

STUDY = Study((str(SAMPLE),), 30, None, 12, 32, 60, 30, 20)
run = partial(trial.run, spine=toy_rows.SPINE, recipes=toy_rows.RECIPES)


@pytest.fixture(scope="module")
def events():
    return jets.load(STUDY, 16)


# --- rows -----------------------------------------------------------------------------------------


def test_the_quick_profile_has_every_row_once():
    rows = compare._rows(PROFILES["quick"], None, None, None, None)
    trained = [row for row in rows if row.spine == "representations"]
    # Five networks at 24², three on the axis at two further resolutions; no gated flow; 2 seeds.
    assert len(trained) == 2 * (5 * 3 - 1 + 2 * 3 * 3)
    assert len({row.name for row in rows}) == len(rows)
    assert {row.network for row in trained if row.resolution != 24} == set(AXIS)
    assert Row("representations", "image-gated", "flow", 24, 0) not in rows
    dead = [row for row in rows if row.spine == "dead-channels"]
    assert [row.network for row in dead[:3]] == ["image", "image-mask", "image-observed"]
    assert len(dead) == 2 * 3
    assert [row.seed for row in trained[:14]] == [0] * 14


def test_the_table_is_complete_and_says_what_it_leaves_out():
    assert set(SPINE) == set(NETWORKS)
    absent = {
        f"{objective} with {network}"
        for network in SPINE
        for objective in OBJECTIVES
        if objective not in SPINE[network]
    }
    assert absent == set(ABSENT)
    assert all(set(row) <= set(LEARNING) for row in SPINE.values())
    assert all(learning.optimiser.schedule == "constant" for learning in LEARNING.values())


def test_recipes_take_what_the_table_gives_them():
    for network, entries in SPINE.items():
        for entry in entries.values():
            takes = inspect.signature(RECIPES[entry.recipe]).parameters
            assert "schema" in takes
            assert set(entry.arguments) <= set(takes)
            if "network" in takes:
                hints = {o.name: o.hint for o in options_of(RECIPES[entry.recipe])}
                assert entry.arguments["network"] in get_args(hints["network"]), network


def test_a_further_objective_is_a_further_column():
    table = {"image": {"gan": 1, "wgan": 2}, "epic": {"gan": 3}}
    rows = grid_of("remedies", table, networks=["image", "epic"], objectives=["gan", "wgan"],
                   resolutions=[32], axis=[], seeds=2)  # fmt: skip
    assert [(r.network, r.objective) for r in rows if r.seed == 0] == [
        ("image", "gan"),
        ("image", "wgan"),
        ("epic", "gan"),
    ]


def test_dead_channels_are_asked_for_like_an_objective():
    quick = PROFILES["quick"]
    rows = compare._rows(quick, ["epic", "list"], ["dead-channels"], [16], 1)
    assert [row.name for row in rows] == ["dead-channels_epic_dead-channels_r16_s0"]
    with pytest.raises(ArgumentError, match="networks: got list for dead-channels, expected"):
        compare._rows(quick, ["list"], ["dead-channels"], [16], 1)
    found = compare.with_dead_channels(rows[0], Study((str(SAMPLE),), steps=2), None)
    assert found["steps"] == 2
    assert found["mae_70"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": ["cnn"]}, "networks: got cnn, expected some of image, "),
        ({"objectives": ["wgan"]}, "objectives: got wgan, expected some of gan, vae, flow"),
        ({"resolutions": [32, 32]}, r"resolutions, seeds: got \[32, 32\], 1"),
        ({"seeds": 0}, r"resolutions, seeds: got \[32\], 0"),
    ],
)
def test_rows_that_cannot_be_are_refused(options, message):
    asked = {"networks": ["image"], "objectives": ["gan"], "resolutions": [32], "seeds": 1}
    with pytest.raises(ArgumentError, match=message):
        grid_of("representations", SPINE, axis=AXIS, **{**asked, **options})
    with pytest.raises(ArgumentError, match=r"network: got '\.\./x'"):
        Row("representations", "../x", "gan", 32, 0)


@pytest.mark.parametrize("left", ["study", "rows", "runs"])
def test_a_comparison_killed_while_its_folder_is_made_is_begun_again(tmp_path, monkeypatch, left):
    """Killed before that is there, with what a killed writer leaves of study.json."""
    with monkeypatch.context() as patch:

        def killed(path, *rest, **options):
            if path.stem == left:
                raise KeyboardInterrupt
            return made(path, *rest, **options)

        made = study.atomic if left == "study" else Path.mkdir
        patch.setattr(*((study, "atomic") if left == "study" else (Path, "mkdir")), killed)
        with pytest.raises(KeyboardInterrupt):
            claim(tmp_path, STUDY)
    (tmp_path / ".study.pcgen-00000000-1-00000000.tmp.json").touch()
    claim(tmp_path, STUDY)
    assert read(tmp_path) == replace(STUDY, data=(SAMPLE.name,))
    assert (tmp_path / "rows").is_dir()
    assert (tmp_path / "runs").is_dir()


def test_the_same_settings_or_another_folder(tmp_path):
    claim(tmp_path, STUDY)
    claim(tmp_path, STUDY)
    # The folder may be given to others: it says nothing of where the files are.
    assert read(tmp_path) == replace(STUDY, data=(SAMPLE.name,))
    assert str(SAMPLE.parent) not in (tmp_path / "study.json").read_text()
    claim(tmp_path, replace(STUDY, data=(f"/moved/{SAMPLE.name}",)))
    other = Study(STUDY.data, 30, None, 13, 32, 60, 30, 20)
    with pytest.raises(ArgumentError, match="steps: got 13, expected 12 as the rows of"):
        claim(tmp_path, other)
    (tmp_path / "data").mkdir()
    claim(tmp_path / "data", replace(STUDY, digests=("a" * 32,)))
    claim(tmp_path / "data", STUDY)  # whose digests are not known
    with pytest.raises(ArgumentError, match="digests: got"):
        claim(tmp_path / "data", replace(STUDY, digests=("b" * 32,)))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "letter.txt").touch()
    with pytest.raises(FileError, match="exists and is not a comparison"):
        claim(tmp_path / "elsewhere", STUDY)
    with pytest.raises(FileError, match="holds no comparison"):
        read(tmp_path / "elsewhere")


# --- scores ---------------------------------------------------------------------------------------


def test_only_particles_inside_the_grid_take_part(events):
    for clouds in (events.train, events.validation, events.test):
        assert float(clouds.pos.abs().max()) <= 0.4
        assert int(pc.sizes(clouds).max()) <= 30
    assert events.validation.num_graphs == 30
    assert events.batches(32, 0)(3).num_graphs == 32


def test_events_are_at_no_distance_from_themselves(events):
    real = events.on_grid(pc.select(events.test, slice(0, 60)))
    found = scores.judge(real, real, events.grid, events.schema, neighbours=20, seed=0)
    for name in ("score", "w1_mass", "w1_log_pt", "total_error", "w1_occupancy", "jsd"):
        assert found[name] == pytest.approx(0, abs=1e-12)
    assert found["occupancy"] == found["occupancy_real"]
    assert found["occupancy"] == pytest.approx(pc.sizes(real).double().mean().item() / 256)


def test_distances_are_in_units_of_the_real_spread(events):
    real = events.on_grid(events.test)
    harder = pc.replace(real, weight=real.weight * 2)
    found = scores.distances(real, harder)
    masses = scores.mass(real)
    assert found["w1_mass"] == pytest.approx((masses.mean() / masses.std()).item())
    assert found["w1_girth"] == pytest.approx(0, abs=1e-9)
    spread = real.weight.double().log().std()
    assert found["w1_log_pt"] == pytest.approx((torch.tensor(2.0).log() / spread).item(), rel=1e-6)
    relative = [value for name, value in found.items() if name != "score"]
    assert found["score"] == pytest.approx(sum(relative) / 5)


def test_the_response_is_an_absolute_error_of_the_jets_energy(events):
    real = events.on_grid(pc.select(events.test, slice(0, 60)))
    lost = pc.replace(real, weight=real.weight * 0.9)
    response = (pc.total(real) / real.y[:, 0]).double().mean().item()
    found = scores.judge(real, lost, events.grid, events.schema, neighbours=20, seed=0)
    assert found["total_error"] == pytest.approx(0.1 * response, rel=1e-4)


def test_events_without_a_point_are_scored_and_counted(events):
    real = events.on_grid(pc.select(events.test, slice(0, 60)))
    sizes = torch.zeros(60, dtype=torch.long)
    cell = torch.zeros(0, 2, dtype=torch.long)
    made = pc.make(torch.zeros(0, 2), sizes, weight=torch.zeros(0), y=real.y, label=real.label,
                   cell=cell)  # fmt: skip
    found = scores.judge(real, made, events.grid, events.schema, neighbours=20, seed=0)
    assert found["empty"] == 1
    assert found["occupancy"] == 0
    assert found["nn_accuracy"] != found["nn_accuracy"]  # there is none
    assert found["score"] != found["score"]


def test_floors_are_what_real_events_score():
    truth, pixelised = (
        floors.run(Row("floor", network, "real", 16, 0), STUDY, None) for network in floors.NETWORKS
    )
    assert 0 < truth["score"] < 0.4
    # Cells merge particles: the grid alone costs multiplicity, whatever the halves are.
    assert pixelised["w1_multiplicity"] > 2 * truth["w1_multiplicity"]


# --- training -------------------------------------------------------------------------------------


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
    # 20 points of equal p_T in narrow jets: fewer cells than real, and told apart.
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


# --- many rows ------------------------------------------------------------------------------------


def job(folder, network, seed=0):
    return worker.Job(Row("toy", network, "gan", 8, seed), STUDY, folder, toy_rows.quick)


def test_a_row_that_fails_says_why(tmp_path):
    claim(tmp_path, STUDY)
    bad = job(tmp_path, "bad")
    worker.work(bad)
    found = json.loads(bad.result.read_text())
    assert found["status"] == "failed"
    assert found["reason"] == "ValueError: no luck"
    assert found["network"] == "bad"


@pytest.mark.slow
def test_rows_run_in_processes_of_their_own_and_crashes_are_told(tmp_path):
    claim(tmp_path, STUDY)
    jobs = [job(tmp_path, name) for name in ("good", "dead")]
    fleet.run(jobs[:1], processes=2, progress=False)
    cluster.one(jobs[1])  # as a worker of Dask does it
    good, dead = (json.loads(each.result.read_text()) for each in jobs)
    assert good["status"] == "done"
    assert good["process"] != worker.os.getpid()
    assert dead["status"] == "failed"
    assert dead["reason"] == "its process ended with 3"
    before = jobs[0].result.stat().st_mtime_ns
    fleet.run(jobs, processes=1, progress=False)
    assert jobs[0].result.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_row_dies_with_its_parent(tmp_path):
    claim(tmp_path, STUDY)
    sleeper = worker.Job(Row("toy", "good", "gan", 8, 0), STUDY, tmp_path, partial(_sleep))
    process = worker.start(sleeper)
    process.stdin.close()
    assert process.wait(timeout=120) != 0
    assert not sleeper.result.exists()


def _sleep(row, study, folder):
    time.sleep(60)


def test_without_dask_a_scheduler_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        MissingExtraError, match=r"pip install 'distributed>=[\d.]+' \(pcgen's extra"
    ):
        list(cluster.run([job(tmp_path, "good")], "tcp://localhost:1"))
    words = ["compare", "--output", str(tmp_path / "c"), "--scheduler", "tcp://localhost:1"]
    assert cli.main(words) == 1
    assert "pcgen's extra 'dask'" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--processes", "0"], "processes: got 0, expected >= 1"),
        (["--networks", "[cnn]"], "networks: got cnn"),
        (["--steps", "-1"], "steps: got -1, expected a positive number"),
        (["--events", "3"], "events: got 3, expected >= 20"),
        (["--events", "0"], "events: got 0, expected >= 20"),
        (["--budget", "0"], "budget: got 0.0, expected a positive number"),
        (["--budget", "9", "--steps", "9"], "budget, steps: got 9.0 and 9, expected one of them"),
        (["--only-report"], "holds no comparison"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(words, message, tmp_path, capsys):
    assert cli.main(["compare", "--output", str(tmp_path / "new"), *words]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
