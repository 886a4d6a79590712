r"""Decoders of dense images: a code and a condition to [B, 1, \*shape], most of which is empty.

One trunk (:class:`ImageTrunk`) and, behind it, one of four ways to leave a cell empty; or points,
which are counted in cells. An image is 0 in inactive cells and at least 1 in active ones, as in
:mod:`pcgen.models.representations`.

====================== ======================================= =====================================
decoder                image                                   trained by
====================== ======================================= =====================================
ReLUImageDecoder       max(0, a)                               a critic (LAGAN, arXiv 1701.05927)
GatedImageDecoder      1[l + logistic noise > 0] · (1 + s(a))  a critic, straight through the gate
GaussianImageDecoder   a                                       squared error, a normal of each pixel
HurdleImageDecoder     Bernoulli(l) · (1 + normal(a, σ))       its likelihood
RasterisedDecoder      0 where no point falls                  a critic, which moves the points
====================== ======================================= =====================================

where a, l and σ are what the trunk's features give in each cell, and s is the softplus.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image, splat
from pcgen.nn.condition import with_condition
from pcgen.nn.lattice import level_shapes
from pcgen.nn.mlp import LEAKY
from pcgen.nn.network import Network
from pcgen.objectives.likelihood import best_log_std, bounded_log_std, gaussian, hurdle
from pcgen.ops.drawing import normal, uniform
from pcgen.standardize import Standardize

WIDEST = 1024
"""Most channels of a map: an axis of thousands of cells is halved often."""
_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class ImageTrunk(Network):
    """A small map from a linear layer, doubled ``levels`` times by upsampling and convolution.

    The last map is cropped to the shape. Channels halve at each doubling, from :data:`WIDEST` at
    most. Weights start as He et
    al., arXiv 1502.01852, keep the variance: smaller ones would leave an output that hardly depends
    on the code, which behind a ReLU is dead wherever the bias is negative.

    Args:
        code_channels: Columns Z of the code.
        channels: Channels C of the last map.
        levels: How often the map is doubled; None for what starts from about four cells per axis.
        shape: Cells along each of 1 to 3 axes.
        condition_channels: Columns K of the condition; 0 ignores it.

    Raises:
        ArgumentError: the shape has not 1 to 3 axes.

    >>> ImageTrunk(8, 4, shape=(25, 25))(torch.zeros(3, 8)).shape
    torch.Size([3, 4, 25, 25])
    """

    shown = ("code_channels", "channels", "shape", "condition_channels")

    def __init__(
        self,
        code_channels: int,
        channels: int,
        levels: int | None = None,
        *,
        shape: Sequence[int],
        condition_channels: int = 0,
    ) -> None:
        super().__init__()
        if len(shape) not in _CONV:
            raise ArgumentError(f"shape: got {tuple(shape)}, expected 1 to 3 axes")
        self.code_channels, self.channels, self.shape = code_channels, channels, tuple(shape)
        self.condition_channels = condition_channels
        shapes = level_shapes(shape, levels)
        most = max(channels, WIDEST)
        widths = [min(channels * 2**level, most) for level in reversed(range(len(shapes)))]
        self.small = (widths[0], *shapes[-1])
        self.first = nn.Linear(code_channels + condition_channels, math.prod(self.small))
        conv = _CONV[len(shape)]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), conv(coarse, fine, 3, padding=1), LEAKY())
            for coarse, fine in pairwise(widths)
        )
        self._begin()

    def _begin(self) -> None:
        for layer in self.modules():
            if isinstance(layer, (nn.Linear, _CONV[len(self.shape)])):
                _keep_variance(layer, "leaky_relu")

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        super().reset_parameters()
        self._begin()

    def forward(self, code: Tensor, condition: Tensor | None = None) -> Tensor:
        """Codes [B, Z] and conditions [B, K] to maps [B, C, \\*shape]."""
        rows = with_condition(code, condition, self.condition_channels)
        x = F.leaky_relu(self.first(rows), 0.2).view(len(rows), *self.small)
        for level in self.levels:
            x = level(x)
        for axis, size in enumerate(self.shape, 2):
            x = x.narrow(axis, 0, size)
        return x

    def head(self, outputs: int) -> nn.Module:
        """A convolution from the map to so many numbers per cell."""
        return _keep_variance(
            _CONV[len(self.shape)](self.channels, outputs, 3, padding=1), "linear"
        )


class ReLUImageDecoder(Network):
    """Exact zeros from a ReLU, the generator of LAGAN.

    De Oliveira, Paganini and Nachman, "Learning particle physics by example: location-aware
    generative adversarial networks for physics synthesis", arXiv 1701.05927. A cell that is 0 has
    no gradient, and cells between 0 and 1 are of no real image.

    Args:
        trunk: Makes the map.
    """

    def __init__(self, trunk: ImageTrunk) -> None:
        super().__init__()
        self.trunk, self.head = trunk, trunk.head(1)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        super().reset_parameters()
        _keep_variance(self.head, "linear")

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images [B, 1, \\*shape], a function of the code; ``sizes`` and ``generator`` unused."""
        return F.relu(self.head(self.trunk(code, condition)))


