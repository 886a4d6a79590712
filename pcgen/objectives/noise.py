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
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.drawing import normal


@dataclass(frozen=True)
class InstanceNoise:
    """Normal noise on the values of events, real and generated alike.

    Attributes:
        scale: s, standard deviation in units of the standardised values at the start of a run.
        ratio: r, the scale at the end of the run over that at the start.

    Raises:
        ArgumentError: the scale is negative, or the ratio not in (0, 1].

    >>> InstanceNoise(0.5)(torch.zeros(2, 3), done=1.0).shape
    torch.Size([2, 3])
    """

    scale: float
    ratio: float = 0.01

    def __post_init__(self) -> None:
        if not self.scale >= 0.0:
            raise ArgumentError(f"noise: got {self.scale}, expected >= 0")
        annealed(self.scale, self.ratio, 0.0)

    def __call__(
        self, values: Tensor, done: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """Values of any shape with noise, differentiable in the values.

        Args:
            values: Pixels, point channels or codes.
            done: Fraction of the run that is done, t.
            generator: Draws the noise.
        """
        scale = annealed(self.scale, self.ratio, done)
        return values + scale * normal(tuple(values.shape), values, generator)


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
