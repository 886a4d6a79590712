r"""Adversarial games: one scalar link f, and whether real and generated are compared in pairs.

A critic gives a logit D to each sample, high where it looks real. With x real and G generated,

.. math::
    L_D &= E f(-D(x)) + E f(D(G)) & L_G &= E f(-D(G)) \\
    L_D &= E f(D(G) - D(x)) & L_G &= E f(D(x) - D(G)) & \text{(paired)}

=============== =================== ==============================================================
game            f(t)
=============== =================== ==============================================================
non-saturating  log(1 + exp t)      Goodfellow et al. 2014, arXiv 1406.2661: with
                                    :math:`D = \log p/q`, :math:`-L_D = 2\,\mathrm{JSD} - \log 4`
saturating      log(1 + exp t)      the minimax game of the same paper, :math:`L_G = -E f(D(G))`
Wasserstein     t                   Arjovsky et al. 2017, arXiv 1701.07875
hinge           max(0, 1 + t)       Miyato et al. 2018, arXiv 1802.05957, :math:`L_G = -E D(G)`
least squares   (1 + t)²            Mao et al. 2017, arXiv 1611.04076, a = -1, b = c = 1
relativistic    log(1 + exp t)      paired: Jolicoeur-Martineau 2018, arXiv 1807.00734; R3GAN
=============== =================== ==============================================================

Where the generator's link is not f it is given beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from pcgen.errors import ArgumentError

Link = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Game:
    """Losses of critic and generator from the critic's logits.

    Attributes:
        link: f, increasing.
        paired: Compare the b-th generated sample with the b-th real one.
        generator_link: f of the generator; None: the same.

    >>> import torch
    >>> WASSERSTEIN.critic_loss(torch.tensor([3.0]), torch.tensor([1.0])).tolist()
    [-2.0]
    """

    link: Link
    paired: bool = False
    generator_link: Link | None = None

    def critic_loss(self, real: Tensor, generated: Tensor) -> Tensor:
        """Logits [B] or [B, 1] of real and of generated samples -> [B], to be minimised.

        Raises:
            ArgumentError: the two are not equally many.
        """
        real, generated = _pair(real, generated)
        if self.paired:
            return self.link(generated - real)
        return self.link(-real) + self.link(generated)

    def generator_loss(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Logits [B] or [B, 1] of generated samples, and of real ones if paired -> [B].

        Raises:
            ArgumentError: the game is paired and ``real`` is missing or of another number.
        """
        link = self.link if self.generator_link is None else self.generator_link
        if not self.paired:
            return link(-generated.flatten())
        if real is None:
            raise ArgumentError("real: got None, expected logits, as this game is paired")
        real, generated = _pair(real, generated)
        return link(real - generated)


def _pair(real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
    if real.numel() != generated.numel():
        raise ArgumentError(
            f"logits: got {real.numel()} real and {generated.numel()} generated, expected as many"
        )
    return real.flatten(), generated.flatten()


def _identity(t: Tensor) -> Tensor:
    return t


def _hinge(t: Tensor) -> Tensor:
    return F.relu(1.0 + t)


def _square(t: Tensor) -> Tensor:
    return (1.0 + t).square()


def _minimax(t: Tensor) -> Tensor:
    return -F.softplus(-t)


NON_SATURATING = Game(F.softplus)
SATURATING = Game(F.softplus, generator_link=_minimax)
WASSERSTEIN = Game(_identity)
HINGE = Game(_hinge, generator_link=_identity)
LEAST_SQUARES = Game(_square)
RELATIVISTIC = Game(F.softplus, paired=True)

OPTIMISER: Mapping[str, Any] = {"lr": 2e-3, "betas": (0.0, 0.9)}
"""Options of the optimiser of critic and generator: no momentum, as gradient penalties need
(Gulrajani et al. 2017, arXiv 1704.00028, Algorithm 1)."""
