"""``pcgen compare`` as it is typed: interrupted, resumed, in processes, on Dask, with failures."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_study import written

import pcgen
from pcgen.tools import cli, compare
from pcgen.tools.comparison import study_file, trial, workers
from pcgen.tools.comparison.workers import Job

PAUSE = 0.1  # seconds of each step: what is interrupted is interrupted in the middle
STEPS = 40
TWO = {
    "budget": {"steps": STEPS},
    "factors": ["name", "hidden"],
    "rows": [
        {"name": "flow", "hidden": 4, "recipe": "points-flow",
         "options": {"hidden": "{hidden}", "layers": 1, "integration_steps": 2}},
        {"name": "spray", "hidden": 0, "recipe": "toy_study:spray", "options": {"pause": PAUSE}},
    ],
    "questions": [{"name": "H", "text": "A flow is nearer.", "expect": "flow < spray",
                   "score": "W1 mass", "converged": 0}],
}  # fmt: skip


def jobs_of(study: Path, folder: Path) -> list[Job]:
    """The rows of a study, in a folder."""
    found = study_file.read(str(study))
    return compare._jobs(found, found.chosen(None), folder)


def timeless(file: Path) -> dict[str, Any]:
    """The result of a row without what its machine took for it."""
    values = json.loads(file.read_text())
    for name in ("cpu_seconds", "ms_per_step", "us_per_event", "memory_mib", "machine"):
        values.pop(name, None)
    for point in values.get("curve", []):
        point.pop("cpu_seconds")
    return values


def until(there: Callable[[], Any], seconds: float = 240) -> Any:
    """What is waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = there()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.fixture(scope="module")
