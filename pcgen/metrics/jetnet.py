r"""W1M, W1P and W1EFP: Wasserstein-1 distances of jets, resampled as JetNet does.

From each side ``events`` jets are drawn with replacement, W1 is taken of the jet masses (W1M), of
the η, φ and p_T of all their particles (W1P), or of the five energy-flow polynomials of four
vertices and four edges (W1EFP), and this is repeated. The result is the mean over the repetitions;
the error is their standard deviation, divided by the number and not by one less.

Kansal et al., "Particle cloud generation with message passing generative adversarial networks",
NeurIPS 2021, arXiv 2106.11535, who draw 10,000 jets; jetnet 0.2.5 draws 50,000. The
draws are those of jetnet for a generator seeded alike (jetnet's own is not). The papers report the
mean of the three numbers of W1P and of the five of W1EFP. None is 0 for two sets of one
distribution: a score means something beside that of two real sets of the same size.

Coordinates are relative to the jet and weights are p_T / p_T of the jet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.comparisons.comparison import Measure
from pcgen.metrics.comparisons.marginals import Column, Marginals
from pcgen.metrics.energyflow import energy_flow_polynomials, w1efp_graphs
from pcgen.metrics.estimate import Estimate
from pcgen.metrics.observables import mass


def w1m(
    real: Batch, generated: Batch, *, events: int = 50_000, batches: int = 5, seed: int = 0
) -> Estimate:
    """W1 of the masses of jets.

    Args:
        real: Jets with axes (η, φ) and weights p_T.
        generated: Jets alike.
        events: Jets drawn from each side.
        batches: Repetitions.
        seed: Seed of the draws.

    Raises:
        ArgumentError: a side has no jets, or nothing is to be drawn.
        DataError: a value is not finite, naming the jet.
    """
    masses = [mass(_checked(side))[:, None] for side in (real, generated)]
    return _of_events(masses, events, batches, seed)[0]


def w1efp(
    real: Batch, generated: Batch, *, events: int = 50_000, batches: int = 5, seed: int = 0
) -> tuple[Estimate, ...]:
    """W1 of each of the five polynomials of :func:`~pcgen.metrics.energyflow.w1efp_graphs`.

    The arguments are those of :func:`w1m`.
    """
    graphs = w1efp_graphs()
    efps = [energy_flow_polynomials(_checked(side), graphs) for side in (real, generated)]
    return _of_events(efps, events, batches, seed)


def w1p(
    real: Batch, generated: Batch, *, events: int = 50_000, batches: int = 5, seed: int = 0
) -> tuple[Estimate, Estimate, Estimate]:
    """W1 of η, φ and p_T of the particles of all jets, those of no weight at (0, 0) left out.

    The arguments are those of :func:`w1m`. NaN where a side has no particles.
    """
    features, owners = [], []
    for side in (real, generated):
        rows = torch.cat([_checked(side).pos[:, :2], pc.weights(side)[:, None]], 1).double()
        present = (rows != 0).any(1)
        features.append(rows[present])
        owners.append(side.batch[present])
    sizes = (real.num_graphs, generated.num_graphs)
    eta, phi, pt = _resampled(features, owners, sizes, events, batches, seed)
    return eta, phi, pt


def _checked(jets: Batch) -> Batch:
    if jets.pos.shape[1] < 2:
        raise ArgumentError(f"jets: got {jets.pos.shape[1]} axes, expected η and φ at least")
    return pc.check(jets)


def _of_events(
    features: Sequence[Tensor], events: int, batches: int, seed: int
) -> tuple[Estimate, ...]:
    """W1 of each column of the jets' features [N, K] and [M, K]."""
    owners = [torch.arange(len(side), device=side.device) for side in features]
    sizes = (len(features[0]), len(features[1]))
    return _resampled(features, owners, sizes, events, batches, seed)


def _resampled(
    features: Sequence[Tensor],
    owners: Sequence[Tensor],
    sizes: tuple[int, int],
    events: int,
    batches: int,
    seed: int,
) -> tuple[Estimate, ...]:
    """W1 of each column of two sets of rows that belong to jets, over batches of jets."""
    if min(sizes) < 1 or events < 1 or batches < 1:
        raise ArgumentError(
            f"jets, events, batches: got {sizes}, {events}, {batches}, expected at least 1 of each"
        )
    rows, owner = torch.cat(list(features)), torch.cat([owners[0], owners[1] + sizes[0]])
    columns = [Column(Measure(str(k)), value, owner) for k, value in enumerate(rows.T)]
    rng = np.random.default_rng(seed)
    drawn = [
        [torch.from_numpy(rng.integers(n, size=events)) for n in sizes] for _ in range(batches)
    ]
    a, b = (torch.stack(side) for side in zip(*drawn, strict=True))
    values = Marginals(columns, sum(sizes)).compare(a, b + sizes[0])
    means, errors = values.mean(1).tolist(), values.std(1, correction=0).tolist()
    return tuple(Estimate(mean, error) for mean, error in zip(means, errors, strict=True))
