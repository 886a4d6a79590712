"""Scores of an autoencoder's codes and reconstructions, for the log of its training.

Defined in :mod:`pcgen.metrics.codes`. They are of at most ``EVENTS`` events of the validation
split; those that compare all pairs, of ``PAIRS``.
"""

from __future__ import annotations

import math

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.metrics import codes, pairwise
from pcgen.metrics.distances import chamfer_distance
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.base import GenerativeModel
from pcgen.models.blocks import ranges
from pcgen.models.representations import Sites
from pcgen.objectives.latent import mmd

EVENTS, BLOCK, CODES = 500, 100, 16
"""Most events; those in memory at a time; codes of an event for the tighter bound."""
PAIRS = 100


def autoencoder_of(model: GenerativeModel) -> Autoencoder | None:
    """The model itself or the first stage of a latent model; None where there is none."""
    found = getattr(model, "autoencoder", model)
    return found if isinstance(found, Autoencoder) else None


@torch.no_grad()
def code_scores(model: Autoencoder, real: Batch) -> dict[str, float]:
    """``active_units``, ``code_mmd``, ``blur``, ``hit_count_bias`` and, of a density, more.

    Where the posterior is a distribution ``information`` is I(x; z); where events have a
    likelihood, ``bound_1`` and ``bound_16`` are their mean importance-weighted bounds in nats.

    Args:
        model: In evaluation mode.
        real: Clouds of the validation split, on the CPU.
    """
    some = pc.select(real, slice(0, EVENTS))
    if not some.num_graphs:
        return {}
    device, draw = next(model.parameters()).device, torch.Generator().manual_seed(0)
    blocks = [pc.select(some, rows).to(device) for rows in ranges(some.num_graphs, BLOCK)]
    both = [model.latent.posterior(model.features(block)) for block in blocks]
    mean, log_variance = (torch.cat(side).double().cpu() for side in zip(*both, strict=True))
    # Codes without a prior have no unit of their own.
    unit = 1.0 if model.latent.has_prior else float(mean.var(0).mean().sqrt()) or 1.0
    scores: dict[str, float] = {"active_units": codes.active_units(mean / unit)}
    if model.latent.has_density:
        scores["information"] = codes.mutual_information(mean, log_variance, draw)
    if model.latent.has_prior and len(mean) > 1:
        spread = (0.5 * log_variance).exp()
        noise = torch.randn(mean.shape, generator=draw, dtype=mean.dtype)
        prior = model.latent.sample(len(mean), draw).to(mean)
        scores["code_mmd"] = float(mmd(mean + spread * noise, prior))
    if model.has_bound:
        for number in (1, CODES):
            bounds = [model.log_likelihood(block, number, draw) for block in blocks]
            scores[f"bound_{number}"] = float(torch.cat(bounds).mean())
    few = pc.select(some, slice(0, PAIRS))
    again = model.reconstruct(few.to(device), draw).to("cpu")
    return scores | _reconstructed(model, few, again)


def _reconstructed(model: Autoencoder, real: Batch, again: Batch) -> dict[str, float]:
    """``blur`` and ``hit_count_bias``; of cells where the model has cells."""
    if isinstance(model.representation, Sites):
        real, again = (model.representation.prepared(side) for side in (real, again))
        again = pc.select_points(again, again.weight > 0)
    counts = pc.sizes(real), pc.sizes(again)
    scores = {"hit_count_bias": codes.hit_count_bias(*counts), "blur": math.nan}
    filled = ((counts[0] > 0) & (counts[1] > 0)).nonzero().flatten()
    if len(filled) > 1:
        distance = chamfer_distance(model.schema.periods)
        positions = (pc.select(side, filled) for side in (real, again))
        apart = [
            pairwise(distance, pc.make(side.pos.double(), pc.sizes(side))) for side in positions
        ]
        scores["blur"] = codes.blur(*apart)
    return scores
