"""Jets per second, latency and training steps: ragged networks beside the same ones padded.

All run on one thread, on the numbers of particles of the shipped jets. A padded network computes
as many rows for each jet as the longest may have; its parameters are copies of the ragged one's.
Times are seconds of the processor, which others on the machine lengthen less than the clock;
ragged and padded take turns, and the median of the repeats counts. A ratio is that of the medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.datasets.jets import sample_jets
from pcgen.io import JETS
from pcgen.models.paths import UNIFORM, Paths
from pcgen.models.representations import Points
from pcgen.nn import EPiCField, Noise, SetDecoder
from pcgen.ops.ode import Integrator
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import MOMENT, Limits
from pcgen.tools.benchmarks.padded import (
    HIDDEN,
    PaddedEPiCField,
    PaddedMessages,
    PaddedSetDecoder,
    Pairs,
    RaggedMessages,
    twin,
)

LONGEST = (30, 150)
"""Most particles of a jet: the hardest so many, and the length to which the others are padded."""

CHANNELS, STEPS, CODE, NOISE = 3, 20, 10, 3
"""Numbers of a particle; steps of the midpoint rule; noise of a jet and of a particle."""

Call = Callable[[], Tensor]


class Jets(NamedTuple):
    """Random numbers for jets of real lengths: ragged [N, C] and padded [B, n, C].

    Attributes:
        sizes: Particles of each jet [B].
        values: [N, C].
        condition: [B, K].
        present: Whether a row of the padded form is a particle [B, n].
    """

    sizes: Tensor
    values: Tensor
    condition: Tensor
    present: Tensor

    def padded(self) -> tuple[Tensor, Tensor]:
        """Values [B, n, C] and mask [B, n, 1]."""
        dense = self.values.new_zeros(*self.present.shape, self.values.shape[1])
        dense[self.present] = self.values
        return dense, self.present[..., None].to(dense)


class Sides(NamedTuple):
    """What is timed on the same jets: points [N, C] of each, ragged first, and the parameters."""

    calls: tuple[Call, Call]
    networks: tuple[nn.Module, nn.Module]


Contest = Callable[[Jets], Sides]


def lengths(number: int, longest: int) -> Tensor:
    """Particles of as many of the shipped jets, from all over the file: all classes alike."""
    every = sample_jets("test").sizes()
    chosen = torch.linspace(0, len(every) - 1, number, dtype=torch.float64).round().long()
    return every[chosen].clamp(max=longest)


def jets_of(sizes: Tensor, longest: int, channels: int, condition: int) -> Jets:
    """Random numbers for jets of these lengths [B]."""
    generator, number = torch.Generator().manual_seed(0), len(sizes)
    values = torch.randn(int(sizes.sum()), channels, generator=generator)
    known = torch.randn(number, condition, generator=generator)
    return Jets(sizes, values, known, torch.arange(longest) < sizes[:, None])


def field_sides(ours: EPiCField) -> Callable[[Jets], Sides]:
    """A velocity at random times of each jet."""
    padded = twin(PaddedEPiCField(ours), ours)

    def sides(jets: Jets) -> Sides:
        time = torch.rand(len(jets.sizes), generator=torch.Generator().manual_seed(1))
        event, (dense, mask) = _event(jets), jets.padded()
        return Sides(
            (
                lambda: ours(event, time, jets.condition),
                lambda: padded(dense, mask, time, jets.condition)[jets.present],
            ),
            (ours, padded),
        )

    return sides


def flow_sides(ours: EPiCField, steps: int) -> Callable[[Jets], Sides]:
    """Whole trajectories by the midpoint rule: what ``sample`` does between noise and points."""
    padded = twin(PaddedEPiCField(ours), ours)
    solver = Integrator(steps=steps)
    paths = Paths(Points(JETS), UNIFORM, None, solver)

    def sides(jets: Jets) -> Sides:
        event, (dense, mask) = _event(jets), jets.padded()

        def velocity(x: Tensor, moment: float) -> Tensor:
            return padded(x, mask, x.new_full((len(x),), moment), jets.condition)

        def ragged() -> Tensor:
            return paths.representation.values(paths.follow(ours, event, jets.condition))

        return Sides((ragged, lambda: solver(velocity, dense)[jets.present]), (ours, padded))

    return sides


def generator_sides(ours: SetDecoder) -> Callable[[Jets], Sides]:
    """One evaluation of a generator of EPiC layers."""
    padded = twin(PaddedSetDecoder(ours), ours)

    def sides(jets: Jets) -> Sides:
        dense, mask = jets.padded()
        code, y = jets.condition.split([ours.code_channels, ours.condition_channels], 1)

        def ragged() -> Tensor:
            clouds = ours.decode(code, cl.make(jets.values, jets.sizes), y)
            return torch.cat([clouds.pos, clouds.x], 1)

        return Sides((ragged, lambda: padded(dense, mask, code, y)[jets.present]), (ours, padded))

    return sides


def message_sides(ours: RaggedMessages) -> Callable[[Jets], Sides]:
    """Two rounds of MPGAN's messages."""
    padded = twin(PaddedMessages(), ours)

    def sides(jets: Jets) -> Sides:
        dense, mask = jets.padded()
        return Sides(
            (
                lambda: ours(jets.values, Pairs(jets.sizes)),
                lambda: padded(dense, mask)[jets.present],
            ),
            (ours, padded),
        )

    return sides


def _event(jets: Jets) -> Batch:
    return cl.make(jets.values[:, :2], jets.sizes, x=jets.values[:, 2:])


