r"""How good are answers? A conditional generator beside the truth of each input.

N answers to each of B inputs are judged by what their truths are
(:mod:`~pcgen.metrics.scores.conditional`): the energy score of all observables together and of each
alone, and of the clouds by the earth mover's distance, with the nearest of the N; calibration and
coverage; response and resolution against the input.

**Beside them** stand the *mean*, which answers every input by the mean of all truths, and the
*copy*, which answers with the input itself. **Floors** are what a perfect generator scores: those
of repeated responses of the detector to the same inputs, where there are some. Without them one
answer takes the place of the truth, and the others answer: what a generator would score if it were
right, by its own belief; coverage and calibration have the floor of B uniform ranks. The floor of
response and resolution is that of the truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.distances import earth_mover_distance
from pcgen.metrics.evaluation import Evaluation, Score, whole_events
from pcgen.metrics.features import observables
from pcgen.metrics.scores.conditional import (
    bin_edges,
    coverage,
    energy_score,
    energy_score_of_distances,
    miscalibration,
    ranks,
    ratios,
)
from pcgen.ops.points import wrap
from pcgen.schema import Quantity, Schema

LEVEL = 0.68
BINS = 3
MOST = 10
"""Answers to an input of which earth mover's distances are computed, at most."""
_RESPONSE = ("pt", "mass", "multiplicity")


class Found(NamedTuple):
    """One number with its standard error and unit."""

    value: float
    error: float
    unit: str = ""


@dataclass(frozen=True)
class Inputs:
    """What answers are compared with.

    Attributes:
        truth: B clouds.
        schema: Of truth and answers.
        context: What they were generated from, B clouds; None leaves response and copy out.
        context_schema: Of the contexts.
        subset: Inputs of earth mover's distances; 0 leaves them out.
        seed: Of ties and of the choice of those inputs.
    """

    truth: Batch
    schema: Schema
    context: Batch | None = None
    context_schema: Schema | None = None
    subset: int = 100
    seed: int = 0


