r"""Two sets of events on one footing become numbers.

W1 is given in units of the real σ, but for the response Σ p_T / p_T(jet): real jets conserve it, so
its σ is no scale, and W1 is its absolute error. ``score`` is the mean of the five relative W1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen import metrics
from pcgen.grids import Grid
from pcgen.metrics.jets.kinematics import girth, leading_fraction, mass
from pcgen.schema import Schema

HARDEST = 128
"""Points of each event that distances between events and substructure are computed of, on both
sides alike: a network that floods its image would take all the time there is."""


def distances(real: Batch, generated: Batch) -> dict[str, float]:
    """W1 over σ of five quantities, ``w1_mass`` to ``w1_log_pt``, and their mean, ``score``.

    NaN where no event has a point.
    """
    pairs = zip(_quantities(real).items(), _quantities(generated).values(), strict=True)
    found = {f"w1_{name}": _relative(a, b) for (name, a), b in pairs}
    return {**found, "score": sum(found.values()) / len(found)}


def judge(
    real: Batch, generated: Batch, grid: Grid, schema: Schema, *, neighbours: int, seed: int
) -> dict[str, float]:
    """Every score of generated events; both sides are on the grid already.

    Args:
        real: R events.
        generated: Of the same conditions, or at least the same distribution of them.
        grid: Its cells are those of occupancy and mean image.
        schema: What the numbers mean.
        neighbours: Events on each side of the 1-NN accuracy, at most.
        seed: Of the classifier.
    """
    cells = math.prod(grid.shape)
    occupied = [pc.sizes(side).double() / cells for side in (real, generated)]
    return {
        **distances(real, generated),
        "total_error": _response_error(real, generated, schema),
        "occupancy_real": occupied[0].mean().item(),
        "occupancy": occupied[1].mean().item(),
        "w1_occupancy": metrics.scores.wasserstein1(*occupied).item(),
        "jsd": metrics.scores.jensen_shannon(
            *(_mean_image(side, grid) for side in (real, generated))
        ).item(),
        "nn_accuracy": _nn_accuracy(real, generated, schema, neighbours),
        "auc": metrics.scores.classifier_test(
            *(_features(side, schema) for side in (real, generated)), seed=seed
        ).auc,
        "empty": (pc.sizes(generated) == 0).double().mean().item(),
    }


def _quantities(clouds: Batch) -> dict[str, Tensor]:
    weight = pc.weights(clouds).double()
    return {
        "mass": mass(clouds),
        "girth": girth(clouds),
        "leading": leading_fraction(clouds),
        "multiplicity": pc.sizes(clouds).double(),
        "log_pt": weight[weight > 0].log(),
    }


def _relative(real: Tensor, generated: Tensor) -> float:
    if not len(real) or not len(generated):
        return math.nan
    return metrics.scores.wasserstein1(real, generated).item() / max(real.std().item(), 1e-12)


def _response_error(real: Batch, generated: Batch, schema: Schema) -> float:
    """W1 of Σ p_T over the jet's p_T, or over the mean real Σ p_T where that is not known."""
    unit = schema.weight.unit if schema.weight else ""
    columns = [k for k, quantity in enumerate(schema.condition) if quantity.unit == unit]
    totals = [pc.total(side).double() for side in (real, generated)]
    scales = [totals[0].mean()] * 2
    if columns and real.get("y") is not None:
        scales = [side.y[:, columns[0]].double() for side in (real, generated)]
    first, second = (t / s for t, s in zip(totals, scales, strict=True))
    return metrics.scores.wasserstein1(first, second).item()


def _mean_image(clouds: Batch, grid: Grid) -> Tensor:
    """Sum of all events in each cell [cells], without an image of each."""
    cell = grid.locate(clouds.pos).cell
    row = cell[:, 0] * grid.shape[1] + cell[:, 1]
    image = torch.zeros(math.prod(grid.shape), dtype=torch.float64)
    return image.index_add(0, row, pc.weights(clouds).double())


def _nn_accuracy(real: Batch, generated: Batch, schema: Schema, number: int) -> float:
    """1-NN accuracy under the earth mover's distance, of events that have a point; NaN for none."""
    sides = []
    for side in (real, generated):
        # Particles have no cell, and both sides need the same attributes.
        side = pc.replace(side, cell=None)
        side = pc.heaviest(pc.select(side, pc.total(side) > 0), HARDEST)
        sides.append(pc.select(side, slice(0, number)))
    number = min(side.num_graphs for side in sides)
    if number < 1:
        return math.nan
    first, second = (pc.select(side, slice(0, number)) for side in sides)
    periods = tuple(axis.period for axis in schema.axes)
    distance = metrics.distances.earth_mover_distance(periods)

    def bound(clouds: Batch) -> Tensor:
        return metrics.distances.earth_mover_bound(clouds, periods)

    return metrics.scores.neighbour_scores(first, second, distance, bound).accuracy


def _features(clouds: Batch, schema: Schema) -> Tensor:
    """What the classifier sees of each event [B, F]."""
    hard = pc.heaviest(clouds, HARDEST)
    values = {
        **metrics.observables(clouds, schema),
        **metrics.jets.substructure(hard, schema),
    }
    return torch.stack([value.double() for value in values.values()], 1)
