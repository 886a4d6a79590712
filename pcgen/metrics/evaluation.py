"""How good is a generator? Scores, always beside the real-vs-real floor at the same sizes.

A protocol fixes which scores, of how many events, how often. The real events are cut at random
into two disjoint parts A and B; a score compares events of A with generated ones, its floor events
of A with events of B, as many. A perfect generator scores the floor, not zero; a permutation
test gives the probability of such a score for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import DataError
from pcgen.metrics.comparison import Comparison
from pcgen.metrics.pairs import Workers
from pcgen.metrics.protocol import Drawing, Part, Protocol
from pcgen.metrics.protocols import pcgen
from pcgen.metrics.scores.neighbours import Neighbourhood
from pcgen.schema import Schema


@dataclass(frozen=True)
class Score:
    """One score with its floor.

    Attributes:
        name: What is compared and how, for example ``"W1 mass"``.
        unit: Unit of value and floor.
        value: Real against generated, mean over the batches.
        error: Standard deviation over the batches.
        floor: Real against real at the same sizes, mean.
        floor_error: Its standard deviation.
        p: Permutation p-value; None where no test was requested or the score is not defined.
        events: Events on each side of one batch.
        batches: Times that the score was taken.
    """

    name: str
    unit: str
    value: float
    error: float
    floor: float
    floor_error: float
    p: float | None
    events: int
    batches: int

    @property
    def z(self) -> float:
        """(score - floor) / σ, σ of the difference; 0 is perfect.

        Infinite, with the sign of the difference, where score and floor differ and neither varies.
        """
        difference = self.value - self.floor
        spread = math.hypot(self.error, self.floor_error)
        if spread == 0:
            return math.copysign(math.inf, difference) if difference else 0.0
        return difference / spread


@dataclass(frozen=True)
class Evaluation:
    """Scores of one generated set and what they were computed on.

    Attributes:
        protocol: Name of the protocol.
        scores: The scores, in the order of the table.
        events: Real and generated events that there were.
        seed: Seed of everything random.
        permutations: Cuts of a permutation test.
        broken: Numbers of the real and of the generated events that hold NaN or infinite values;
            they are left out, and nothing stands in for them.
        weightless: Real and generated events without any weight, left out of the scores over pairs.
        undefined: Scores that some sample does not have, one without points for example.
        needed: Of scores that are not defined because events are too few: generated events, and
            half of the real ones, that each needs.
    """

    protocol: str
    scores: tuple[Score, ...]
    events: tuple[int, int]
    seed: int
    permutations: int
    broken: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    weightless: tuple[int, int] = (0, 0)
    undefined: tuple[str, ...] = ()
    needed: Mapping[str, int] = field(default_factory=dict)

    @property
    def not_defined(self) -> tuple[str, ...]:
        """Phrases that name all scores that are not defined, and the reason if it is a number."""
        others = [name for name in self.undefined if name not in self.needed]
        phrases = [f"not defined: {', '.join(others)}"] if others else []
        for need in dict.fromkeys(self.needed.values()):
            names = ", ".join(name for name, number in self.needed.items() if number == need)
            reason = f"too few events, {2 * need} real and {need} generated needed"
            phrases.append(f"{names} not defined: {reason}")
        return tuple(phrases)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON (see :func:`json_values`); each score has its ``z`` too."""
        scores = [{**asdict(score), "z": score.z} for score in self.scores]
        values: dict[str, Any] = json_values({**asdict(self), "scores": scores})
        return values


