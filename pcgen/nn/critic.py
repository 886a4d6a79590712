r"""A critic whose features are at hand, and which may see how much the events of a batch differ.

.. math:: D(x_b) = w \cdot (f(x_b), s), \qquad
          s = \frac1F \sum_j \sqrt{\frac1B \sum_b (f_j(x_b) - \bar f_j)^2}

f are the features of a trunk, an encoder of events behind a leaky ReLU. They are what feature
matching compares (Salimans et al. 2016, arXiv 1606.03498) and the space in which a VAE-GAN
reconstructs (Larsen et al. 2016, arXiv 1512.09300). The number s, with which a critic recognises a
generator of equal events, is the minibatch standard deviation of Karras et al. 2018,
arXiv 1710.10196, section 3: of one batch there is one, and real and generated events come in
batches of their own.

A gradient penalty takes the gradient of the sum of all logits, each of which must depend on its
own event alone. Through s each depends on all: the slope would be that of the batch, and grow with
its size. So penalties hold s fixed (``alone=True``): what they bound is the slope of D in an event
among given others.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.nn.network import Network


class FeatureCritic(Network):
    """A linear layer on the features of a trunk.

    Args:
        trunk: ``(event, condition) -> [B, F]``.
        channels: Columns F of its result.
        statistics: Take s as a further feature. The logit of an event then depends on the batch.
    """

    shown = ("channels", "statistics")

    def __init__(self, trunk: nn.Module, channels: int, *, statistics: bool = False) -> None:
        super().__init__()
        self.trunk, self.channels, self.statistics = trunk, channels, statistics
        self.head = nn.Linear(channels + int(statistics), 1)

    def features(self, event: Any, condition: Tensor | None = None) -> Tensor:
        """Features f of each event [B, F]; s is not among them."""
        return F.leaky_relu(self.trunk(event, condition), 0.2)

    def forward(
        self, event: Any, condition: Tensor | None = None, *, alone: bool = False
    ) -> Tensor:
        """Events and condition [B, K] -> logits [B, 1].

        Args:
            event: What the trunk takes.
            condition: Where the trunk is conditional.
            alone: Pass no gradient through s.
        """
        features = self.features(event, condition)
        if self.statistics:
            common = deviation(features.detach() if alone else features)
            features = torch.cat([features, common.expand(len(features), 1)], 1)
        return self.head(features)


def deviation(features: Tensor) -> Tensor:
    """s of rows [B, F], a scalar; 0 of one row or none, and its slope is 0 where rows agree.

    >>> deviation(torch.tensor([[0.0, 5.0], [2.0, 5.0]])).item()
    0.5
    """
    if not len(features):
        return features.new_zeros(())
    variance = (features - features.mean(0)).square().mean(0)
    positive = variance > 0
    return torch.where(positive, torch.where(positive, variance, 1.0).sqrt(), 0.0).mean()
