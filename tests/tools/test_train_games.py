"""Games and remedies on the command line: what goes together is trained, the rest is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pcgen import clouds as pc
from pcgen.io import JETS, write_clouds
from pcgen.tools import cli

SMALL = ["--steps", "2", "--batch-size", "4", "--validate-events", "4", "--samples", "0",
         "--latent-dim", "2", "--accelerator", "cpu", "--progress", "false"]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("remedies") / "jets.h5"
    pos = 0.6 * torch.rand(120, 2, generator=torch.Generator().manual_seed(0)) - 0.3
    clouds = pc.make(pos, [3] * 40, weight=1 + pos[:, 0].abs(), y=torch.full((40, 1), 900.0),
                     label=torch.arange(40) % 3)  # fmt: skip
    write_clouds(file, clouds, JETS)
    return str(file)


def test_a_combination_is_trained_and_recorded(data: str, tmp_path: Path) -> None:
    words = ["--regulariser", "roth", "--penalty", "2", "--game", "saturating", "--annealing",
             "0.1", "--penalty-in-spreads", "--instance-noise", "0.2", "--label-smoothing", "0.1",
             "--label-flipping", "0.05", "--critic-steps", "2", "--log-every", "1"]  # fmt: skip
    folder = tmp_path / "run"
    command = ["train", "points-gan", *words, *SMALL, "--hidden", "4", "--layers", "1"]
    assert cli.main([*command, "--data", data, "--output", str(folder)]) == 0
    arguments = json.loads((folder / "config.json").read_text())["arguments"]
    assert (arguments["regulariser"], arguments["penalty"]) == ("roth", 2.0)
    header = (folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"critic/critic", "critic/penalty", "generator/generator"} <= set(header)


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("points-gan --modes reg-gan --mode-strength 0.1 --minibatch-statistics --hidden 4",
         "generator/decoded-generator generator/emd generator/chamfer critic/penalty"),
        ("points-gan --modes vae-gan --feature-matching --hidden 4",
         "encoder/kl encoder/reconstruction generator/features"),
        ("image-gan --modes mdgan --channels 2 --instance-noise 0.2 --adaptive-noise 0.6",
         "manifold-critic/critic manifold/pixels manifold/generator generator/generator"),
        ("sites-gan --modes reg-gan --channels 2 --minibatch-statistics --feature-matching",
         "generator/pixels generator/decoded-features"),
        ("points-latent-gan --instance-noise 0.2 --adaptive-noise 0.6 --hidden 4",
         "critic/critic generator/generator"),
    ],
)  # fmt: skip
def test_encoders_and_critics_of_a_batch(words, columns, data, tmp_path) -> None:
    folder = tmp_path / "run"
    command = ["train", *words.split(), *SMALL, "--log-every", "1", "--data", data]
    assert cli.main([*command, "--output", str(folder)]) == 0
    header = (folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert set(columns.split()) <= set(header)
    assert cli.main(["sample", str(folder), str(tmp_path / "made.h5"), "--number", "3"]) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("points-gan --regulariser wgan-gp", "no in between of two sets"),
        ("points-gan --game hinge --regulariser roth", "takes the logit for log odds"),
        ("image-gan --game wasserstein --regulariser none", "no best one otherwise"),
        ("image-gan --network active --instance-noise 0.1", "noise would open all of them"),
        ("points-latent-gan --game relativistic --label-smoothing 0.1", "which has no labels"),
        ("points-gan --adaptive-noise 0.6", "without instance_noise"),
        ("sites-gan --mode-strength 0.3", "expected none without modes"),
    ],
)
def test_what_has_no_meaning_is_refused(words, reason, data, tmp_path, capsys) -> None:
    assert cli.main(["train", *words.split(), *SMALL, "--data", data,
                     "--output", str(tmp_path / "run")]) == 1  # fmt: skip
    (line,) = capsys.readouterr().err.splitlines()
    assert reason.replace("takes", "take") in line
    assert "expected" in line
