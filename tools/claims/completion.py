r"""A detector row: jets of which cells are dead or pooled, completed by a trained generator.

Jets of the shipped sample (its test split, three classes) are images of 16 x 16 cells; either 30 %
of the cells are dead, or 2 x 2 cells are read as one. ``jets-student``, which never saw them, is
inverted: 3 starts, 150 steps of Adam at 0.03. Beside it stand interpolations: dead cells get the
mean of the cells around them that are alive, and pooled cells share their sum equally. Both are
judged by what is made of the image: the mass of the jet, and how many cells have more than 1 GeV.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pcgen.datasets import sample_jets
from pcgen.grids import Grid
from pcgen.images import cloud_to_image, image_to_cloud
from pcgen.images.measurements import Alive, Measurement, pooled_grid
from pcgen.loading import load
from pcgen.metrics.jets.kinematics import mass
from pcgen.models.blocks import block_generator
from pcgen.models.inverse import Descent, invert
from pcgen.models.noise_to_image import Given, NoiseToImage
from pcgen.tools.claims.claim import Claim

CELLS = "eta_rel:-0.4:0.4:16,phi_rel:-0.4:0.4:16:rad"
JETS, DEAD, ACTIVE = 16, 0.3, 1.0


class Images(NamedTuple):
    """Of the same jets [B, 16, 16].

    Attributes:
        truth: As they are.
        generator: As the generator completes them.
        interpolation: As the interpolation does.
        succeeded: Share of the starts that reach the measurements within 0.1.
    """

    truth: Tensor
    generator: Tensor
    interpolation: Tensor
    succeeded: float


def grid() -> Grid:
    """The cells."""
    return Grid.parse(CELLS, sample_jets("test").schema.axes)


def measurement(kind: str, seed: int) -> Measurement:
    """Dead cells of the seed, or blocks of 2 x 2 cells."""
    if kind == "pooled":
        return pooled_grid(grid(), 2)
    draw = torch.Generator().manual_seed(seed)
    return Alive(torch.rand(grid().shape, generator=draw) >= DEAD)


def interpolated(measured: Measurement, y: Tensor) -> Tensor:
    """Images [B, R, R] that need no generator."""
    if not isinstance(measured, Alive):
        whole = torch.ones(1, *measured.shape)
        return measured.adjoint(y / measured(whole))
    image, alive = measured.adjoint(y)[:, None], measured.alive.float()[None, None]
    around = torch.ones(1, 1, 3, 3)
    mean = F.conv2d(image, around, padding=1) / F.conv2d(alive, around, padding=1).clamp(min=1)
    return torch.where(alive > 0, image, mean)[:, 0]


@functools.cache
def images(kind: str, seed: int, quick: bool) -> Images:
    """Truth and answers of the jets of a seed."""
    jets = sample_jets("test", max_points=30)
    rows = torch.randperm(len(jets), generator=torch.Generator().manual_seed(seed))
    clouds = jets.gather(rows[: 2 if quick else JETS])
    truth = cloud_to_image(clouds, grid(), outside="drop").float()
    measured = measurement(kind, seed)
    y = measured(truth)
    with torch.enable_grad():
        generator = NoiseToImage(load("jets-student"), grid())
        descent = Descent(2 if quick else 3, 2 if quick else 150, rate=0.03)
        draws = [block_generator(seed, event) for event in range(len(truth))]
        given = Given(clouds.y, clouds.label)
        start = generator.start(given, len(truth), descent.restarts, draws)
        found = invert(measured, y, generator, start, descent)
    succeeded = float(found.succeeded.double().mean())
    return Images(truth, found.image, interpolated(measured, y), succeeded)


def masses(image: Tensor) -> Tensor:
    """Of the jets of images [B]."""
    return mass(image_to_cloud(image, grid()))


def active(image: Tensor) -> Tensor:
    """Cells above 1 GeV [B]."""
    return (image > ACTIVE).flatten(1).sum(1).double()


def ratio(
    kind: str, observable: Callable[[Tensor], Tensor], seeds: Sequence[int], quick: bool
) -> list[float]:
    """Mean absolute error of an observable, generator over interpolation."""
    found = []
    for seed in seeds:
        each = images(kind, seed, quick)
        truth = observable(each.truth)
        ours, theirs = ((observable(i) - truth).abs().mean()
                        for i in (each.generator, each.interpolation))  # fmt: skip
        found.append(float(ours / theirs))
    return found


def squares(kind: str, seeds: Sequence[int], quick: bool) -> list[float]:
    """Median over jets of the image's error, generator over interpolation."""
    found = []
    for seed in seeds:
        each = images(kind, seed, quick)
        ours, theirs = ((i - each.truth).flatten(1).norm(dim=1).median()
                        for i in (each.generator, each.interpolation))  # fmt: skip
        found.append(float(ours / theirs))
    return found


def reached(kind: str, seeds: Sequence[int], quick: bool) -> list[float]:
    """Share of the starts that reach the measurements within 0.1."""
    return [images(kind, seed, quick).succeeded for seed in seeds]


CLAIMS = (
    Claim("completion", "2 x 2 cells pooled: error of the number of active cells, over equal "
          "sharing", "ours", "< 1", functools.partial(ratio, "pooled", active), 0.5),
    Claim("completion", "2 x 2 cells pooled: error of the image, over equal sharing", "1703.03208",
          "< 1", functools.partial(squares, "pooled"), 1.0),
    Claim("completion", "2 x 2 cells pooled: error of the mass, over equal sharing", "ours", "< 1",
          functools.partial(ratio, "pooled", masses), 1.0),
    Claim("completion", "30 % of cells dead: error of the number of active cells, over "
          "interpolation", "ours", "< 1", functools.partial(ratio, "dead", active), 1.0),
    Claim("completion", "30 % of cells dead: error of the mass, over interpolation", "ours", "< 1",
          functools.partial(ratio, "dead", masses), 1.0),
    Claim("completion", "2 x 2 cells pooled: share of starts that reach the measurements", "ours",
          "starts are needed", functools.partial(reached, "pooled"), 0.3, above=True),
)  # fmt: skip
