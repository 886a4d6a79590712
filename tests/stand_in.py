"""A small flow in the place of one that ships: fitted to a few jets, trained for no step."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch

from pcgen import loading
from pcgen.datasets import sample_jets
from pcgen.models.base import GenerativeModel
from pcgen.recipes import RECIPES
from pcgen.training import checkpoint
from pcgen.training.checkpoint import Checkpoint

SMALL = {"hidden": 8, "layers": 1, "integration_steps": 2}
CARD = """# {name}

## Data

Jets.

## Training

pcgen train points-flow

## Scores

W1 mass 0.1, floor 0.1.

## Limits

A stand-in.
"""


def fitted(recipe: str = "points-flow", **arguments: Any) -> GenerativeModel:
    """An untrained model whose phases are prepared on 200 jets of 8 particles."""
    model = RECIPES[recipe](**arguments)
    jets = sample_jets("train", max_points=8).read(0, 200)
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([jets])
    return model.eval()


def state_of(model: GenerativeModel, recipe: str, arguments: dict[str, Any]) -> Checkpoint:
    """The checkpoint of a model that has no running averages."""
    digest = sample_jets("train").digests()
    config = {"steps": 5, "data": ["jets.h5"], "digests": digest, "events": 200, "seed": 0}
    return Checkpoint(
        recipe, arguments, model.schema.to_dict(), model.state_dict(), {}, 5, 5, [], 0.25, {},
        3600.0, {}, [], config,
    )  # fmt: skip


def ship(
    folder: Path, name: str = "jets-flow", *, recipe: str = "points-flow", **arguments: Any
) -> Path:
    """Weights and card of a small flow, or map of one, in a folder; returns the weights."""
    takes = inspect.signature(RECIPES[recipe]).parameters
    chosen = {n: v for n, v in SMALL.items() if n in takes} | arguments
    torch.manual_seed(5)
    model = fitted(recipe, **chosen)
    checkpoint.write(folder / "a.ckpt", state_of(model, recipe, chosen))
    (folder / f"{name}.md").write_text(CARD.format(name=name))
    return loading.write_weights(folder / "a.ckpt", folder / f"{name}.safetensors")
