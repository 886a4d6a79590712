"""Achlioptas et al. 2018, and what followed: which generators of shapes come nearer to the truth.

One number for each model, 1-NN accuracy (50 % is the truth, 100 % is told apart at once), on test
shapes of two classes of primitives (:mod:`pcgen.datasets.shapes`) of 64 points. The GAN of points
has 400 steps, which take somewhat longer than the 1500 of the autoencoder and those of any prior
over its codes (:data:`STEPS`) together. Networks and optimisers are those of the recipes shapes-*.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.datasets.shapes import SHAPES, generate, to_clouds
from pcgen.metrics.distances import chamfer_distance, earth_mover_bound, earth_mover_distance
from pcgen.metrics.pairs import pairwise
from pcgen.metrics.scores.neighbours import neighbour_scores, neighbour_scores_of_distances
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.latent import LatentModel
from pcgen.recipes import shapes
from pcgen.tools.claims.claim import Claim
from pcgen.training import Optimiser

CLASSES = ("cone", "torus")
TRAIN, TEST, POINTS, BATCH, CODE = 400, 100, 64, 32, 32
STEPS = {"r-GAN": 400, "autoencoder": 1500, "l-GAN": 3000, "mixture": 1, "flow": 2000}
"""Written down with the thresholds, before the first run."""


@functools.cache
def scores(seed: int, quick: bool) -> dict[str, float]:
    """1-NN accuracy of each model under Chamfer and earth mover's distance, of one seed."""
    points, held = (16, 8) if quick else (POINTS, TEST)
    number = held + (16 if quick else TRAIN)
    clouds, rows = primitives(seed, number, points), torch.arange(number)
    train, test = pc.select(clouds, rows[held:]), pc.select(clouds, rows[:held])
    torch.manual_seed(seed)
    found: dict[str, float] = {}
    size: dict[str, Any] = {"list_length": POINTS, "latent_dim": CODE, "schema": SHAPES.to_dict()}
    steps = dict.fromkeys(STEPS, 2) if quick else STEPS
    gan = shapes.shapes_gan(**size)
    fit(gan.phases(), train, steps["r-GAN"], seed)
    found |= judged("r-GAN", gan, test, seed)
    priors: dict[str, Callable[..., LatentModel]] = {
        "l-GAN": shapes.shapes_latent_gan,
        "mixture": shapes.shapes_latent_mixture,
        "flow": shapes.shapes_latent_flow,
    }
    first: LatentModel | None = None
    for name, build in priors.items():
        model = build(**size)
        if first is None:
            fit(model.autoencoder.phases(), train, steps["autoencoder"], seed)
            first = model
        model.autoencoder.load_state_dict(first.autoencoder.state_dict())
        after = len(model.autoencoder.phases())
        fit(model.phases()[after:], train, steps[name], seed)
        found |= judged(name, model, test, seed)
    return found | accuracies("truth", test, primitives(seed + 1000, held, points))


def primitives(seed: int, number: int, points: int) -> Batch:
    """So many shapes of :data:`CLASSES`, in turn."""
    return to_clouds(generate(seed, 0, number, CLASSES, points, "upright"))


def fit(phases: Sequence[Phase], clouds: Batch, steps: int, seed: int) -> None:
    """Phases in turn on random batches, as the loop of pcgen trains them, without a folder."""
    random, number = torch.Generator().manual_seed(seed), clouds.num_graphs
    for phase in phases:
        if phase.prepare is not None:
            with torch.no_grad():
                phase.prepare(iter([clouds]))
    learning = [phase for phase in phases if phase.loss is not None]
    optimisers = []
    for phase in learning:
        options = Optimiser(**{"schedule": "constant", **(phase.optimiser or {"lr": 1e-3})})
        optimisers.append(torch.optim.Adam(phase.parameters(), options.lr, betas=options.betas))
    for step in range(steps if learning else 0):
        for phase, optimiser in zip(learning, optimisers, strict=True):
            if phase.progress is not None:
                phase.progress(step / steps)
            for _ in range(phase.repeat):
                batch = pc.select(clouds, torch.randint(number, (BATCH,), generator=random))
                assert phase.loss is not None
                loss = torch.stack(list(phase.loss(batch).values())).sum()
                optimiser.zero_grad()
                loss.backward(inputs=phase.parameters())
                optimiser.step()
                if phase.after is not None:
                    phase.after()


def judged(name: str, model: GenerativeModel, test: Batch, seed: int) -> dict[str, float]:
    """Scores of as many shapes as the test has, of the same classes."""
    model.eval()
    draw = torch.Generator().manual_seed(seed)
    generated = model.sample(pc.sizes(test), label=test.label, generator=draw)
    return accuracies(name, test, generated)


def accuracies(name: str, real: Batch, generated: Batch) -> dict[str, float]:
    """``NAME CD`` and ``NAME EMD``, 1-NN accuracies in percent."""
    real, generated = (pc.make(side.pos, pc.sizes(side)) for side in (real, generated))
    distance = chamfer_distance()
    among = [pairwise(distance, side) for side in (real, generated)]
    chamfer = neighbour_scores_of_distances(pairwise(distance, real, generated), *among)
    mover = neighbour_scores(real, generated, earth_mover_distance(), earth_mover_bound)
    return {f"{name} CD": 100 * chamfer.accuracy, f"{name} EMD": 100 * mover.accuracy}


def gap(worse: str, better: str, distance: str) -> Callable[[Sequence[int], bool], list[float]]:
    """By how many percent the accuracy of one model is above that of another."""

    def measure(seeds: Sequence[int], quick: bool) -> list[float]:
        runs: Iterator[dict[str, float]] = (scores(seed, quick) for seed in seeds)
        return [run[f"{worse} {distance}"] - run[f"{better} {distance}"] for run in runs]

    return measure


def from_half(name: str, distance: str) -> Callable[[Sequence[int], bool], list[float]]:
    """How far the accuracy of a model is from 50 %."""

    def measure(seeds: Sequence[int], quick: bool) -> list[float]:
        return [abs(scores(seed, quick)[f"{name} {distance}"] - 50.0) for seed in seeds]

    return measure


CLAIMS = (
    Claim("shapes", "1-NNA (CD) of r-GAN minus that of l-GAN, percent",
          "1707.02392; 1906.12320, table 1", "15 (chair), 11 (airplane), 28 (car)",
          gap("r-GAN", "l-GAN", "CD"), 10, above=True),
    Claim("shapes", "1-NNA (EMD) of r-GAN minus that of l-GAN, percent",
          "1707.02392; 1906.12320, table 1", "16 (chair), 3 (airplane), 10 (car)",
          gap("r-GAN", "l-GAN", "EMD"), 3, above=True),
    Claim("shapes", "1-NNA (CD) of l-GAN minus that of a mixture over the same codes, percent",
          "1707.02392, abstract", "the mixture is best overall",
          gap("l-GAN", "mixture", "CD"), 2, above=True),
    Claim("shapes", "1-NNA (CD) of l-GAN minus that of a flow over the same codes, percent",
          "1906.12320, table 1 (PointFlow)", "6 (chair)",
          gap("l-GAN", "flow", "CD"), 2, above=True),
    Claim("shapes", "1-NNA (EMD) of l-GAN minus that of a flow over the same codes, percent",
          "1906.12320, table 1 (PointFlow)", "23 (chair)",
          gap("l-GAN", "flow", "EMD"), 2, above=True),
    Claim("shapes", "distance of 1-NNA (CD) from 50 percent, of true shapes",
          "1906.12320, section 5.1", "0", from_half("truth", "CD"), 6),
)  # fmt: skip
