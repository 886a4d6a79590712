"""What the commands print and log of chains, hit patterns and hybrids."""

from __future__ import annotations

import re

import pytest
import torch

from pcgen import clouds as cl
from pcgen.io import JETS, read_clouds, write_clouds
from pcgen.schema import Quantity, Schema
from pcgen.testing import clouds_of_schema, random_sizes
from pcgen.tools.cli import main
from pcgen.training.log import rows_of

RUN = ["--steps", "2", "--batch-size", "8", "--validate-events", "10", "--validate-every", "2",
       "--samples", "0", "--accelerator", "cpu", "--progress", "false"]  # fmt: skip


@pytest.fixture(scope="module")
def jets(tmp_path_factory) -> str:
    """100 random jets, empty ones among them."""
    file = tmp_path_factory.mktemp("jets") / "jets.h5"
    clouds = clouds_of_schema(JETS, random_sizes(100), spread=0.2)
    write_clouds(file, cl.replace(clouds, y=900 + 200 * clouds.y), JETS)
    return str(file)


def test_sample_prints_how_fast_a_chain_forgets(jets, tmp_path, capsys) -> None:
    run, made = str(tmp_path / "run"), str(tmp_path / "made.h5")
    small = ["--hidden", "8", "--latent-dim", "3", "--integration-steps", "2", "--burn-in", "4"]
    assert main(["train", "points-chain", *small, *RUN, "--data", jets, "--output", run]) == 0
    capsys.readouterr()
    assert main(["sample", run, made, "--number", "5"]) == 0
    line = " ".join(capsys.readouterr().out.split())
    # 20 steps tell times of one step at most.
    assert re.search(
        r"chain: burn-in of 4 steps.*; autocorrelation times in steps: mass .*, pt .* "
        r"\(of 16 chains of 20 steps\)",
        line,
    )
    one = read_clouds(made)[0]
    assert main(["sample", run, made, "--number", "5"]) == 0
    assert torch.equal(read_clouds(made)[0].pos, one.pos)


def test_the_log_has_the_accuracy_of_a_hybrid(jets, tmp_path) -> None:
    run = tmp_path / "run"
    words = ["--coupling", "0.7", "--labelled-fraction", "0.3", "--components", "2"]
    assert main(["train", "points-hybrid", *words, *RUN, "--data", jets, "--output", str(run)]) == 0
    (row,) = [row for row in rows_of(run / "metrics.csv") if row.get("validation/accuracy")]
    assert 0 <= float(row["validation/accuracy"]) <= 1
    assert float(row["towers/coupling"]) >= 0


def test_clouds_without_classes_cannot_train_a_hybrid(tmp_path, capsys) -> None:
    schema = Schema((Quantity("x", "mm"),))
    write_clouds(tmp_path / "a.h5", clouds_of_schema(schema, [3] * 20), schema)
    words = ["--data", str(tmp_path / "a.h5"), "--output", str(tmp_path / "run")]
    assert main(["train", "points-hybrid", *RUN, *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "pcgen: labels: got 0 classes, expected two or more to tell apart"


def test_hits_of_clouds_without_a_weight_from_training_to_a_file(tmp_path, capsys) -> None:
    schema = Schema((Quantity("x", "mm"), Quantity("y", "mm")))
    clouds = clouds_of_schema(schema, random_sizes(60))
    write_clouds(tmp_path / "a.h5", clouds, schema)
    run, made = str(tmp_path / "run"), str(tmp_path / "made.h5")
    words = ["--grid", "x:-3:3:6,y:-3:3:6", "--latent-dim", "4", "--importance-samples", "3"]
    data = ["--data", str(tmp_path / "a.h5"), "--output", run]
    assert main(["train", "hits-wake-sleep", *words, *RUN, *data]) == 0
    assert main(["sample", run, made, "--number", "30"]) == 0
    found = read_clouds(made)[0]
    assert found.num_graphs == 30
    assert torch.equal((found.pos + 3).remainder(1.0), torch.full_like(found.pos, 0.5))
