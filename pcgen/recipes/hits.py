"""Recipes of hit patterns: which cells of a grid are active (docs/chains.md).

As in :mod:`pcgen.recipes.points`, torch is imported inside the functions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from pcgen.errors import at_least
from pcgen.recipes.glossary import described

if TYPE_CHECKING:
    from pcgen.models.wake_sleep import HelmholtzMachine


@described
def hits_wake_sleep(
    grid: str | None = None,
    latent_dim: int = 32,
    layers: int = 2,
    importance_samples: int = 1,
    update: Literal["sleep", "wake", "both"] | None = None,
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> HelmholtzMachine:
    """Helmholtz machine of hit patterns, learnt by wake-sleep, conditional on class and y.

    Args:
        latent_dim: Binary units of each hidden layer.
        layers: Hidden layers.
        importance_samples: Codes of each event in the wake phase; more than one is reweighted
            wake-sleep.
        update: On what the recognition networks learn: sleep (events of the model; the default),
            wake (weighted codes of the data) or both, the default of several importance samples.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default. What points
            carry is not looked at, and may be nothing.

    Raises:
        ArgumentError: no grid of the schema's axes, points with further features, or an update that
            needs more importance samples.
    """
    from pcgen.models.wake_sleep import HelmholtzMachine
    from pcgen.nn import MLP
    from pcgen.recipes import assembly

    if update is None:
        update = "sleep" if importance_samples == 1 else "both"
    hits = assembly.hits(grid, schema, calorimeter)
    at_least(1, latent_dim=latent_dim, layers=layers, importance_samples=importance_samples)

    def linear(beside: int, out: int) -> MLP:
        return MLP(beside, [], out, condition_channels=hits.condition_channels)

    width = [hits.cells, *[latent_dim] * layers]
    return HelmholtzMachine(
        hits,
        [linear(*pair) for pair in zip([*width[1:], 1], width, strict=True)],
        [linear(*pair) for pair in pairwise(width)],
        codes=importance_samples,
        update=update,
    )