def evaluate_answers(
    inputs: Inputs, answers: Batch, number: int, *, responses: Batch | None = None, name: str
) -> dict[str, Evaluation]:
    """Scores of answers, of the mean and of the copy, by name, beside their floors.

    Args:
        inputs: The truths.
        answers: ``number`` to each input, one after the other.
        number: N.
        responses: Repeated responses to each input, likewise, as many to each.
        name: Of the answers.

    Raises:
        ArgumentError: answers or responses are not as many to each input.
        DataError: fewer than two inputs, or an event holds NaN.
    """
    total = inputs.truth.num_graphs
    if total < 2:
        raise DataError(f"events: got {total} truths, expected at least 2")
    given = {"answers": (answers, number)}
    if responses is not None:
        given["responses"] = (responses, responses.num_graphs // total)
    for what, (clouds, each) in given.items():
        if each < 1 or clouds.num_graphs != total * each:
            raise ArgumentError(
                f"{what}: got {clouds.num_graphs} events, expected {each or 'some'} for each of "
                f"the {total} truths"
            )
        if whole_events(clouds).num_graphs < clouds.num_graphs:
            raise DataError(f"{what}: got events with NaN or infinite values, expected finite ones")
    truth = observables(inputs.truth, inputs.schema)
    sides = {what: _Side.of(clouds, each, truth, inputs) for what, (clouds, each) in given.items()}
    floors = _floors(inputs, truth, sides["answers"], sides.get("responses"))
    columns = {name: sides["answers"], "mean": _mean(truth, total)}
    if (copied := _copy(inputs, truth)) is not None:
        columns["copy"] = copied
    return {
        column: _evaluation(_scores(inputs, truth, side), floors, total, side.number, inputs.seed)
        for column, side in columns.items()
    }


@dataclass(frozen=True)
class _Side:
    """Answers as they are scored: values of observables [B, N], and the clouds."""

    values: Mapping[Quantity, Tensor]
    number: int
    clouds: Batch | None = None

    @classmethod
    def of(
        cls, clouds: Batch, number: int, truth: Mapping[Quantity, Tensor], inputs: Inputs
    ) -> _Side:
        found = observables(clouds, inputs.schema)
        values = {q: found[q].view(-1, number) for q in truth}
        return cls({q: _near(v, truth[q], q) for q, v in values.items()}, number, clouds)


def _near(values: Tensor, truth: Tensor, quantity: Quantity) -> Tensor:
    """Values [B, N], a periodic one in the turn of its truth [B]."""
    if quantity.period is None:
        return values
    return truth[:, None] + wrap(values - truth[:, None], quantity.period)


def _mean(truth: Mapping[Quantity, Tensor], total: int) -> _Side:
    return _Side({q: v.mean().expand(total, 1) for q, v in truth.items()}, 1)


def _copy(inputs: Inputs, truth: Mapping[Quantity, Tensor]) -> _Side | None:
    """The context as the answer, where it has the same observables."""
    if inputs.context is None or inputs.context_schema is None:
        return None
    same = inputs.schema.difference(inputs.context_schema, of=["axes", "weight"]) is None
    found = observables(inputs.context, inputs.context_schema)
    if not same or not set(truth) <= set(found):
        return None
    values = {q: _near(found[q][:, None], truth[q], q) for q in truth}
    return _Side(values, 1, inputs.context)


def _scores(inputs: Inputs, truth: Mapping[Quantity, Tensor], side: _Side) -> dict[str, Found]:
    """Every score of answers to inputs, by name."""
    rows: dict[str, Found] = {}
    together: tuple[list[Tensor], list[Tensor]] = ([], [])
    for quantity, true in truth.items():
        scale = float(true.std())
        if scale <= 1e-9 * float(true.abs().max()):
            continue  # nothing to answer
        values = side.values[quantity]
        together[0].append(true / scale)
        together[1].append(values / scale)
        alone = energy_score(true[:, None], values[..., None])
        rows[f"energy score {quantity.name}"] = _average(alone, quantity.unit)
    if together[0]:
        joint = energy_score(torch.stack(together[0], 1), torch.stack(together[1], 2))
        rows = {"energy score": _average(joint, "σ"), **rows}
    rows |= _of_clouds(inputs, side)
    if side.number > 1:
        for quantity, true in truth.items():
            rank = ranks(true, side.values[quantity], _random(inputs.seed))
            name, inside = quantity.name, coverage(rank, LEVEL).double()
            rows[f"coverage {100 * LEVEL:.0f} % {name}"] = _average(inside)
            error = _bootstrap(rank, inputs.seed)
            rows[f"miscalibration {name}"] = Found(miscalibration(rank), error)
    return rows | _responses(inputs, side.values)


def _of_clouds(inputs: Inputs, side: _Side) -> dict[str, Found]:
    """Earth mover's distances of some inputs, all of whose clouds have weight."""
    if side.clouds is None or not inputs.subset:
        return {}
    number, most = side.number, min(side.number, MOST)
    filled = (pc.total(side.clouds).view(-1, number)[:, :most] > 0).all(1)
    filled &= pc.total(inputs.truth) > 0
    order = torch.randperm(len(filled), generator=_random(inputs.seed))
    chosen = order[filled[order]][: inputs.subset]
    if not len(chosen):
        return {}
    distance = earth_mover_distance(inputs.schema.periods)
    rows = (chosen[:, None] * number + torch.arange(most)).flatten()
    made = pc.select(_plain(side.clouds), rows)
    true = pc.select(_plain(inputs.truth), chosen.repeat_interleave(most))
    to_truth = distance(made, true).view(-1, most).double()
    among = to_truth.new_zeros(len(chosen), most, most)
    first, second = torch.triu_indices(most, most, 1).unbind(0)
    if len(first):
        base = torch.arange(len(chosen))[:, None] * most
        pair = (pc.select(made, (base + each).flatten()) for each in (first, second))
        apart = distance(*pair).view(len(chosen), -1).double()
        among[:, first, second] = among[:, second, first] = apart
    unit = inputs.schema.axes[0].unit
    return {
        "energy score EMD": _average(energy_score_of_distances(to_truth, among), unit),
        "nearest answer EMD": _average(to_truth.min(1).values, unit),
    }


def _plain(clouds: Batch) -> Batch:
    """Positions and weights alone, in double precision."""
    weight = clouds.get("weight")
    return pc.make(
        clouds.pos.double(), pc.sizes(clouds), weight=None if weight is None else weight.double()
    )


def _responses(inputs: Inputs, values: Mapping[Quantity, Tensor]) -> dict[str, Found]:
    """Response and resolution of what inputs and answers both have, in bins of the input."""
    if inputs.context is None or inputs.context_schema is None:
        return {}
    rows: dict[str, Found] = {}
    for quantity, reference in observables(inputs.context, inputs.context_schema).items():
        name = quantity.name
        chosen = name in _RESPONSE or name.startswith("total_")
        if not chosen or quantity not in values or not bool((reference > 0).any()):
            continue
        edges = bin_edges(reference, BINS)
        found = ratios(reference, values[quantity], edges)
        for k, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
            place = f"{name} {low:.4g} to {high:.4g} {quantity.unit}".strip()
            rows[f"response {place}"] = Found(float(found.mean[k]), float(found.mean_error[k]))
            rows[f"resolution {place}"] = Found(
                float(found.spread[k]), float(found.spread_error[k])
            )
    return rows


def _floors(
    inputs: Inputs, truth: Mapping[Quantity, Tensor], answers: _Side, repeats: _Side | None
) -> dict[str, Found]:
    """What a perfect generator scores, by name of the score."""
    total = inputs.truth.num_graphs
    of_truth = _responses(inputs, {q: v[:, None] for q, v in truth.items()})
    if repeats is not None:
        return _scores(inputs, truth, repeats) | of_truth
    floors: dict[str, Found] = {}
    if answers.number > 2 and answers.clouds is not None:
        number = answers.number
        rows = torch.arange(total * number).view(-1, number)
        first, others = rows[:, 0], rows[:, 1:].flatten()
        believed = Inputs(
            pc.select(answers.clouds, first), inputs.schema, subset=inputs.subset, seed=inputs.seed
        )
        values = observables(believed.truth, inputs.schema)
        side = _Side.of(pc.select(answers.clouds, others), number - 1, values, believed)
        scores = _scores(believed, values, side)
        floors = {name: found for name, found in scores.items() if name.startswith("energy score")}
    uniform = torch.rand(200, total, generator=_random(inputs.seed), dtype=torch.float64)
    chance = torch.tensor([miscalibration(rank) for rank in uniform])
    binomial = math.sqrt(LEVEL * (1 - LEVEL) / total)
    for quantity in truth:
        floors[f"coverage {100 * LEVEL:.0f} % {quantity.name}"] = Found(LEVEL, binomial)
        floors[f"miscalibration {quantity.name}"] = Found(float(chance.mean()), float(chance.std()))
    return floors | of_truth


def _evaluation(
    found: Mapping[str, Found], floors: Mapping[str, Found], total: int, number: int, seed: int
) -> Evaluation:
    missing = Found(math.nan, math.nan)
    scores = []
    for name, (value, error, unit) in found.items():
        floor = floors.get(name, missing)
        numbers = (value, error, floor.value, floor.error)
        scores.append(Score(name, unit, *numbers, p=None, events=total, batches=1))
    return Evaluation("conditional", tuple(scores), (total, total * number), seed, 0)


def _average(values: Tensor, unit: str = "") -> Found:
    values = values.double()
    error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Found(float(values.mean()), error, unit)


def _bootstrap(rank: Tensor, seed: int, times: int = 50) -> float:
    generator = _random(seed + 1)
    picks = torch.randint(len(rank), (times, len(rank)), generator=generator)
    return float(torch.tensor([miscalibration(rank[pick]) for pick in picks]).std())


def _random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
