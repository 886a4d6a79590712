r"""A trained model as a function from standard normal numbers to the images of its events.

Beside the noise of points and codes an event depends on what is drawn before it has points
(:class:`~pcgen.models.cardinality.Drawn`). Numbers of points are drawn once and stay. What is
continuous, total, centre and spread, or the energies of layers, is free too,

.. math:: \log E = \mu + \sigma z, \qquad z \sim N(0, 1)

with the moments μ and σ of what the model draws for the same condition and class, so that all that
a search may change is standard normal before anything is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import splat
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.base import FromNoise, GenerativeModel
from pcgen.models.cardinality import Drawn, LayerSums
from pcgen.models.flow import FlowMatching
from pcgen.models.gan import GAN
from pcgen.models.inverse import Noise
from pcgen.models.latent import LatentModel
from pcgen.models.priors import Mixture
from pcgen.models.representations import Images, Layered, Points, Representation
from pcgen.models.request import Request
from pcgen.ops.drawing import normal

SEEN = 64
"""Draws that the moments of totals and centres are found from."""


class Given(NamedTuple):
    """What is known of B events.

    Attributes:
        y: Condition [B, C]; None: drawn for each answer.
        label: Class [B]; None: drawn for each answer.
    """

    y: Tensor | None
    label: Tensor | None


class NoiseToImage:
    """Images of K answers, as a function of noise.

    Args:
        model: Trained; of points or images, and a function of noise.
        grid: Cells of the images.

    Raises:
        ArgumentError: the model draws at random within its networks, or the grid does not fit.
    """

    def __init__(self, model: GenerativeModel, grid: Grid) -> None:
        check_differentiable(model)
        self.model, self.grid = model.eval(), grid.matched(model.schema)
        self._event = _event_of(model)
        self._drawn: Drawn | None = None
        self._laws: tuple[_Law, ...] = ()

    def start(
        self, given: Given, number: int, restarts: int, generators: Sequence[torch.Generator]
    ) -> Noise:
        """Draw the starts of B events; what is drawn stays until the next call.

        Args:
            given: What is known of each event.
            number: B.
            restarts: Starts of each event.
            generators: Source of the randomness of each event: its answer then does not depend on
                the others.

        Raises:
            ArgumentError: there is no event, or a class was not in the training split.
        """
        see = _representation(self.model)
        device = next(self.model.parameters()).device
        parts: list[Drawn] = []
        laws: list[list[_Law]] = []
        noises: list[list[Tensor]] = []
        for event in range(number):
            draw = generators[event]
            request = _request(given, event, restarts, device)
            with torch.no_grad():
                drawn = see.draw(request, draw)
                seen = see.draw(_request(given, event, SEEN, device), draw)
            parts.append(drawn)
            pairs = zip(_continuous(drawn), _continuous(seen), strict=True)
            laws.append([_Law.of(*pair) for pair in pairs])
            shapes, like = _shapes(self.model, drawn), see.cardinality.total
            noises.append([normal(shape, like, draw) for shape in shapes])
        if not parts:
            raise ArgumentError("events: got none, expected at least one")
        self._drawn = _joined(parts)
        self._laws = tuple(_Law.joined(each) for each in zip(*laws, strict=True))
        answers = torch.arange(number * restarts, device=device)
        of_points = answers.repeat_interleave(self._drawn.sizes) if self._ragged else answers
        points, code = (torch.cat(each).to(device) for each in zip(*noises, strict=True))
        return Noise(
            (points, code, *(law.start for law in self._laws)),
            (of_points, answers, *(answers for _ in self._laws)),
        )

    def clouds(self, rows: tuple[Tensor, ...]) -> Batch:
        """The clouds of all answers, in physical units, of the noise of :meth:`start`."""
        points, code, *free = rows
        return self._event(points, code, self._known(free))

    def __call__(self, rows: tuple[Tensor, ...]) -> Tensor:
        """Images [K, \\*shape] of all answers, points shared linearly among the nearest cells."""
        clouds = self.clouds(rows)
        # A descent that broke down is found by its noise; the others go on.
        clouds = cl.replace(
            clouds,
            pos=clouds.pos.nan_to_num(),
            weight=cl.weights(clouds).nan_to_num(0.0, 0.0, 0.0).clamp(min=0),
        )
        image = splat(clouds, self.grid, outside="drop")
        broken = ~torch.stack([_finite(r, image) for r in rows[1:]]).all(0)
        return torch.where(broken.view(-1, *[1] * (image.dim() - 1)), torch.nan, image)

    @property
    def _ragged(self) -> bool:
        return not isinstance(self.model.representation, Images)

    def _known(self, free: Sequence[Tensor]) -> Drawn:
        """What was drawn, with the continuous numbers that the noise gives."""
        assert self._drawn is not None
        values = [law(z) for law, z in zip(self._laws, free, strict=True)]
        drawn = self._drawn
        if drawn.layers is not None:
            weight = torch.where(drawn.layers.number > 0, values[0].exp(), 0.0)
            sums = LayerSums(drawn.layers.number, weight)
            return drawn._replace(layers=sums, total=weight.sum(1), centroid=values[1])
        drawn = drawn._replace(
            total=torch.where(drawn.sizes > 0, values[0][:, 0].exp(), 0.0), centroid=values[1]
        )
        return drawn if drawn.spread is None else drawn._replace(spread=values[2][:, 0].exp())


class _Law(NamedTuple):
    """Numbers μ + σ z of answers [K, C], and where z starts."""

    mean: Tensor
    width: Tensor
    start: Tensor

    @classmethod
    def of(cls, drawn: Tensor, seen: Tensor) -> _Law:
        """The moments of what was seen [S, C], and the z of what was drawn [R, C]; NaN is none."""
        some = seen.isfinite()
        count = some.sum(0).clamp(min=1)
        mean = torch.where(some, seen, 0.0).sum(0) / count
        apart = torch.where(some, seen - mean, 0.0)
        width = (apart.square().sum(0) / count).sqrt()
        flat = width <= 1e-6 * (1 + mean.abs())
        width = torch.where(flat, 0.0, width)
        known = drawn.isfinite()
        start = torch.where(flat, 0.0, (drawn - mean) / torch.where(flat, 1.0, width))
        start = torch.where(known, start, 0.0)
        # What does not vary in what was seen is as it is drawn.
        mean = torch.where(flat & known, drawn, mean)
        return cls(mean, width.expand_as(drawn), start)

    @classmethod
    def joined(cls, parts: Sequence[_Law]) -> _Law:
        return cls(*(torch.cat(each) for each in zip(*parts, strict=True)))

    def __call__(self, z: Tensor) -> Tensor:
        return self.mean + self.width * z


def check_differentiable(model: GenerativeModel) -> None:
    """Refuse a model whose events are no function of noise with a gradient.

    Raises:
        ArgumentError: naming what it is, and what is expected.
    """
    see, got = model.representation, ""
    if isinstance(model, Autoencoder) and not model.can_sample:
        got = "a plain autoencoder, which has no prior"
    elif not model.can_sample:
        got = f"a {type(model).__name__}, which generates nothing"
    elif model.context_schema is not None:
        got = "a model that generates events from others"
    elif isinstance(model, LatentModel) and isinstance(model.prior, Mixture):
        got = "the prior Mixture, whose codes are no function of noise"
    elif isinstance(see, Points):
        got = "" if _decodes(model) else f"a {type(model).__name__} of lists"
    elif isinstance(see, Layered):
        got = "" if isinstance(model, FlowMatching) else f"a {type(model).__name__} of layers"
    elif isinstance(see, Images):
        plain = isinstance(model, FlowMatching) and model.support is None
        got = "" if plain or isinstance(model, GAN) else f"a {type(model).__name__} of images"
        if isinstance(model, GAN) and _draws(model):
            got = f"a {type(model.generator).__name__}, which draws its active cells"
    else:
        got = f"a model of {type(see).__name__.lower()}, which draws its active cells"
    if got:
        raise ArgumentError(
            f"run: got {got}, expected events that are a function of noise: of the recipes "
            "points-gan, points-vae, points-latent-gan, points-latent-flow, points-flow and those "
            "that start from it, image-gan (not gated, not points), image-flow, showers-flow"
        )


@torch.no_grad()
def _draws(model: GAN) -> bool:
    """Whether the generator of images draws at random beyond its code."""
    like = next(model.parameters())
    code = like.new_zeros(1, model.code_channels)
    condition = like.new_zeros(1, model.representation.condition_channels)
    sizes = torch.ones(1, dtype=torch.long, device=like.device)
    one, other = (
        model.generator(code, sizes, condition, torch.Generator().manual_seed(seed))
        for seed in (0, 1)
    )
    return not torch.equal(one, other)


def _decodes(model: GenerativeModel) -> bool:
    """Whether the network of a model of points takes the noise of its points."""
    codec = model.autoencoder if isinstance(model, LatentModel) else model
    network = getattr(codec, "generator", getattr(codec, "decoder", None))
    plain = isinstance(model, FlowMatching) or hasattr(network, "decode")
    return isinstance(model, FromNoise) and plain


def _representation(model: GenerativeModel) -> Representation:
    assert model.representation is not None
    return model.representation


def _request(given: Given, event: int, number: int, device: torch.device) -> Request:
    row = slice(event, event + 1)
    fixed = (
        None if each is None else each[row].to(device).expand(number, *each.shape[1:])
        for each in given
    )
    return Request(number, None, *fixed)


def _shapes(model: GenerativeModel, drawn: Drawn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of the noise of the points or cells, and of the codes."""
    number, see = len(drawn.sizes), _representation(model)
    if isinstance(see, Images):
        if isinstance(model, GAN):
            return (number, 0), (number, model.code_channels)
        return (number, 1, *see.shape), (number, 0)
    assert isinstance(model, FromNoise)
    channels = model.noise_channels
    return (int(drawn.sizes.sum()), channels.point), (number, channels.code)


