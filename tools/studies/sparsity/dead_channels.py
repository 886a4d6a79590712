"""What dead channels cost: networks trained at one density of them and tested at others.

After Uhrig et al., "Sparsity invariant CNNs", arXiv:1708.06500, table 1, on jets. Each cell of an
image is dead in an event with some probability, independently of what it would have shown. From the
cells that are left, networks estimate girth and log(mass / p_T) of the *whole* jet, in units of
their standard deviations. Both are ratios of sums over particles, so a random part of a jet gives
them without bias, however small it is: what grows as cells die is the noise, and whatever a network
does wrong with cells that it was not shown. A sum, the jet's energy say, would have to be guessed
from the number of dead cells first, which is another question.

The error is the mean absolute error over both numbers. Training draws new dead cells at every step;
all networks are tested with the same ones. The two sides that are compared are the errors of a
network (:func:`residuals`) and those of the truth, which are zero: W1 of the two is the mean
absolute error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image
from pcgen.metrics.comparison import FeatureDistance, Measure
from pcgen.metrics.jets.kinematics import girth, mass, transverse_momentum
from pcgen.metrics.protocol import Part, Protocol
from pcgen.metrics.scores import wasserstein1
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.request import Request
from pcgen.nn import EPiCEncoder, ImageEncoder, ObservedReading, SiteReading
from pcgen.schema import Quantity, Schema

PERCENTAGES = range(0, 80, 10)
"""Of dead cells, at which networks are tested."""
ALL = 100
"""All cells are dead: what is left is to guess the mean of the training."""
TARGETS = 2
_SMALLEST = 1e-3  # mass / p_T below which a jet is one particle
_BLOCK = 100  # jets that are looked at at a time

Name = Literal["image", "image-mask", "image-observed", "image-density", "sites", "epic"]


@dataclass(frozen=True)
class Network:
    """A network and how it is shown an image with dead cells.

    Attributes:
        build: From the shape of the image.
        show: What the network is called with, from an image [B, R, R] in which dead cells are 0,
            and which cells are alive [B, R, R].
    """

    build: Callable[[tuple[int, ...]], nn.Module]
    show: Callable[[Tensor, Tensor], Mapping[str, Any]]


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


NETWORKS: dict[str, Network] = {
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
"""Dead cells are zeros; zeros, and a channel marks them; not there; the same, and each layer sees
how many are not; inactive; without a point."""


class Regression(GenerativeModel):
    """Estimates girth and log(mass / p_T) of jets from the cells that are alive.

    Args:
        schema: Of the jets.
        grid: The cells.
        network: How dead cells are shown.
        dead: Percentage of dead cells in training.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, schema: Schema, grid: Grid, network: Network, dead: int) -> None:
        super().__init__()
        self.schema, self.grid, self.dead = schema, grid, dead
        self.network, self._show = network.build(grid.shape), network.show
        self.register_buffer("mean", torch.zeros(TARGETS))
        self.register_buffer("spread", torch.ones(TARGETS))

    @property
    def can_sample(self) -> bool:
        """It generates nothing."""
        return False

    def phases(self) -> list[Phase]:
        """The one objective; the units of the two numbers are fitted first."""
        return [Phase("regression", (self.network,), self.loss, prepare=self.fit)]

    def fit(self, batches: Iterable[Batch]) -> None:
        """Mean and σ of the two numbers in the training split."""
        found = torch.cat([truth(clouds) for clouds in batches])
        self.mean.copy_(found.mean(0))
        self.spread.copy_(found.std(0))

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Mean absolute error, with new dead cells."""
        image, target = self.seen(clouds)
        alive = torch.rand(image.shape, device=image.device) >= self.dead / 100
        return {"error": F.l1_loss(self.predict(image, alive), target)}

    def seen(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """log(1 + p_T), in the file's unit, of each cell [B, R, R], and the numbers [B, 2]."""
        image = cloud_to_image(clouds, self.grid, outside="drop").log1p()
        return image, (truth(clouds) - self.mean) / self.spread

    def predict(self, image: Tensor, alive: Tensor) -> Tensor:
        """Both numbers of each jet [B, 2]; what dead cells hold does not matter."""
        found: Tensor = self.network(**self._show(torch.where(alive, image, 0), alive))
        return found

    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """Refuses: see :attr:`can_sample`."""
        raise ArgumentError("recipe regression: generates no events, expected another recipe")