class GatedImageDecoder(Network):
    r"""Occupancy is drawn in each cell, and passed over backwards: gate times intensity.

    .. math:: g = 1[l + \epsilon > 0], \quad \epsilon = \log u - \log(1 - u), \quad u \sim U(0, 1)

    is 1 with probability σ(l). Backwards its derivative is taken to be that of σ(l + ε): the
    straight-through estimator (Bengio, Léonard and Courville, arXiv 1308.3432) with the noise of
    the binary concrete distribution (Maddison et al., arXiv 1611.00712). The image is
    g · (1 + softplus(a)); the intensity learns in active cells, the gate in all.

    Args:
        trunk: Makes the map.
        occupancy: Fraction of the cells that are active at first. At 1/2, where a logit of 0
            would start, a critic recognises images of a few per cent at a glance.
    """

    def __init__(self, trunk: ImageTrunk, *, occupancy: float = 0.05) -> None:
        super().__init__()
        self.trunk, self.head, self.occupancy = trunk, trunk.head(2), occupancy
        _with_occupancy(self.head, occupancy)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        super().reset_parameters()
        _with_occupancy(_keep_variance(self.head, "linear"), self.occupancy)

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images [B, 1, \\*shape], 0 or at least 1; ``sizes`` is not used."""
        logit, intensity = self.head(self.trunk(code, condition)).split(1, 1)
        noise = uniform(tuple(logit.shape), logit, generator)
        noisy = logit + noise.logit(eps=torch.finfo(noise.dtype).tiny)
        soft = noisy.sigmoid()
        gate = (noisy > 0).to(soft) + (soft - soft.detach())
        return gate * (1.0 + F.softplus(intensity))


class GaussianImageDecoder(Network):
    """A normal distribution of every pixel: the squared error of plain image autoencoders.

    A sample is the mean, without the noise that the likelihood asserts, as the literature does:
    the noise would fill all empty cells.

    Args:
        trunk: Makes the map.
        std: Of the pixels; None: the best one for each batch while training, and its running
            average (of the logarithm) otherwise.
        momentum: Share of a batch in that average.
    """

    log_std: Tensor

    def __init__(
        self, trunk: ImageTrunk, *, std: float | None = None, momentum: float = 0.01
    ) -> None:
        super().__init__()
        self.trunk, self.head = trunk, trunk.head(1)
        self.adapts, self.momentum = std is None, momentum
        self.register_buffer("log_std", torch.tensor(0.0 if std is None else math.log(std)))

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        super().reset_parameters()
        _keep_variance(self.head, "linear")
        if self.adapts:
            self.log_std.zero_()

    def losses(self, code: Tensor, condition: Tensor | None, event: Tensor) -> dict[str, Tensor]:
        """-log p(event | code, condition) of images [B, 1, \\*shape], in nats [B]."""
        mean = self.head(self.trunk(code, condition))
        log_std = self.log_std
        if self.adapts and self.training and len(event):
            log_std = best_log_std(event, mean)
            self.log_std.lerp_(log_std.to(self.log_std), self.momentum)
        return {"pixels": gaussian(event, mean, log_std)}

    def sample(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Means [B, 1, \\*shape]; ``sizes`` and ``generator`` are not used."""
        return self.head(self.trunk(code, condition))