class Case(NamedTuple):
    """One network and its jets.

    Attributes:
        name: In the table.
        sampled: What one sample of jets takes.
        learnt: What one step of a training differentiates.
        channels: Columns of its noise, and of the condition of a jet.
        batch: Jets of a sample and of a training step.
    """

    name: str
    sampled: Contest
    learnt: Contest
    channels: tuple[int, int]
    batch: int


def cases(quick: bool) -> list[Case]:
    """EPiC-FM, a generator of EPiC layers, and MPGAN, in the sizes that were published."""
    hidden, layers, steps, batch = (8, 1, 2, 2) if quick else (128, 6, STEPS, 128)
    known = len(JETS.condition) + len(JETS.labels) + 1
    torch.manual_seed(0)
    field = EPiCField(
        CHANNELS, condition_channels=known, hidden=hidden, global_channels=10, layers=layers
    )
    decoder = SetDecoder(
        CODE, 2, CHANNELS - 2, condition_channels=known, hidden=hidden, global_channels=10,
        start=Noise(NOISE), layers=layers,
    )  # fmt: skip
    generator, messages = generator_sides(decoder), message_sides(RaggedMessages())
    return [
        Case(
            f"EPiC-FM, {hidden} x {layers}, {2 * steps} evaluations",
            flow_sides(field, steps), field_sides(field), (CHANNELS, known), batch,
        ),
        Case(
            f"EPiC generator, {hidden} x {layers}",
            generator, generator, (NOISE, CODE + known), batch,
        ),
        Case("MPGAN messages", messages, messages, (HIDDEN, 0), min(batch, 16)),
    ]  # fmt: skip


class Measured(NamedTuple):
    """Seconds of the processor, medians, ragged and padded."""

    ragged: float
    padded: float

    @property
    def ratio(self) -> float:
        """How many times as long the padded form takes."""
        return self.padded / self.ragged


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """One table: throughput, latency and training of each network."""
    contests, rows = cases(quick), []
    with one_thread():
        for case in contests:
            for longest in LONGEST:
                rows += list(_rows(case, longest, limits, report))
    batches = ", ".join(f"{case.name.partition(',')[0]} {case.batch}" for case in contests)
    head = ["", "particles", "", "ragged", "padded", "padded / ragged"]
    return "\n\n".join(
        [
            "## Sampling",
            "Ragged networks of pcgen beside the same networks on clouds that are padded to the "
            "longest, with masks, in the form and the sizes of the papers ([EPiC-FM]"
            "(https://arxiv.org/abs/2310.00049), [EPiC-GAN](https://arxiv.org/abs/2301.08128), "
            "[MPGAN](https://arxiv.org/abs/2106.11535)); their parameters are copies, and the "
            "numbers they give the same. *30*: the 30 hardest particles of the shipped jets; "
            "*150*: up to 150. One thread; jets per second of the processor, milliseconds for one "
            "jet of the median length, steps of a training (forward, backward, AdamW; batches of "
            f"{batches}) per second. Medians of the repeats, in which the two take turns.",
            md.table(head, rows),
        ]
    )


def _rows(
    case: Case, longest: int, limits: Limits, report: Callable[[str], None]
) -> Iterator[list[str]]:
    sizes = lengths(case.batch, longest)
    jets = jets_of(sizes, longest, *case.channels)
    one = jets_of(sizes.median()[None], longest, *case.channels)
    sampled = measured(case.sampled(jets), limits, learn=False)
    latency = measured(case.sampled(one), limits, learn=False)
    learnt = measured(case.learnt(jets), limits, learn=True)
    mean = f"{longest} (mean {sizes.double().mean().item():.1f})"
    number = case.batch
    for what, found, show in (
        ("jets/s", sampled, lambda seconds: number / seconds),
        ("ms for one jet", latency, lambda seconds: 1e3 * seconds),
        ("steps/s", learnt, lambda seconds: 1 / seconds),
    ):
        report(f"{case.name}, {longest}, {what}: {found.ratio:.3g}")
        values = (md.number(show(found.ragged)), md.number(show(found.padded)))
        yield [case.name, mean, what, *values, f"{found.ratio:.2f}"]


def measured(sides: Sides, limits: Limits, *, learn: bool) -> Measured:
    """Medians of both sides, in turns; with ``learn`` of a step of a training.

    Each side is called before, so that nothing is loaded or allocated for the first time; a short
    one is called several times in a row, for a moment.
    """
    calls = [_step(*each) if learn else each[0] for each in zip(*sides, strict=True)]
    times: tuple[list[float], list[float]] = ([], [])
    with torch.set_grad_enabled(learn):
        first = [_seconds(call, 2) for call in calls]
        row = [max(round(MOMENT / max(seconds, 1e-6)), 1) for seconds in first]
        for repeat in range(max(limits.repeats, 1)):
            if repeat and time.monotonic() > limits.deadline:
                break
            for call, number, found in zip(calls, row, times, strict=True):
                found.append(_seconds(call, number))
    return Measured(*map(statistics.median, times))


def _seconds(call: Call, number: int) -> float:
    """Of the processor for one of so many calls."""
    start = time.process_time()
    for _ in range(number):
        call()
    return (time.process_time() - start) / number


def _step(call: Call, network: nn.Module) -> Call:
    """A step of AdamW on the mean square of what is computed."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-6)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = call().square().mean()
        loss.backward()
        optimiser.step()
        return loss

    return step


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside, as many as before outside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
