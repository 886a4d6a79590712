r"""Decoders of dense images: a code and a condition to [B, 1, \*shape], most of which is empty.

One trunk (:class:`ImageTrunk`) and, behind it, one of four ways to say that a cell is empty. An
image is 0 in inactive cells and at least 1 in active ones, as :mod:`pcgen.models.representations`
makes it.

====================== ======================================= =====================================
decoder                image                                   trained by
====================== ======================================= =====================================
ReLUImageDecoder       max(0, a)                               a critic (LAGAN, arXiv 1701.05927)
GatedImageDecoder      1[l + logistic noise > 0] · (1 + s(a))  a critic, straight through the gate
GaussianImageDecoder   a                                       squared error, a normal of each pixel
HurdleImageDecoder     Bernoulli(l) · (1 + normal(a, σ))       its likelihood
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

from pcgen.errors import ArgumentError
from pcgen.nn.image_layers import level_shapes
from pcgen.nn.mlp import LEAKY, with_condition
from pcgen.objectives.likelihood import best_log_std, bounded_log_std, gaussian, hurdle
from pcgen.ops.drawing import normal, uniform

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class ImageTrunk(nn.Module):
    """A small map from a linear layer, doubled ``levels`` times by upsampling and convolution.

    The last map is cropped to the shape. Channels halve at each doubling. Weights start as He et
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
        self.channels, self.shape = channels, tuple(shape)
        self.condition_channels = condition_channels
        shapes = level_shapes(shape, levels)
        widths = [channels * 2**level for level in reversed(range(len(shapes)))]
        self.small = (widths[0], *shapes[-1])
        self.first = nn.Linear(code_channels + condition_channels, math.prod(self.small))
        conv = _CONV[len(shape)]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), conv(coarse, fine, 3, padding=1), LEAKY())
            for coarse, fine in pairwise(widths)
        )
        for layer in self.modules():
            if isinstance(layer, (nn.Linear, conv)):
                _keep_variance(layer, "leaky_relu")

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


class ReLUImageDecoder(nn.Module):
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

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images [B, 1, \\*shape], a function of the code; ``sizes`` and ``generator`` unused."""
        return F.relu(self.head(self.trunk(code, condition)))


class GatedImageDecoder(nn.Module):
    r"""Occupancy is drawn in each cell, and passed over backwards: gate times intensity.

    .. math:: g = 1[l + \epsilon > 0], \quad \epsilon = \log u - \log(1 - u), \quad u \sim U(0, 1)

    is 1 with probability σ(l). Backwards its derivative is taken to be that of σ(l + ε): the
    straight-through estimator (Bengio, Léonard and Courville, arXiv 1308.3432) with the noise of
    the binary concrete distribution (Maddison et al., arXiv 1611.00712). The image is
    g · (1 + softplus(a)); the intensity learns in active cells, the gate in all.

    Args:
        trunk: Makes the map.
        occupancy: Fraction of the cells that are active at first. At 1/2, where a logit of 0
            would start, a critic tells images of a few per cent apart at a glance.
    """

    def __init__(self, trunk: ImageTrunk, *, occupancy: float = 0.05) -> None:
        super().__init__()
        self.trunk, self.head = trunk, _with_occupancy(trunk.head(2), occupancy)

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


class GaussianImageDecoder(nn.Module):
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


class HurdleImageDecoder(nn.Module):
    """Bernoulli occupancy of each cell, and a normal of x in active ones: a log-normal energy.

    Given the code the cells are independent; see :func:`~pcgen.objectives.likelihood.hurdle`. An
    image holds 1 + x - x_floor in active cells, and what is drawn below the floor is put on it.

    Args:
        trunk: Makes the map.
        occupancy: Fraction of the cells that are active at first.
    """

    def __init__(self, trunk: ImageTrunk, *, occupancy: float = 0.05) -> None:
        super().__init__()
        self.trunk, self.head = trunk, _with_occupancy(trunk.head(3), occupancy)

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
