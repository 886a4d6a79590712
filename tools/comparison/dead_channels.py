"""What dead channels cost: networks trained at one density of them and tested at others.

After Uhrig et al., "Sparsity invariant CNNs", arXiv:1708.06500, table 1, on jets. Each cell of an
image is dead in an event with some probability, independently of what it would have shown. From the
cells that are left, networks infer girth and log(mass / p_T) of the *whole* jet, in units of their
standard deviations. Both are ratios of sums over particles, so a random part of a jet gives them
without bias, however small it is: what grows as cells die is the noise, and whatever a network does
wrong with cells that it was not shown. A sum, the jet's energy say, would have to be guessed from
the number of dead cells first, which is another question.

The error is the mean absolute error over both numbers. Training draws new dead cells at every step;
all networks are tested with the same ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.datasets.jets import SAMPLE
from pcgen.datasets.loading import open_clouds
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image
from pcgen.metrics.jets.kinematics import girth, mass, transverse_momentum
from pcgen.nn import EPiCEncoder, ImageEncoder, ObservedReading, SiteReading
from pcgen.tools.comparison.curves import has_converged

PERCENTAGES = range(0, 80, 10)
"""Of dead cells, at which networks are tested."""
HALFWIDTH = 0.4
"""The grid spans that much on both sides of the axis, in eta and phi."""
TARGETS = 2
_CURVE = 8  # points of a learning curve
_SMALLEST = 1e-3  # mass / p_T below which a jet is one particle
_TIMED = 5  # steps that are thrown away to learn what one takes


@dataclass(frozen=True)
class Jets:
    """Images of jets in which no cell is dead, and what is to be inferred from them.

    Attributes:
        image: log(1 + p_T / 1 GeV) of each cell, or of whatever unit the file has [B, R, R].
        target: girth and log(mass / p_T), of mean 0 and variance 1 in the training split [B, 2].
    """

    image: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def first(self, number: int) -> Jets:
        """At most so many of them."""
        return Jets(self.image[:number], self.target[:number])


@dataclass(frozen=True)
class Network:
    """A network and how it is shown an image with dead cells.

    Attributes:
        build: From the shape of the image.
        show: What the network is called with, from an image [B, R, R] in which dead cells are 0,
            and which cells are alive [B, R, R].
    """

    build: Callable[[tuple[int, int]], nn.Module]
    show: Callable[[Tensor, Tensor], Mapping[str, Any]]

    def predict(self, network: nn.Module, image: Tensor, alive: Tensor) -> Tensor:
        """Both numbers of each jet [B, 2]; what dead cells hold does not matter."""
        seen: Tensor = network(**self.show(torch.where(alive, image, 0), alive))
        return seen


def _zeros(image: Tensor, alive: Tensor) -> dict[str, Any]:
    return {"event": image[:, None]}


def _with_mask(image: Tensor, alive: Tensor) -> dict[str, Any]:
    return {"event": torch.stack([image, alive.to(image.dtype)], 1)}


def _observed(image: Tensor, alive: Tensor) -> dict[str, Any]:
    return {"event": image[:, None], "observed": alive}


def _active(image: Tensor) -> Batch:
    """The cells that are not empty, at places from -1 to 1 along each axis."""
    where = image.nonzero()
    place = (2 * where[:, 1:] + 1).to(image.dtype) / image.shape[1] - 1
    sizes = torch.bincount(where[:, 0], minlength=len(image))
    return pc.make(place, sizes, x=image[tuple(where.T)][:, None], cell=where[:, 1:])


NETWORKS = {
    "image": Network(lambda shape: ImageEncoder(shape, TARGETS), _zeros),
    "image-mask": Network(lambda shape: ImageEncoder(shape, TARGETS, in_channels=2), _with_mask),
    "image-observed": Network(
        lambda shape: ImageEncoder(shape, TARGETS, ObservedReading(density=False)), _observed
    ),
    "image-density": Network(
        lambda shape: ImageEncoder(shape, TARGETS, ObservedReading()), _observed
    ),
    "sites": Network(
        lambda shape: ImageEncoder(shape, TARGETS, SiteReading()),
        lambda image, _: {"event": _active(image)},
    ),
    "epic": Network(
        lambda _: EPiCEncoder(3, TARGETS, hidden=64), lambda image, _: {"clouds": _active(image)}
    ),
}
"""Dead cells are zeros; zeros, and a channel marks which; not there; the same, and each layer sees
how many are not; inactive; without a point."""


def run(
    network: str,
    resolution: int,
    seed: int,
    *,
    budget: float = 25.0,
    steps: int | None = None,
    dead: int = 30,
    data: Sequence[str | Path] = (SAMPLE,),
    batch_size: int = 64,
    events: int = 1000,
) -> dict[str, Any]:
    """Train a network with some dead cells and test it with fewer and more.

    Args:
        network: One of :data:`NETWORKS`.
        resolution: Cells R along each axis.
        seed: Of weights, batches and dead cells of the training.
        budget: CPU-seconds of training, unless ``steps`` gives its length.
        steps: Length of the training.
        dead: Percentage of dead cells in training.
        data: Files of jets.
        batch_size: Jets of a step.
        events: Jets of the test, and of half as many of the validation.

    Returns:
        ``mae_00``, ..., ``mae_70`` by percentage of dead cells, ``guess_mae`` of always guessing
        the mean of the training, ``curve`` of the validation error, ``converged``, and what the
        training took.

    Raises:
        ArgumentError: an unknown network, or a number is out of range.
    """
    _check(network, dead, budget, steps=1 if steps is None else steps, batch_size=batch_size)
    if events < 2:
        raise ArgumentError(f"events: got {events}, expected at least 2")
    train, validation, test = load(data, resolution)
    validation, test = validation.first(events // 2), test.first(events)
    trial = Trial(NETWORKS[network], train, validation, dead, batch_size, seed)
    steps = trial.affordable(budget) if steps is None else steps
    model, curve = trial.train(steps)
    errors = {f"mae_{p:02d}": trial.error(model, test, p) for p in PERCENTAGES}
    return {
        "status": "done" if math.isfinite(curve[-1]["score"]) else "diverged",
        **errors,
        "guess_mae": test.target.abs().mean().item(),
        "trained_at": dead,
        "steps": steps,
        "cpu_seconds": curve[-1]["cpu_seconds"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "converged": has_converged(curve),
        "curve": curve,
    }


def _check(network: str, dead: int, budget: float, **numbers: int) -> None:
    if network not in NETWORKS:
        raise ArgumentError(f"network: got {network!r}, expected one of {', '.join(NETWORKS)}")
    if not 0 <= dead < 100:
        raise ArgumentError(f"dead: got {dead}, expected a percentage from 0 and below 100")
    if not budget > 0:
        raise ArgumentError(f"budget: got {budget}, expected CPU-seconds")
    for name, number in numbers.items():
        if number < 1:
            raise ArgumentError(f"{name}: got {number}, expected at least one")


def load(data: Sequence[str | Path], resolution: int) -> tuple[Jets, Jets, Jets]:
    """Jets for training, validation and test; particles outside the grid are no part of them."""
    clouds, grid = {}, None
    for split in ("train", "validation", "test"):
        opened = open_clouds(data, split)
        eta, phi = opened.schema.axes
        span = (-HALFWIDTH, HALFWIDTH, resolution)
        grid = Grid.regular({eta: span, phi: span})
        found = opened.load()
        clouds[split] = pc.select_points(found, grid.locate(found.pos).inside)
    assert grid is not None
    truth = {split: _truth(found) for split, found in clouds.items()}
    mean, spread = truth["train"].mean(0), truth["train"].std(0)
    train, validation, test = (
        Jets(cloud_to_image(found, grid).log1p(), (truth[split] - mean) / spread)
        for split, found in clouds.items()
    )
    return train, validation, test


def _truth(jets: Batch) -> Tensor:
    ratio = mass(jets) / transverse_momentum(jets).clamp(min=1e-12)
    return torch.stack([girth(jets), ratio.clamp(min=_SMALLEST).log()], 1).float()


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        network: What is trained.
        training: Jets to learn from.
        validation: Jets of the learning curve.
        dead: Percentage of dead cells.
        batch_size: Jets of a step.
        seed: Of weights, batches and dead cells.
    """

    network: Network
    training: Jets
    validation: Jets
    dead: int
    batch_size: int
    seed: int

    def affordable(self, budget: float) -> int:
        """Steps that so many CPU-seconds pay for."""
        # The smallest of a few: the first one fills caches.
        return max(1, round(budget / max(min(self._steps(self._build(), _TIMED)), 1e-6)))

    def train(self, steps: int) -> tuple[nn.Module, list[dict[str, float]]]:
        """The trained network and its learning curve."""
        model, seconds = self._build(), 0.0
        curve: list[dict[str, float]] = []
        at = {math.ceil(steps * point / _CURVE) for point in range(1, _CURVE + 1)}
        for step, took in enumerate(self._steps(model, steps), 1):
            seconds += took
            if step in at:
                score = self.error(model, self.validation, self.dead)
                curve.append({"step": step, "score": score, "cpu_seconds": seconds})
        return model, curve

    @torch.no_grad()
    def error(self, model: nn.Module, jets: Jets, dead: int) -> float:
        """Mean absolute error with so many percent of dead cells, the same ones for everybody."""
        generator, errors = torch.Generator().manual_seed(dead), []
        for image, target in zip(jets.image.split(100), jets.target.split(100), strict=True):
            alive = _alive(image, dead, generator)
            errors.append((self.network.predict(model, image, alive) - target).abs())
        return torch.cat(errors).mean().item()

    def _build(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            side = self.training.image.shape[1]
            return self.network.build((side, side))

    def _steps(self, model: nn.Module, steps: int) -> Iterator[float]:
        """Take the steps, and yield the CPU-seconds of each."""
        generator = torch.Generator().manual_seed(self.seed)
        optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            start = time.process_time()
            chosen = torch.randint(len(self.training), (self.batch_size,), generator=generator)
            image = self.training.image[chosen]
            alive = _alive(image, self.dead, generator)
            predicted = self.network.predict(model, image, alive)
            loss = F.l1_loss(predicted, self.training.target[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            yield time.process_time() - start


def _alive(image: Tensor, dead: int, generator: torch.Generator) -> Tensor:
    return torch.rand(image.shape, generator=generator) >= dead / 100
