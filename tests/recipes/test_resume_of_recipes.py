"""Runs of chains, wake-sleep and the hybrid that are interrupted go on exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.datasets.batches import Batches
from pcgen.io import JETS
from pcgen.recipes import RECIPES
from pcgen.testing import InMemory, clouds_of_schema, random_sizes
from pcgen.training import Reports, train

ARGUMENTS = {
    "points-gsn": {"hidden": 8, "latent_dim": 3, "integration_steps": 2, "walkback": 1},
    "points-chain": {"hidden": 8, "latent_dim": 3},
    "points-sequential-vae": {"hidden": 8, "latent_dim": 3, "transitions": 2},
    "points-hybrid": {"labelled_fraction": 0.5},
    "hits-wake-sleep": {"grid": "eta_rel:-0.5:0.5:5,phi_rel:-0.5:0.5:4", "latent_dim": 4,
                        "importance_samples": 2},
}  # fmt: skip


class Broken(Batches):
    """Batches that end with an error at batch ``at``."""

    at = 10**9

    def __call__(self, step: int, rank: int, world: int) -> Batch:
        if step >= self.at:
            raise RuntimeError("the power fails")
        return super().__call__(step, rank, world)


def run(name: str, folder: Path, at: int) -> dict[str, torch.Tensor]:
    clouds = clouds_of_schema(JETS, random_sizes(60), spread=0.2)
    clouds = cl.replace(clouds, y=900 + 200 * clouds.y)
    batches = Broken(InMemory(clouds), 8, seed=0)
    batches.at = at
    torch.manual_seed(0)
    model = RECIPES[name](**ARGUMENTS[name])
    reports = Reports(progress=False, checkpoint_every=2, log_every=1)
    return train(model, batches, folder=folder, steps=6, reports=reports).state_dict()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_interrupted_run_goes_on_exactly(name: str, tmp_path: Path) -> None:
    whole = run(name, tmp_path / "whole", 10**9)
    repeat = sum(phase.loss is not None for phase in RECIPES[name](**ARGUMENTS[name]).phases())
    with pytest.raises(RuntimeError, match="the power fails"):
        run(name, tmp_path / "pieces", 3 * repeat)
    pieces = run(name, tmp_path / "pieces", 10**9)
    assert whole.keys() == pieces.keys()
    assert [key for key in whole if not torch.equal(whole[key], pieces[key])] == []