def json_values(value: Any) -> Any:
    """Nested dictionaries and lists in which JSON has a word for every number.

    JSON has no infinity and no NaN: they become ``"inf"``, ``"-inf"`` and ``"nan"``, which
    ``float`` reads back.

    >>> json_values({"z": [-math.inf, 1.5]})
    {'z': ['-inf', 1.5]}
    """
    if isinstance(value, dict):
        return {key: json_values(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_values(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def evaluate(
    real: Batch,
    generated: Batch,
    schema: Schema,
    *,
    protocol: Protocol | None = None,
    permutations: int = 200,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    workers: Workers | None = None,
) -> Evaluation:
    """Compare generated events with real ones.

    Args:
        real: Real events that no model has seen (the test split).
        generated: Generated events, in the same units.
        schema: What the numbers mean.
        protocol: Which scores, of how many events; :func:`pcgen.metrics.protocols.pcgen` by
            default.
        permutations: Cuts of the permutation tests; 0 leaves them out.
        seed: Seed of everything random.
        progress: Called with the fraction done.
        workers: Who computes the distances of scores over all pairs; None: this process.

    Raises:
        ArgumentError: attributes do not fit the schema, or the schema not the protocol.
        DataError: events of another kind or fewer than the protocol needs, or negative weights.
    """
    protocol = pcgen(schema) if protocol is None else protocol
    protocol.requires(schema)
    broken = tuple(_broken(side) for side in (real, generated))
    whole = [whole_events(side) for side in (real, generated)]
    for side in whole:
        pc.check(side, len(schema.axes))
    counts = (whole[0].num_graphs, whole[1].num_graphs)
    protocol.check(*counts)
    # First: a cut that looks at a condition must do so on both sides or on none.
    prepared = [protocol.prepare(_only_shared(side, whole), schema) for side in whole]
    empty = [int((pc.total(side) <= 0).sum()) for side in prepared]
    pool = pc.concat(prepared)
    scores: list[Score] = []
    undefined: list[str] = []
    needed: dict[str, int] = {}
    for k, part in enumerate(protocol.parts):
        generator = torch.Generator().manual_seed(seed + k)
        comparison = part.build(pool, schema)
        if isinstance(comparison, Neighbourhood):
            comparison = comparison.by(workers)
        found = _scores(comparison, part, counts[0], permutations, generator)
        scores += [score for score in found if _defined(score)]
        undefined += [score.name for score in found if not _defined(score)]
        needed |= {
            score.name: measure.need
            for score, measure in zip(found, comparison.measures, strict=True)
            if score.events < measure.need
        }
        if progress is not None:
            progress((k + 1) / len(protocol.parts))
    return Evaluation(
        protocol.name,
        tuple(scores),
        counts,
        seed,
        permutations,
        broken=(_numbers(broken[0]), _numbers(broken[1])),
        weightless=(empty[0], empty[1]),
        undefined=tuple(undefined),
        needed=needed,
    )


def whole_events(clouds: Batch) -> Batch:
    """The clouds all of whose values are finite."""
    return pc.select(clouds, ~_broken(clouds))


def _broken(clouds: Batch) -> Tensor:
    """Which events hold a value that is not finite [B]."""
    bad = torch.zeros(clouds.num_graphs, dtype=torch.bool, device=clouds.ptr.device)
    for name, value in pc.attributes(clouds).items():
        wrong = ~torch.isfinite(value if value.dim() == 2 else value[:, None]).all(1)
        bad[clouds.batch[wrong] if name in pc.POINT_ATTRIBUTES else wrong.nonzero().flatten()] = (
            True
        )
    return bad


def _numbers(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero().flatten().tolist())


def _only_shared(clouds: Batch, sides: list[Batch]) -> Batch:
    """Without the attributes that only one side has, a label for example."""
    names = [set(pc.attributes(side)) for side in sides]
    return pc.replace(clouds, **dict.fromkeys((names[0] ^ names[1]) & set(pc.attributes(clouds))))


def _scores(
    comparison: Comparison, part: Part, real: int, permutations: int, generator: torch.Generator
) -> list[Score]:
    """The scores of one part of a protocol."""
    draws = Draws(comparison.usable, real, generator)
    batches = draws.batches(part.draw, part.events, part.batches)
    # Score and floor of a batch stand side by side: they share the events of A.
    first = torch.stack([batches.a, batches.a], 1).flatten(0, 1)
    second = torch.stack([batches.generated, batches.b], 1).flatten(0, 1)
    values = comparison.compare(first, second).view(len(comparison.measures), -1, 2)
    p: list[float | None] = [None] * len(values)
    if permutations:
        pair = draws.pair(min(draws.largest, part.tested))
        found = comparison.p_values(*pair, permutations, generator).tolist()
        p = [None if math.isnan(value) else value for value in found]
    rows = zip(comparison.measures, values.mean(1).tolist(), values.std(1).tolist(), p, strict=True)
    return [
        Score(
            measure.name,
            measure.unit,
            *(mean[0], error[0], mean[1], error[1]),
            p=chance,
            events=batches.a.shape[1],
            batches=part.batches,
        )
        for measure, mean, error, chance in rows
    ]


def _defined(score: Score) -> bool:
    return math.isfinite(score.value) and math.isfinite(score.floor)


class Drawn(NamedTuple):
    """Events of P batches, as numbers in the pool, [P, n] each.

    Attributes:
        a: Real events, which score and floor have in common.
        b: Other real events, for the floor.
        generated: Generated events, for the score.
    """

    a: Tensor
    b: Tensor
    generated: Tensor


class Draws:
    """Draws from a pool whose first events are real and whose others are generated.

    Args:
        usable: Which events of the pool may be drawn [N], bool.
        real: Number of real events in the pool.
        generator: Where the choice comes from.

    Raises:
        DataError: fewer than four real or two generated events are usable.
    """

    def __init__(self, usable: Tensor, real: int, generator: torch.Generator) -> None:
        number = torch.arange(len(usable))
        self._real = number[:real][usable[:real]]
        self._generated = number[real:][usable[real:]]
        self._generator = generator
        self.largest = min(len(self._real) // 2, len(self._generated))
        if self.largest < 2:
            raise DataError(
                f"events: got {len(self._real)} real and {len(self._generated)} generated that "
                "can be compared, expected at least 4 and 2"
            )

    def batches(self, how: Drawing, events: int | None, number: int) -> Drawn:
        """Draw batches as :class:`~pcgen.metrics.protocol.Part` describes.

        Args:
            how: Halvings, disjoint or resampled.
            events: Events on each side of a batch; None, or more than there are of an event each:
                as many as there are.
            number: Batches.
        """
        if how == "resampled":
            return self._resampled(self.largest if events is None else events, number)
        fakes = self._shuffled(self._generated)
        largest = self.largest
        if how == "disjoint":
            largest = min(largest, len(fakes) // number)
        size = largest if events is None else min(events, largest)
        rows = []
        for k in range(number):
            order = self._shuffled(self._real)
            if how == "halvings":
                chosen = self._shuffled(fakes)[:size]
            else:
                chosen = fakes[k * size : (k + 1) * size]
            rows.append((order[:size], order[size : 2 * size], chosen))
        return _stacked(rows)

    def _resampled(self, events: int, number: int) -> Drawn:
        order = self._shuffled(self._real)
        half = len(order) // 2
        sides = (order[:half], order[half:], self._generated)
        rows = []
        for _ in range(number):
            picks = (torch.randint(len(s), (events,), generator=self._generator) for s in sides)
            rows.append(tuple(side[pick] for side, pick in zip(sides, picks, strict=True)))
        return _stacked(rows)

    def pair(self, events: int) -> tuple[Tensor, Tensor]:
        """Real and generated events [n] each, every one once."""
        return self._shuffled(self._real)[:events], self._shuffled(self._generated)[:events]

    def _shuffled(self, events: Tensor) -> Tensor:
        return events[torch.randperm(len(events), generator=self._generator)]


def _stacked(rows: Sequence[tuple[Tensor, ...]]) -> Drawn:
    a, b, generated = (torch.stack(column) for column in zip(*rows, strict=True))
    return Drawn(a, b, generated)
