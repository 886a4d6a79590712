"""How near a model under training is to the validation split: what its checkpoint is chosen by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.metrics import observables, wasserstein1
from pcgen.models.autoencoder import Autoencoder, Deterministic
from pcgen.models.base import GenerativeModel
from pcgen.models.blocks import like, ranges, sample_in_blocks
from pcgen.schema import Schema

_BLOCK = 500  # clouds that are drawn at a time


@dataclass(frozen=True)
class Validation:
    """Distances between the observables of real clouds and of clouds drawn for their conditions.

    A plain autoencoder has no prior to draw from: its reconstructions are judged.

    Attributes:
        real: Clouds of the validation split, in memory.
    """

    real: Batch

    def __call__(self, model: GenerativeModel) -> dict[str, float]:
        """W1 of each observable in its own unit, and ``score``: their mean in units of its σ."""
        real = observables(self.real, model.schema)
        made = observables(self._made(model), model.schema)
        scores, relative = {}, []
        for quantity, values in real.items():
            distance = wasserstein1(values, made[quantity]).item()
            scores[f"w1_{quantity.name}"] = distance
            relative.append(distance / max(values.std().item(), 1e-12))
        return {"score": sum(relative) / len(relative), **scores}

    def labels(self, schema: Schema) -> dict[str, str]:
        """What the columns of the log mean, with units, for plots."""
        labels = {"validation/score": "score: mean $W_1$ [$\\sigma$]"}
        for quantity in observables(self.real, schema):
            labels[f"validation/w1_{quantity.name}"] = f"$W_1$ of {quantity.label}"
        return labels

    def _made(self, model: GenerativeModel) -> Batch:
        generator = torch.Generator().manual_seed(0)
        if not is_plain_autoencoder(model):
            return pc.concat(
                sample_in_blocks(model, like(self.real), _BLOCK, lambda block: generator)
            )
        device = next(model.parameters()).device
        return pc.concat(
            model.reconstruct(pc.select(self.real, rows).to(device), generator).to("cpu")
            for rows in ranges(self.real.num_graphs, _BLOCK)
        )


def is_plain_autoencoder(model: GenerativeModel) -> TypeGuard[Autoencoder]:
    """Whether the model has no prior and so cannot be sampled."""
    return isinstance(model, Autoencoder) and isinstance(model.latent, Deterministic)
