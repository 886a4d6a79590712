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
max. likelihood log(1 + exp t)      Goodfellow 2016, arXiv 1701.00160, :math:`L_G = -E \exp D(G)`
=============== =================== ==============================================================

Where the generator's link is not f it is given beside it. The gradient of maximum likelihood is
that of KL(p, q) in q where the critic is the best one, as then exp D = p / q.

Labels of the critic can be softened. With a share s (smoothing) the real samples are labelled real
to 1 - s only (Salimans et al. 2016, arXiv 1606.03498: one side, as a smoothed label of generated
samples would hold them where they are), and with the probability ρ (flipping) the label of a sample
is wrong (de Oliveira et al. 2017, arXiv 1701.05927: 5 %):

.. math::
    L_D = E[(1 - s) f(-D(x)) + s f(D(x))] + E f(D(G)), \qquad
    f(t) \to f(\pm t), \quad P(-) = \rho

``dataclasses.replace(NON_SATURATING, smoothing=0.1)`` is such a game. In the Wasserstein game
smoothed labels are refused: a constant that is added to D would lower the loss without end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.ops.drawing import uniform

Link = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Game:
    """Losses of critic and generator from the critic's logits.

    Attributes:
        link: f, increasing.
        paired: Compare the b-th generated sample with the b-th real one.
        generator_link: f of the generator; None: the same.
        smoothing: s, what real samples lack of the label real, in [0, 1/2).
        flipping: ρ, probability of a wrong label, in [0, 1/2).

    Raises:
        ArgumentError: a share is out of range, or the game has no labels that could be smoothed.

    >>> import torch
    >>> WASSERSTEIN.critic_loss(torch.tensor([3.0]), torch.tensor([1.0])).tolist()
    [-2.0]
    """

    link: Link
    paired: bool = False
    generator_link: Link | None = None
    smoothing: float = 0.0
    flipping: float = 0.0

    def __post_init__(self) -> None:
        for name in ("smoothing", "flipping"):
            share = getattr(self, name)
            if not 0.0 <= share < 0.5:
                raise ArgumentError(f"{name}: got {share}, expected a share in [0, 0.5)")
        if self.smoothing and (self.paired or self.link is _identity):
            kind = "paired" if self.paired else "the Wasserstein game"
            raise ArgumentError(
                f"smoothing: got {self.smoothing}, expected 0, as this game is {kind}, which has "
                "no labels"
            )

    def critic_loss(
        self, real: Tensor, generated: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Logits [B] or [B, 1] of real and of generated samples -> [B], to be minimised.

        Args:
            real: Logits of real samples.
            generated: As many of generated ones.
            generator: Draws the labels that are wrong.

        Raises:
            ArgumentError: the two are not equally many.
        """
        real, generated = _pair(real, generated)
        if self.paired:
            return self.link(self._flipped(generated - real, generator))
        at_real = self._flipped(-real, generator)
        loss = self.link(at_real)
        if self.smoothing:
            loss = (1.0 - self.smoothing) * loss + self.smoothing * self.link(-at_real)
        return loss + self.link(self._flipped(generated, generator))

    def _flipped(self, t: Tensor, generator: torch.Generator | None) -> Tensor:
        if not self.flipping:
            return t
        return torch.where(uniform(tuple(t.shape), t, generator) < self.flipping, -t, t)

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


def _likelihood(t: Tensor) -> Tensor:
    return -torch.exp(-t)


NON_SATURATING = Game(F.softplus)
SATURATING = Game(F.softplus, generator_link=_minimax)
WASSERSTEIN = Game(_identity)
HINGE = Game(_hinge, generator_link=_identity)
LEAST_SQUARES = Game(_square)
RELATIVISTIC = Game(F.softplus, paired=True)
MAXIMUM_LIKELIHOOD = Game(F.softplus, generator_link=_likelihood)

OPTIMISER: Mapping[str, Any] = {"lr": 2e-3, "betas": (0.0, 0.9)}
"""Options of the optimiser of critic and generator: no momentum, as gradient penalties need
(Gulrajani et al. 2017, arXiv 1704.00028, Algorithm 1)."""
