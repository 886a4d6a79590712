r"""Spectral normalisation of a whole critic (Miyato et al. 2018, arXiv 1802.05957).

.. math:: W \to W / \sigma(W), \qquad \sigma(W) = \max_{|h| = 1} |W h|

for every linear and convolutional layer, with its weight as a matrix of one row for each output
channel, and σ by one step of the power method in each call. With activations of slope at most 1 a
critic of L such linear layers on codes has a slope of at most 1. Where the network sums over points
or over overlapping windows the bound has a further factor, which depends on the number of points or
taps and not on the weights. A factor behind the logit sets how steep the critic may be at all.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import is_parametrized

from pcgen.nn.network import Network

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@runtime_checkable
class WithFeatures(Protocol):
    """A critic with features, such as :class:`~pcgen.nn.critic.FeatureCritic`."""

    def features(self, event: Any, condition: Tensor | None = None) -> Tensor:
        """Features of each event [B, F]."""
        ...


class SpectralCritic(Network):
    """A critic whose layers have the norm 1, times a factor.

    Args:
        critic: Takes what it did; its layers are changed in place.
        factor: Of the logit.
    """

    shown = ("factor",)

    def __init__(self, critic: nn.Module, factor: float = 1.0) -> None:
        super().__init__()
        self.critic, self.factor = spectrally_normed(critic), factor

    @property
    def statistics(self) -> bool:
        """Whether logits depend on the batch (:class:`~pcgen.nn.critic.FeatureCritic`)."""
        return getattr(self.critic, "statistics", False)

    def features(self, event: Any, condition: Tensor | None = None) -> Tensor:
        """Those of a :class:`~pcgen.nn.critic.FeatureCritic` [B, F]."""
        assert isinstance(self.critic, WithFeatures)
        return self.critic.features(event, condition)

    def forward(self, *arguments: Any, **options: Any) -> Tensor:
        """Arguments of the critic -> logits [B, 1]."""
        return self.factor * self.critic(*arguments, **options)


def spectrally_normed(module: nn.Module) -> nn.Module:
    """The same module, all of whose weights that are matrices or kernels have the norm 1.

    Vectors (biases, gains, seeds of a pooling) are left as they are.
    """
    for part in list(module.modules()):
        weight = getattr(part, "weight", None)
        if not isinstance(weight, nn.Parameter) or weight.dim() < 2 or is_parametrized(part):
            continue
        other = isinstance(part, _TRANSPOSED) or getattr(part, "transposed", False) is True
        parametrizations.spectral_norm(part, dim=1 if other else 0)
    return module
