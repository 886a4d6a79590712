r"""How near a model under training is to the validation split: what its checkpoint is chosen by.

Where points carry a weight, the score is the mean W1 of the observables of the events in units of
their σ, or of their size where they do not vary, as those of one event. Clouds without weights
(shapes) have a single observable, their number of points, which is often constant; their score is
that of Chamfer distances d,

    |1-NNA - 1/2| + MMD / floor + W1(number of points) / σ,

with MMD the mean over real clouds of d to the nearest generated one, and the floor the mean d of a
real cloud to the nearest other real one (definitions: docs/metrics.md). A plain autoencoder cannot
be sampled: its clouds are reconstructions, and without weights the score is their mean d to the
originals over the floor. The score of a classifier is its cross entropy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen import escaping
from pcgen.datasets.loading import CloudDataset
from pcgen.errors import DataError
from pcgen.grids import Grid
from pcgen.images import snap
from pcgen.metrics import observables, pairwise, whole_events
from pcgen.metrics.distances import chamfer_distance
from pcgen.metrics.scores import neighbour_scores_of_distances, wasserstein1
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.base import GenerativeModel
from pcgen.models.blocks import like, ranges, sample_in_blocks
from pcgen.models.classifier import Classifier
from pcgen.models.hybrid import Hybrid
from pcgen.ops.points import wrap
from pcgen.ops.segments import segment_circular_mean
from pcgen.schema import Schema
from pcgen.tools.code_scores import autoencoder_of, code_scores

_BLOCK = 500  # clouds that are drawn at a time
CLOUDS, POINTS = 100, 128
"""Most clouds on each side, and points of each, of Chamfer distances between all pairs."""
SAMPLED = 10_000
"""Events of the training split in which points are counted that a grid loses."""


@dataclass(frozen=True)
class Validation:
    """Distances between real clouds and clouds drawn for their conditions.

    Attributes:
        real: Clouds of the validation split, in memory.
        grid: Cells that both sides are put into before they are compared, without what lies outside
            of them and without generated clouds that are not finite; None compares them as they
            are.
    """

    real: Batch
    grid: Grid | None = None

    def __call__(self, model: GenerativeModel) -> dict[str, float]:
        """W1 of each observable in its own unit, and ``score``; without weights Chamfer scores too.

        Of autoencoders also what codes carry, see :mod:`pcgen.tools.code_scores`.

        All of it is a function of model and clouds: the randomness has a fixed seed.
        """
        if isinstance(model, Classifier):
            return classification_score(model, self.real)
        generated, schema = self._placed(self._generate(model)), model.schema
        real = self._placed(self.real)
        scores, relative = self._accuracy(model), []
        others = observables(generated, schema)
        for quantity, values in observables(real, schema).items():
            distance = wasserstein1(values, others[quantity], period=quantity.period).item()
            scores[f"w1_{quantity.name}"] = distance
            relative.append(distance / _scale(values, quantity.period))
        codec = autoencoder_of(model)
        if codec is not None:
            scores |= code_scores(codec, self.real)
        if schema.weight is not None:
            return {"score": sum(relative) / len(relative), **scores}
        if not model.can_sample:
            chamfer = reconstruction_score(real, generated, schema)
        else:
            chamfer = shape_score(real, generated, schema)
        return {"score": chamfer.pop("score") + sum(relative), **chamfer, **scores}

    def _accuracy(self, model: GenerativeModel) -> dict[str, float]:
        """``accuracy`` of a model that classifies too."""
        if not isinstance(model, Hybrid) or not self.real.num_graphs:
            return {}
        return {"accuracy": model.accuracy(self.real.to(next(model.parameters()).device))}

    def labels(self, schema: Schema) -> dict[str, str]:
        """What the columns of the log mean, with units, for plots."""
        labels = {
            "validation/score": "score: mean $W_1$ [$\\sigma$]",
            "validation/error": "share of wrong classes",
        }
        if schema.weight is None:
            labels = {
                "validation/score": "score of Chamfer distances",
                "validation/1nna_cd": "1-NNA (Chamfer)",
                "validation/mmd_cd": "MMD (Chamfer) / floor",
                "validation/reconstruction_cd": "reconstruction (Chamfer) / floor",
            }
        labels |= {
            "validation/active_units": "active units of the code",
            "validation/information": "$I(x; z)$ [nats]",
            "validation/code_mmd": "MMD² of codes and prior",
            "validation/bound_1": "bound on log p [nats]",
            "validation/bound_16": "bound on log p, 16 codes [nats]",
            "validation/blur": "blur of reconstructions",
            "validation/hit_count_bias": "bias of the number of hits",
        }
        labels["validation/accuracy"] = "accuracy"
        for quantity in observables(self.real, schema):
            labels[f"validation/w1_{quantity.name}"] = f"$W_1$ of {escaping.label(quantity)}"
        return labels

    def _placed(self, clouds: Batch) -> Batch:
        """Clouds as they are compared."""
        if self.grid is None:
            return clouds
        return snap(whole_events(clouds), self.grid, outside="drop")

    def _generate(self, model: GenerativeModel) -> Batch:
        return generated_like(model, self.real, torch.Generator().manual_seed(0), _BLOCK)


def classification_score(model: Classifier, clouds: Batch) -> dict[str, float]:
    """Cross entropy in nats as ``score``, and the share of wrong classes as ``error``.

    Raises:
        DataError: the clouds have no classes.
    """
    label = clouds.get("label")
    if label is None:
        raise DataError("label: got clouds without classes, expected a class of each")
    probability = model.probabilities(clouds, block=_BLOCK)
    least = torch.finfo(probability.dtype).tiny
    own = probability.gather(1, label[:, None]).clamp(min=least)
    wrong = (probability.argmax(1) != label).double().mean().item()
    return {"score": -own.log().mean().item(), "error": wrong}


def generated_like(
    model: GenerativeModel, clouds: Batch, generator: torch.Generator, block: int
) -> Batch:
    """A cloud for each of some: drawn for its condition and class, or its reconstruction.

    Args:
        model: Trained. One that can be sampled draws; a plain autoencoder reconstructs.
        clouds: B clouds.
        generator: Source of all randomness.
        block: Clouds that are generated at a time.
    """
    if not isinstance(model, Autoencoder) or model.can_sample:
        request = like(clouds)
        if model.context_schema is None:
            request = request._replace(context=None)
        return pc.concat(sample_in_blocks(model, request, block, lambda number: generator))
    device = next(model.parameters()).device
    return pc.concat(
        model.reconstruct(pc.select(clouds, rows).to(device), generator).to("cpu")
        for rows in ranges(clouds.num_graphs, block)
    )


def shape_score(real: Batch, generated: Batch, schema: Schema) -> dict[str, float]:
    """``1nna_cd``, ``mmd_cd`` (over the floor) and their ``score`` of clouds without weights.

    At most :data:`CLOUDS` clouds of each side, from all over it, and :data:`POINTS` points of each
    are compared; empty clouds have no distance and are left out. Infinite where fewer than two
    clouds of a side have points.
    """
    real, generated = (_thinned(side) for side in (real, generated))
    if min(real.num_graphs, generated.num_graphs) < 2:
        return {"score": math.inf, "1nna_cd": 1.0, "mmd_cd": math.inf}
    distance = chamfer_distance(schema.periods)
    between = pairwise(distance, real, generated)
    among = [pairwise(distance, side) for side in (real, generated)]
    found = neighbour_scores_of_distances(between, *among)
    accuracy, mmd = found.accuracy, found.mmd / _floor(among[0])
    return {"score": abs(accuracy - 0.5) + mmd, "1nna_cd": accuracy, "mmd_cd": mmd}


def reconstruction_score(real: Batch, reconstructed: Batch, schema: Schema) -> dict[str, float]:
    """``reconstruction_cd`` and the same as ``score``: Chamfer distance to the originals / floor.

    At most :data:`CLOUDS` pairs are compared; those that are empty on a side are left out.
    """
    both = ((pc.sizes(real) > 0) & (pc.sizes(reconstructed) > 0)).nonzero().flatten()
    some = _thinned(real)
    if not len(both) or some.num_graphs < 2:
        return {"score": math.inf, "reconstruction_cd": math.inf}
    distance = chamfer_distance(schema.periods)
    rows = both[_all_over(len(both), CLOUDS)]
    pair = (_positions(pc.select(side, rows)) for side in (real, reconstructed))
    value = distance(*pair).mean().item() / _floor(pairwise(distance, some))
    return {"score": value, "reconstruction_cd": value}


def generates_layers(model: GenerativeModel) -> bool:
    """Whether the clouds of a model have the layers that its schema names."""
    from pcgen.models.representations import Layered, Sites

    see = getattr(model, "representation", None)
    return isinstance(see, Layered | Sites) or getattr(see, "contexts", None) is not None


def lost_layers(model: GenerativeModel, schema: Schema) -> str:
    """One line where the clouds have layers and the model generates none."""
    if not schema.layers or generates_layers(model):
        return ""
    return (
        f"the layers of the points ({', '.join(schema.layers)}) are left out: a model of points "
        "generates none; recipes showers-*, image-* and sites-* keep them"
    )


def lost_points(model: GenerativeModel, clouds: CloudDataset) -> str:
    """One line on what the cells of a model lose of its training clouds; empty where nothing.

    Points outside are counted in at most :data:`SAMPLED` events from all over the data set.

    Raises:
        DataError: all points are outside.
    """
    from pcgen.models.representations import Sites

    representation = getattr(model, "representation", None)
    if not isinstance(representation, Sites):
        return ""
    some, cells = clouds.gather(_all_over(len(clouds), SAMPLED)), representation.lattice.name
    lost = representation.loss_of(some)
    if lost.points == 1.0:
        low, high = some.pos.amin(0).tolist(), some.pos.amax(0).tolist()
        spans = zip(model.schema.axes, low, high, strict=True)
        raise DataError(
            f"{cells}: got all {len(some.pos)} points of {some.num_graphs} events outside, "
            "expected cells of the clouds, which extend over "
            + ", ".join(f"{axis.name} {first:.4g} to {last:.4g}" for axis, first, last in spans)
        )
    if not lost.points:
        return ""
    return (
        f"outside the {cells} and lost: {lost.points:.2g} of the points, {lost.weight:.2g} of "
        f"the {model.schema.weight.name if model.schema.weight else 'weight'}"
    )


def _thinned(clouds: Batch) -> Batch:
    """At most CLOUDS clouds with points, at random POINTS points of each."""
    filled = (pc.sizes(clouds) > 0).nonzero().flatten()
    some = _positions(pc.select(clouds, filled[_all_over(len(filled), CLOUDS)]))
    key = torch.rand(len(some.pos), generator=torch.Generator().manual_seed(0))
    return pc.select_points(some, pc.ranks(some, key) < POINTS)


def _positions(clouds: Batch) -> Batch:
    """Positions alone, in the precision that all clouds share here."""
    return pc.make(clouds.pos.double(), pc.sizes(clouds))


def _all_over(number: int, most: int) -> Tensor:
    """At most so many of 0 to number - 1, evenly spaced: files may be sorted."""
    return torch.linspace(0, number - 1, min(most, number), dtype=torch.float64).round().long()


def _floor(among: Tensor) -> float:
    """Mean distance to the nearest other cloud, from all distances [R, R]; 1 if it is 0."""
    nearest = among.clone().fill_diagonal_(math.inf).min(1).values.mean().item()
    return nearest if nearest > 0 else 1.0


def _scale(values: Tensor, period: float | None) -> float:
    """σ of an observable; its size, as a share of which errors count, where it does not vary.

    One event has no σ: its observables do not vary.
    """
    if period is not None:
        ones, ptr = torch.ones_like(values), torch.tensor([0, len(values)])
        values = wrap(values - segment_circular_mean(values, ones, ptr, period), period)
    size = values.abs().mean().item()
    spread = values.std().item() if len(values) > 1 else 0.0
    # Rounding leaves a spread of 1e-7 to sums in float32.
    return spread if spread > 1e-6 * size else size or 1.0