def _event_of(model: GenerativeModel) -> Callable[[Tensor, Tensor, Drawn], Batch]:
    """From noise, codes and what is known to clouds."""
    see = _representation(model)

    def of_cells(points: Tensor, code: Tensor, drawn: Drawn) -> Batch:
        condition = see.condition(drawn)
        if isinstance(model, GAN):
            event = model.generator(code, drawn.sizes, condition, None)
        else:
            assert isinstance(model, FlowMatching)
            event = model.follow(see.with_values(see.unfilled(drawn), points), condition)
        return see.clouds(event, drawn)

    def of_points(points: Tensor, code: Tensor, drawn: Drawn) -> Batch:
        assert isinstance(model, FromNoise)
        layer = None if drawn.layers is None else see.unfilled(drawn).layer
        return model.from_noise(cl.make(points, drawn.sizes, layer=layer), code, drawn)

    return of_cells if isinstance(see, Images) else of_points


def _continuous(drawn: Drawn) -> list[Tensor]:
    """What may vary: logarithms of totals or of the energies of layers, centre, log spread."""
    if drawn.layers is not None:
        return [_log(drawn.layers.weight), drawn.centroid]
    columns = [_log(drawn.total[:, None]), drawn.centroid]
    return columns if drawn.spread is None else [*columns, _log(drawn.spread[:, None])]


def _log(value: Tensor) -> Tensor:
    """The logarithm; NaN of what is not positive, as events and layers without points have."""
    return torch.where(value > 0, value, torch.nan).log()


def _joined(parts: Sequence[Drawn]) -> Drawn:
    """What was drawn for the answers of several events, one after the other."""
    fields: dict[str, Any] = {}
    for name in ("sizes", "total", "centroid", "y", "label", "spread"):
        values = [getattr(part, name) for part in parts]
        fields[name] = None if values[0] is None else torch.cat(values)
    sums = [part.layers for part in parts if part.layers is not None]
    if sums:
        fields["layers"] = LayerSums(*(torch.cat(each) for each in zip(*sums, strict=True)))
    return Drawn(**fields)


def _finite(rows: Tensor, image: Tensor) -> Tensor:
    """Whether the noise [K, ...] of each answer is finite."""
    return rows.isfinite().flatten(1).all(1) if rows[0:1].numel() else rows.new_ones(len(image)) > 0