def truth(jets: Batch) -> Tensor:
    """Girth and log(mass / p_T) of each jet [B, 2]."""
    ratio = mass(jets) / transverse_momentum(jets).clamp(min=1e-12)
    return torch.stack([girth(jets), ratio.clamp(min=_SMALLEST).log()], 1).float()


def regression(
    network: Name = "image",
    grid: str | None = None,
    dead: int = 30,
    schema: dict[str, Any] | None = None,
) -> Regression:
    """A regression from images with dead cells.

    Args:
        network: How dead cells are shown.
        grid: Cells of the image, eta_rel:-0.4:0.4:24,phi_rel:-0.4:0.4:24 say.
        dead: Percentage of dead cells in training.
        schema: What the numbers of the jets mean.

    Raises:
        ArgumentError: grid or schema is missing, or the percentage is out of range.
    """
    if grid is None or schema is None:
        raise ArgumentError("grid, schema: got none, expected the cells of the image and the jets")
    if not 0 <= dead < 100:
        raise ArgumentError(f"dead: got {dead}, expected a percentage from 0 and below 100")
    jets = Schema.from_dict(schema)
    return Regression(jets, Grid.parse(grid, jets.axes).matched(jets), NETWORKS[network], dead)


ERRORS = Schema(
    (Quantity("dead", "%"),),
    features=(Quantity("error of girth"), Quantity("error of log(mass / p_T)")),
)
"""Errors as clouds: a point for each percentage of dead cells, and one at 100 for the guess."""


@torch.no_grad()
def residuals(
    model: GenerativeModel, jets: Batch, generator: torch.Generator
) -> tuple[Batch, Batch, Schema]:
    """Errors of the truth, which are zero, and of a network, of B jets.

    Returns:
        2 B and B clouds, and what their numbers mean.
    """
    assert isinstance(model, Regression)
    image, target = model.seen(jets)
    columns = []
    for percent in PERCENTAGES:
        # The same cells for all networks, whatever their seed.
        draw = torch.Generator().manual_seed(percent)
        alive = torch.rand(image.shape, generator=draw) >= percent / 100
        pairs = zip(image.split(_BLOCK), alive.split(_BLOCK), strict=True)
        columns.append(torch.cat([model.predict(*pair) for pair in pairs]) - target)
    errors = torch.stack([*columns, -target], 1)  # [B, 9, 2]
    return _clouds(torch.zeros(2 * len(errors), *errors.shape[1:])), _clouds(errors), ERRORS


def _clouds(errors: Tensor) -> Batch:
    at = torch.tensor([*PERCENTAGES, ALL], dtype=errors.dtype)
    sizes = [len(at)] * len(errors)
    return pc.make(at.repeat(len(errors))[:, None], sizes, x=errors.flatten(0, 1))


def errors(schema: Schema, grid: Grid | None, trained_at: int = 30) -> Protocol:
    """Mean absolute error at each percentage of dead cells.

    Args:
        schema: That of :data:`ERRORS`.
        grid: Is not looked at.
        trained_at: Percentage whose error is the first score, that of learning curves.
    """
    first = [p for p in PERCENTAGES if p == trained_at]
    order = [*first, *(p for p in (*PERCENTAGES, ALL) if p not in first)]
    places = [[*PERCENTAGES, ALL].index(p) for p in order]
    names = ["guess_mae" if p == ALL else f"mae_{p:02d}" for p in order]

    def distances(a: Tensor, b: Tensor) -> list[float]:
        found = [wasserstein1(x, y) for x, y in zip(a.T, b.T, strict=True)]
        return torch.stack(found).view(-1, TARGETS).mean(1)[places].tolist()

    def build(clouds: Batch, schema: Schema) -> FeatureDistance:
        features = clouds.x.view(clouds.num_graphs, -1)
        return FeatureDistance(features, [Measure(name, "sigma") for name in names], distances)

    return Protocol("dead channels", (Part(build, batches=2),))