class HurdleImageDecoder(Network):
    """Bernoulli occupancy of each cell, and a normal of x in active ones: a log-normal energy.

    Given the code the cells are independent; see :func:`~pcgen.objectives.likelihood.hurdle`. An
    image holds 1 + x - x_floor in active cells, and what is drawn below the floor is put on it.

    Args:
        trunk: Makes the map.
        occupancy: Fraction of the cells that are active at first.
    """

    def __init__(self, trunk: ImageTrunk, *, occupancy: float = 0.05) -> None:
        super().__init__()
        self.trunk, self.head, self.occupancy = trunk, trunk.head(3), occupancy
        _with_occupancy(self.head, occupancy)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        super().reset_parameters()
        _with_occupancy(_keep_variance(self.head, "linear"), self.occupancy)

    def losses(self, code: Tensor, condition: Tensor | None, event: Tensor) -> dict[str, Tensor]:
        """-log p(event | code, condition) of images [B, 1, \\*shape], in nats [B]."""
        logit, mean, log_std = self._cells(code, condition)
        occupancy, energy = hurdle(event - 1.0, event > 0, logit, mean, log_std)
        return {"occupancy": occupancy, "energy": energy}

    def sample(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images [B, 1, \\*shape], 0 or at least 1; ``sizes`` is not used."""
        logit, mean, log_std = self._cells(code, condition)
        active = uniform(tuple(logit.shape), logit, generator) < logit.sigmoid()
        x = mean + log_std.exp() * normal(tuple(mean.shape), mean, generator)
        return torch.where(active, 1.0 + x.clamp(min=0.0), 0.0)

    def _cells(self, code: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        logit, mean, raw = self.head(self.trunk(code, condition)).split(1, 1)
        return logit, mean, bounded_log_std(raw)


class RasterisedDecoder(Network):
    r"""A generator of images whose active cells are those that hold a point.

    The image of fractions is exact, :math:`f_c = \sum_{i: p_i \in c} f_i`, and passed backwards as
    if each point were shared among the nearest cells (:func:`pcgen.images.splat`):

    .. math:: \tilde f = \mathrm{stop}(f) + s - \mathrm{stop}(s), \qquad s = \mathrm{splat}(p, f),

    so that a critic of images can move the points (straight-through). An active cell holds
    :math:`1 + x - x_{floor}`, with x the standardised logarithm of its fraction, as events of
    :class:`~pcgen.models.representations.Images` do. It is as sparse as its points are few.

    Args:
        decoder: ``(code, sizes, condition, generator)`` -> standardised clouds whose last column of
            ``x`` is the logarithm of the fraction.
        standardize: Of the clouds of active cells of the grid; it is read, not owned.
        grid: The cells. Points outside are in no cell.
    """

    def __init__(self, decoder: nn.Module, standardize: Standardize, grid: Grid) -> None:
        super().__init__()
        self.decoder, self.grid = decoder, grid
        self._standardize = [standardize]  # no submodule: it is the representation's

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Images [B, 1, \*grid.shape] of ``sizes`` [B] points each, from codes [B, Z]."""
        (standardize,) = self._standardize
        generated = self.decoder(code, sizes, condition, generator)
        weight = standardize.fractions(generated.x, generated.ptr)
        points = pc.make(standardize.pos.inverse(generated.pos), sizes, weight=weight)
        soft = splat(points, self.grid, outside="drop")
        hard = cloud_to_image(points, self.grid, outside="drop").detach()
        fraction = hard + (soft - soft.detach())  # a difference that is exactly 0
        active = fraction > 0
        # Of the logarithm of an empty cell neither the value nor the slope is wanted.
        log = torch.where(active, fraction, 1.0).log()
        scale, floor = standardize.log_fraction, standardize.log_floor
        lift = (log - floor.to(log)) / scale.std.to(log)
        return torch.where(active, 1.0 + lift.clamp(min=0.0), 0.0)[:, None]


def _keep_variance(layer: nn.Module, behind: Literal["leaky_relu", "linear"]) -> nn.Module:
    nn.init.kaiming_normal_(layer.get_parameter("weight"), a=0.2, nonlinearity=behind)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer


def _with_occupancy(head: nn.Module, occupancy: float) -> nn.Module:
    """Cells are active with this probability at first; the first output is its logit.

    It and a spread, the third, start almost the same everywhere: an energy that is far from its
    mean where the spread happens to be small has an enormous loss.
    """
    if not 0.0 < occupancy < 1.0:
        raise ArgumentError(f"occupancy: got {occupancy}, expected a number between 0 and 1")
    with torch.no_grad():
        head.get_parameter("weight")[::2] *= 0.1
        head.get_parameter("bias")[0] = math.log(occupancy / (1.0 - occupancy))
    return head
