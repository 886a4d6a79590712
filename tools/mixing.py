"""How fast the chain of a model forgets where it was: what ``pcgen sample`` says of it."""

from __future__ import annotations

import math

import torch

from pcgen.metrics import observables
from pcgen.models.base import GenerativeModel
from pcgen.models.chain import Mixing
from pcgen.models.request import Request
from pcgen.ops.mixing import LENGTHS, autocorrelation, autocorrelation_time

CHAINS = 16
"""Chains that are looked at."""
LONGER = 5
"""Their length behind the burn-in, in lengths of the burn-in."""


def times(
    model: Mixing, steps: int, chains: int = CHAINS, generator: torch.Generator | None = None
) -> dict[str, float]:
    """Integrated autocorrelation time of each observable in steps, behind the burn-in.

    Infinite where the chain is too short to tell; what does not change along a chain, the number of
    points say, is left out.

    Args:
        model: Samples by a homogeneous chain.
        steps: Steps that are looked at.
        chains: Number of chains, each of a cloud of its own.
        generator: Source of all randomness.
    """
    schema = model.schema if isinstance(model, GenerativeModel) else None
    assert schema is not None
    series: dict[str, list[torch.Tensor]] = {}
    states = model.states(Request(chains), model.burn_in + steps, generator)
    for number, clouds in enumerate(states):
        if number < model.burn_in:
            continue
        for quantity, values in observables(clouds.to("cpu"), schema).items():
            series.setdefault(quantity.name, []).append(values)
    found = {}
    for name, rows in series.items():
        table = torch.stack(rows)
        if not bool(table.isfinite().all()):
            found[name] = math.inf
        elif bool((autocorrelation(table) < 1.0).any()):
            found[name] = autocorrelation_time(table)
    return found


def report(model: GenerativeModel, seed: int) -> str:
    """One line on a model that samples by a chain; empty for others.

    Args:
        model: Trained.
        seed: Of the chains.
    """
    if not isinstance(model, Mixing) or not model.homogeneous:
        return ""
    steps = LONGER * model.burn_in
    found = times(model, steps, generator=torch.Generator().manual_seed(seed))
    most = steps / LENGTHS
    texts = [
        f"{name} {value:.1f}" if value < math.inf else f"{name} more than {most:.3g}"
        for name, value in found.items()
    ]
    remedy = "" if max(found.values(), default=0.0) < math.inf else "; too few for what is slower"
    return (
        f"chain: burn-in of {model.burn_in} steps{remedy}; autocorrelation times in steps: "
        f"{', '.join(texts) or 'nothing varies'} (of {CHAINS} chains of {steps} steps)"
    )
