"""What a penalty costs: a step of a GAN with each of them beside the same step without.

A step is what ``pcgen train`` does for a batch of the shipped jets: the critic's loss, backward and
AdamW, then the generator's. Seconds of the processor, medians of the repeats, in which all take
turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.optim import AdamW
from torch_geometric.data import Batch

from pcgen.datasets.jets import sample_jets
from pcgen.models.base import Phase
from pcgen.recipes import image_gan, points_gan, sites_gan
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import Limits
from pcgen.tools.benchmarks.sampling import one_thread

GRID = "eta_rel:-0.4:0.4:24,phi_rel:-0.4:0.4:24"
BATCH, PARTICLES = 64, 30
RECIPES: dict[str, tuple[Callable[..., Any], dict[str, Any], tuple[str, ...]]] = {
    "points-gan": (points_gan, {}, ("r1", "r2", "r1-r2", "roth", "dragan")),
    "image-gan": (
        image_gan,
        {"grid": GRID, "network": "gated", "channels": 8},
        ("r1", "r2", "r1-r2", "roth", "dragan", "wgan-gp"),
    ),
    "sites-gan": (sites_gan, {"grid": GRID, "channels": 8}, ("r1",)),
}
"""Recipe, its options, and the penalties that its events have a meaning for."""

Step = Callable[[], None]


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """One table: milliseconds of a step, and how many times those without a penalty."""
    number = 4 if quick else BATCH
    jets = sample_jets("train", max_points=PARTICLES)
    clouds, rows = jets.read(0, number), []
    with one_thread():
        for name, (recipe, options, penalties) in RECIPES.items():
            models = {each: recipe(**options, regulariser=each) for each in ("none", *penalties)}
            steps = {each: _step(model, clouds) for each, model in models.items()}
            for penalty, seconds, ratio in _in_turns(steps, limits):
                report(f"{name}, {penalty}: {ratio:.2f}")
                rows.append([name, penalty, md.number(1e3 * seconds), f"{ratio:.2f}"])
    return "\n\n".join(
        [
            "## Games",
            f"A step of critic and generator with each penalty, batches of {number} jets of up to "
            f"{PARTICLES} particles, images of 24 x 24 cells, one thread. The ratio is to the same "
            "recipe without a penalty.",
            md.table(["recipe", "penalty", "ms a step", "over none"], rows),
        ]
    )


def _in_turns(steps: dict[str, Step], limits: Limits) -> Iterator[tuple[str, float, float]]:
    """Penalty, median seconds, and the median ratio to the turn's step without a penalty."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for repeat in range(max(limits.repeats, 1)):
        if repeat and time.monotonic() > limits.deadline:
            break
        for name, step in steps.items():
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
    for name, found in times.items():
        ratios = [mine / plain for mine, plain in zip(found, times["none"], strict=True)]
        yield name, statistics.median(found), statistics.median(ratios)


def _step(model: Any, clouds: Batch) -> Step:
    """One step of each phase that learns, of a model whose units are fitted to the batch."""
    phases = list(model.phases())
    for phase in phases:
        if phase.prepare is not None:
            phase.prepare([clouds])
    learning = [phase for phase in phases if phase.loss is not None]
    optimisers = [AdamW(list(phase.parameters()), lr=1e-5) for phase in learning]

    def step() -> None:
        for phase, optimiser in zip(learning, optimisers, strict=True):
            optimiser.zero_grad()
            _sum(phase, clouds).backward(inputs=list(phase.parameters()))
            optimiser.step()

    return step


def _sum(phase: Phase, clouds: Batch) -> Tensor:
    assert phase.loss is not None
    terms = list(phase.loss(clouds).values())
    return sum(terms[1:], terms[0])