def one_process(tmp_path_factory, few) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The study of two recipes, and its results by rows that were never interrupted."""
    base = tmp_path_factory.mktemp("two")
    study = written(base / "study", few, **TWO)
    jobs = jobs_of(study, base / "out")
    for job in jobs:
        workers.work(job)
    found = {job.row.name: timeless(job.result) for job in jobs}
    assert {each["status"] for each in found.values()} == {"done"}
    return study, found


def results_in(folder: Path) -> dict[str, dict[str, Any]]:
    return {file.stem: timeless(file) for file in (folder / "rows").glob("*.json")}


@pytest.mark.slow
def test_an_interrupted_study_goes_on_and_ends_as_one_that_was_not(one_process, tmp_path):
    study, whole = one_process
    out = tmp_path / "out"
    words = [sys.executable, "-m", "pcgen.tools", "compare", str(study), "--output", str(out),
             "--processes", "2", "--keep-runs", "--progress", "false"]  # fmt: skip
    elsewhere: dict[str, Any] = {"cwd": tmp_path, "text": True}
    first = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **elsewhere)
    last = out / "runs" / "spray_0_s0" / "checkpoints" / "last.ckpt"
    until(lambda: last.exists() or first.poll() is not None)
    first.send_signal(signal.SIGINT)
    _, error = first.communicate(timeout=60)
    assert first.returncode == 130, error
    assert not (out / "rows" / "spray_0_s0.json").exists()
    done = [file.stat().st_mtime_ns for file in (out / "rows").glob("*.json")]
    again = subprocess.run(words, capture_output=True, check=False, **elsewhere)
    assert again.returncode == 0, again.stderr
    assert "resuming at step" in (out / "runs" / "spray_0_s0.log").read_text()
    assert results_in(out) == whole
    # Rows that were done are not done again.
    assert {f.stat().st_mtime_ns for f in (out / "rows").glob("*.json")} >= set(done)
    text = (out / "report.md").read_text()
    assert "**H: " in text
    assert re.search(r"^\| spray[ †‡]* \| 0 \| [01]/1 \|", text, re.MULTILINE)
    # Each run is one of pcgen train.
    assert pcgen.load(out / "runs" / "flow_4_s0").sample(number=2).num_graphs == 2


def writes(process: int, file: Path) -> bool:
    """Whether a process has started one that has this file open."""
    import psutil  # a requirement of Dask

    children = psutil.Process(process).children(recursive=True)
    return any(str(file) == each.path for child in children for each in child.open_files())


@pytest.mark.slow
def test_a_killed_worker_of_dask_costs_nothing(one_process, tmp_path):
    """Two workers, one of which is killed while it trains: the results are those of one process."""
    distributed = pytest.importorskip("distributed", reason="the extra dask brings it")
    study, whole = one_process
    out = tmp_path / "out"
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    )
    status: list[int] = []
    words = ["compare", str(study), "--output", str(out), "--dask", cluster.scheduler_address,
             "--keep-runs", "--progress", "false"]  # fmt: skip
    command = threading.Thread(target=lambda: status.append(cli.main(words)))
    run = out / "runs" / "spray_0_s0"
    with cluster, distributed.Client(cluster) as client:
        command.start()
        until((run / "checkpoints" / "last.ckpt").exists)
        pids = client.run(os.getpid).values()
        (busy,) = (pid for pid in pids if writes(pid, run.with_name("spray_0_s0.log")))
        assert not (out / "rows" / "spray_0_s0.json").exists()
        os.kill(busy, signal.SIGKILL)
        command.join(timeout=300)
        assert status == [0]
    assert "resuming at step" in (out / "runs" / "spray_0_s0.log").read_text()
    assert results_in(out) == whole


@pytest.mark.slow
def test_rows_that_fail_are_named_and_take_no_others_with_them(tmp_path, few, capfd):
    entries = [{"name": name, "recipe": f"toy_study:{name}"} for name in ("spray", "bad", "dead")]
    study = written(tmp_path / "study", few, rows=entries, budget={"steps": 2})
    out = tmp_path / "out"
    words = ["compare", str(study), "--output", str(out), "--processes", "3", "--progress", "false"]
    assert cli.main(words) == 0
    printed = capfd.readouterr().out
    assert (
        "failed: bad_s0 (ArgumentError: recipe toy_study:bad: raised ValueError: no luck" in printed
    )
    assert "failed: dead_s0 (its process ended with 3)" in printed
    assert "to do them again, delete their files" in printed
    found = results_in(out)
    assert found["spray_s0"]["status"] == "done"
    assert found["dead_s0"]["reason"] == "its process ended with 3"
    assert not list((out / "runs").glob("*_s0"))  # without --keep-runs
    # With other settings the rows are others.
    assert cli.main([*words, "--settings", "events=10"]) == 1
    assert "its rows had events 12, got 10, expected the same" in capfd.readouterr().err


@pytest.mark.slow
def test_a_row_dies_with_its_parent(tmp_path, few):
    entries = [{"name": "slow", "recipe": "toy_study:spray", "options": {"pause": 30.0}}]
    (job,) = jobs_of(written(tmp_path / "study", few, rows=entries), tmp_path / "out")
    process = workers.start(job)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=120) != 0
    assert not job.result.exists()


def test_without_dask_an_address_is_refused(monkeypatch, tmp_path, few, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    study, out = written(tmp_path / "study", few), tmp_path / "out"
    assert cli.main(["compare", str(study), "--output", str(out), "--dask", "tcp://a:1"]) == 1
    error = capsys.readouterr().err
    assert "pip install 'distributed>=" in error
    assert "pcgen's extra 'dask'" in error
    assert not out.exists()


@pytest.mark.slow
def test_an_address_that_does_not_answer_is_refused(tmp_path, few, capsys):
    pytest.importorskip("distributed", reason="the extra dask brings it")
    study, out = written(tmp_path / "study", few), tmp_path / "out"
    words = [
        "compare",
        str(study),
        "--output",
        str(out),
        "--dask",
        "nowhere",
        "--progress",
        "false",
    ]
    assert cli.main(words) == 1
    assert "dask: got 'nowhere', expected local, local:N or the address" in capsys.readouterr().err


def test_points_outside_a_grid_are_no_part_of_the_events(tmp_path, few):
    within = {"files": [str(few)], "within": "eta_rel:-0.1:0.1:1,phi_rel:-0.1:0.1:1"}
    grid = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8"
    rows = [{"name": ["one", "other"], "recipe": "toy_study:spray"}]
    study = written(tmp_path / "study", few, data=within, grid=grid, rows=rows)
    job, other = jobs_of(study, tmp_path / "out")
    again, _ = jobs_of(study, tmp_path / "out")
    assert job.files == other.files == again.files
    assert len(list((tmp_path / "out" / "data").iterdir())) == 1  # a copy is made once
    assert job.files != (str(few),)
    found = trial.Trial.of(job.row, job.files)
    assert float(found.test.pos.abs().max()) <= 0.1
    (whole,) = jobs_of(written(tmp_path / "all", few, grid=grid), tmp_path / "whole")
    test = trial.Trial.of(whole.row, whole.files).test
    assert test.num_graphs == found.test.num_graphs
    assert float(test.pos.abs().max()) > 0.1
    # Both sides are compared in the cells of the grid, whose centres are 0.1 apart.
    place = (found.on_grid(found.test).pos + 0.35) / 0.1
    torch.testing.assert_close(place, place.round(), atol=1e-4, rtol=0)
