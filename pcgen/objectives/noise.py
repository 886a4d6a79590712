r"""Instance noise: critics compare blurred events, whose supports overlap.

.. math:: L_D = E f(-D(x + s_t \epsilon)) + E f(D(G + s_t \epsilon')), \qquad \epsilon \sim N(0, 1)

(Arjovsky and Bottou 2017, arXiv 1701.04862; Sønderby et al. 2017, arXiv 1610.04490), with a scale
that falls from s to a r in the run: s_t = s r^t, t from 0 to 1 (:func:`annealed`).

What the noise is added to is what the representation of events calls their values, in standardised
units, and that is all the difference between the two readings of one remedy:

============== ============================= =====================================================
representation values                        signal to noise of an event of a active cells out of n
============== ============================= =====================================================
images         intensities of all pixels     sum over a of intensity² / (n s²): falls with occupancy
points         coordinates and log energies  independent of n; every multiplicity stays as it is
codes          the code                      the codes are dense
============== ============================= =====================================================

Networks that ask which cells are active have no such noise: it would open all of them.

The scale can also follow the critic (:class:`NoiseLevel`), by the rule of Diffusion-GAN (Wang et
al. 2022, arXiv 2206.02262, section 3.3), with the logit D, so that σ(D) > 1/2 where D > 0:

.. math::
    s_{t+1} = s \min(1, \max(r, l_{t+1})), \qquad
    l_{t+1} = l_t + C\, \mathrm{sign}(E[\mathrm{sign}\, D(x + s_t \epsilon)] - d).

A critic that is too sure of real events makes the noise grow, one that is not makes it fall. There
the scale is that of a mixture of many; here it is the scale of all events.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.ops.drawing import normal

RISE = 1e-3
"""C of :class:`NoiseLevel`: from none to all of the noise in 1000 steps of the critic."""


@dataclass(frozen=True)
class InstanceNoise:
    """Normal noise on the values of events, real and generated alike.

    Attributes:
        scale: s, standard deviation in units of the standardised values at the start of a run.
        ratio: r, the scale at the end of the run over that at the start; or the smallest over the
            largest, where it follows the critic.
        target: d, mean sign of the critic's logit of real events to which the scale is regulated,
            in (-1, 1); None: the scale is a function of the run alone.

    Raises:
        ArgumentError: the scale is negative, or the ratio not in (0, 1], or the target not in
            (-1, 1).

    >>> InstanceNoise(0.5)(torch.zeros(2, 3), done=1.0).shape
    torch.Size([2, 3])
    """

    scale: float
    ratio: float = 0.01
    target: float | None = None

    def __post_init__(self) -> None:
        if not self.scale >= 0.0:
            raise ArgumentError(f"noise: got {self.scale}, expected >= 0")
        if self.target is not None and not -1.0 < self.target < 1.0:
            raise ArgumentError(f"target: got {self.target}, expected a number in (-1, 1)")
        annealed(self.scale, self.ratio, 0.0)

    def __call__(
        self,
        values: Tensor,
        done: float,
        generator: torch.Generator | None = None,
        *,
        level: NoiseLevel | None = None,
    ) -> Tensor:
        """Values of any shape with noise, differentiable in the values.

        Args:
            values: Pixels, point channels or codes.
            done: Fraction of the run that is done, t.
            generator: Draws the noise.
            level: What the scale follows, where there is a target.

        Raises:
            ArgumentError: there is a target and no level.
        """
        scale: float | Tensor = annealed(self.scale, self.ratio, done)
        if self.target is not None:
            if level is None:
                raise ArgumentError("level: got none, expected one for noise with a target")
            scale = self.scale * level.value.to(values)
        return values + scale * normal(tuple(values.shape), values, generator)


class NoiseLevel(nn.Module):
    """Share l of the largest scale of adaptive noise; a buffer, so that a run is resumed exactly.

    It starts at the smallest, and moves in training mode only.

    Args:
        noise: With a target.

    Raises:
        ArgumentError: the noise has none.

    >>> level = NoiseLevel(InstanceNoise(0.5, ratio=0.01, target=0.6))
    >>> level.hear(torch.tensor([3.0, 2.0]))
    >>> round(level.value.item(), 3)
    0.011
    """

    value: Tensor

    def __init__(self, noise: InstanceNoise) -> None:
        super().__init__()
        if noise.target is None:
            raise ArgumentError("target: got none, expected one for noise that follows a critic")
        self.least, self.target = noise.ratio, noise.target
        self.register_buffer("value", torch.tensor(noise.ratio))

    @torch.no_grad()
    def hear(self, logit: Tensor) -> None:
        """Move by C towards where the critic's logits of real events [B] have the target.

        Args:
            logit: [B] or [B, 1]; of none the level stays.
        """
        if not self.training or not logit.numel():
            return
        excess = logit.sign().mean().to(self.value) - self.target
        self.value.add_(RISE * excess.sign()).clamp_(self.least, 1.0)


def annealed(start: float, ratio: float, done: float) -> float:
    """start · ratio^done: the number that falls by the factor ``ratio`` in a run.

    It is the schedule of Roth et al. 2017, arXiv 1705.09367, with ratio 0.01.

    Raises:
        ArgumentError: the ratio is not in (0, 1].

    >>> [round(annealed(2.0, 0.01, done), 3) for done in (0.0, 0.5, 1.0)]
    [2.0, 0.2, 0.02]
    """
    if not 0.0 < ratio <= 1.0:
        raise ArgumentError(f"annealing: got {ratio}, expected a ratio in (0, 1]")
    return start if ratio == 1.0 else start * ratio**done
