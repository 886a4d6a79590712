"""Small recipes with a critic, and two steps of each of their phases."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch

from pcgen import clouds as cl
from pcgen.datasets.batches import Batches
from pcgen.io import JETS
from pcgen.models.latent import LatentModel
from pcgen.recipes import RECIPES
from pcgen.testing import InMemory, clouds_of_schema, random_sizes
from pcgen.training import Reports

GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8"
TINY: dict[str, dict[str, Any]] = {
    "points-gan": {"latent_dim": 2, "hidden": 4, "layers": 1},
    "points-latent-gan": {
        "latent_dim": 2, "hidden": 4, "layers": 1, "width": 4, "reconstruction": "chamfer"},
    "image-gan": {"latent_dim": 2, "channels": 2, "grid": GRID},
    "sites-gan": {"latent_dim": 2, "channels": 2, "grid": GRID},
}  # fmt: skip
QUIET = Reports(progress=False, log_every=100, validate_every=100, checkpoint_every=100)


def model(recipe: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return RECIPES[recipe](**TINY[recipe], **options)


def player(found: Any) -> Any:
    """What has critic, generator and adversary."""
    return found.prior if isinstance(found, LatentModel) else found


@functools.cache
def batches() -> Batches:
    clouds = clouds_of_schema(JETS, random_sizes(24, 1, 5), spread=0.2)
    return Batches(InMemory(cl.replace(clouds, y=900 + 200 * clouds.y)), 6, seed=0)


def steps_of(found: Any, batch: Any, case: object) -> None:
    learning = ("manifold-critic", "manifold", "critic", "encoder", "generator")
    turns = [phase for phase in found.phases() if phase.name in learning]
    sides = [(p, torch.optim.Adam(p.parameters(), 1e-3, betas=(0.0, 0.9))) for p in turns]
    for step in range(2):
        for phase, optimiser in sides:
            phase.progress(step / 2)
            loss = sum(phase.loss(batch).values())
            assert math.isfinite(float(loss.detach())), case
            optimiser.zero_grad()
            loss.backward()
            before = [p.detach().clone() for p in phase.parameters()]
            optimiser.step()
            if phase.after is not None:
                phase.after()
            moved = [not torch.equal(a, b) for a, b in zip(before, phase.parameters(), strict=True)]
            assert any(moved), (*case, phase.name)
            assert all(torch.isfinite(p).all() for p in phase.parameters()), case
