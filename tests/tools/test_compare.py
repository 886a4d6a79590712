"""Rows of a comparison, and how many of them run."""

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
import toy_rows
from toy_rows import STUDY

from pcgen.datasets.jets import SAMPLE
from pcgen.errors import ArgumentError, FileError, MissingExtraError
from pcgen.recipes import RECIPES
from pcgen.tools import cli, compare
from pcgen.tools.comparison import cluster, fleet, study, worker
from pcgen.tools.comparison.rows import Row, grid_of
from pcgen.tools.comparison.spine import ABSENT, AXIS, LEARNING, NETWORKS, OBJECTIVES, SPINE
from pcgen.tools.comparison.study import PROFILES, Study, claim, read
from pcgen.tools.options import options_of


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


def test_the_table_is_complete_and_states_what_it_leaves_out():
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


def test_dead_channels_are_requested_like_an_objective():
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
    given = {"networks": ["image"], "objectives": ["gan"], "resolutions": [32], "seeds": 1}
    with pytest.raises(ArgumentError, match=message):
        grid_of("representations", SPINE, axis=AXIS, **{**given, **options})
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
    # The folder may be given to others: it does not name where the files are.
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


def job(folder, network, seed=0):
    return worker.Job(Row("toy", network, "gan", 8, seed), STUDY, folder, toy_rows.quick)


def test_a_row_that_fails_reports_why(tmp_path):
    claim(tmp_path, STUDY)
    bad = job(tmp_path, "bad")
    worker.work(bad)
    found = json.loads(bad.result.read_text())
    assert found["status"] == "failed"
    assert found["reason"] == "ValueError: no luck"
    assert found["network"] == "bad"


@pytest.mark.slow
def test_rows_run_in_processes_of_their_own_and_crashes_are_reported(tmp_path):
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
