r"""A density of clouds by class whose points are independent given the class.

.. math::
    p(c, X) = \pi_c\, N(\nu; m_c, s_c^2) \prod_i \sum_k w_{ck}\, N(x_i; \mu_{ck}, \sigma_{ck}^2)

with ν the standardised log(1 + n) of the cloud and x_i the channels of a point: a mixture of K
normal distributions with diagonal covariances in each class. Real points are not independent, so it
is a model that is wrong in a known way, whose likelihood is exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import at_least
from pcgen.nn.network import Network
from pcgen.ops.drawing import normal, uniform
from pcgen.ops.segments import segment_sum
from pcgen.standardize import channels


class PointMixture(Network):
    """Class and cloud together, with exact likelihood.

    Args:
        in_channels: Channels C of a point.
        classes: Number of classes.
        components: K, of each class.
    """

    shown = ("in_channels", "classes", "components")

    def __init__(self, in_channels: int, classes: int, *, components: int = 8) -> None:
        super().__init__()
        at_least(1, components=components)
        self.in_channels, self.classes, self.components = in_channels, classes, components
        self.prior = nn.Parameter(torch.zeros(classes))
        self.size_mean = nn.Parameter(torch.zeros(classes))
        self.size_log_std = nn.Parameter(torch.zeros(classes))
        self.share = nn.Parameter(torch.zeros(classes, components))
        # Components begin apart, and those of all classes alike.
        start = torch.randn(components, in_channels).expand(classes, -1, -1)
        self.mean = nn.Parameter(start.clone())
        self.log_std = nn.Parameter(torch.zeros(classes, components, in_channels))

    def forward(self, clouds: Batch, log_size: Tensor) -> Tensor:
        """log p(c, X) [B, classes], of standardised clouds and their ν [B]."""
        x = channels(clouds, self.in_channels)[:, None, None]
        each = _log_normal(x, self.mean, self.log_std).sum(3) + self.share.log_softmax(1)
        points = segment_sum(each.logsumexp(2), clouds.ptr)
        size = _log_normal(log_size[:, None], self.size_mean, self.size_log_std)
        return self.prior.log_softmax(0) + size + points

    def sample(
        self, label: Tensor, sizes: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Channels [N, C] of clouds of given classes [B] and sizes [B]."""
        kind = label.repeat_interleave(sizes)
        edges = self.share.softmax(1).cumsum(1)[kind]
        chance = uniform((len(kind), 1), edges, generator)
        part = (chance > edges[:, :-1]).sum(1)
        mean, std = self.mean[kind, part], self.log_std[kind, part].exp()
        return mean + std * normal(tuple(mean.shape), mean, generator)


def _log_normal(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    square = ((x - mean) * (-log_std).exp()).square()
    return -0.5 * square - log_std - 0.5 * math.log(2 * math.pi)
