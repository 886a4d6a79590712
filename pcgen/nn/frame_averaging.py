r"""Networks that do not care how a signal lies, and generators that put what they make as it lay.

With a group of :mod:`pcgen.nn.poses` and f any backbone of the same kind (images or clouds):

==============  =======================================================  ===========================
module          value                                                    law
==============  =======================================================  ===========================
FrameAverage    :math:`\frac{1}{|F(x)|} \sum_{p \in F(x)} f(p^{-1} x)`   f(g x) = f(x)
Canonical       :math:`f(p^{-1} x)`, p the canonical pose                f(g x) = f(x)
Posed           :math:`p f(p^{-1} x)`                                    f(g x) = g f(x)
RandomPose      :math:`p f(z)`, p uniformly random                       p(g x) = p(x), a density
==============  =======================================================  ===========================

Averaging is as smooth as the frames (Puny et al., arXiv:2110.03336); the canonical pose
costs one pass of the backbone and jumps where the chosen frame changes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pcgen.nn.poses import Group


class FrameAverage(nn.Module):
    """A backbone made invariant: the mean over the frames of each signal.

    Args:
        backbone: Images [B, C, *shape] or clouds to rows [B, F].
        group: :class:`~pcgen.nn.Euclidean` for clouds, :class:`~pcgen.nn.GridGroup` for images.
    """

    def __init__(self, backbone: nn.Module, group: Group) -> None:
        super().__init__()
        self.backbone, self.group = backbone, group

    def forward(self, signal: Any, *inputs: Any) -> Tensor:
        """Signals -> [B, F]; further inputs, a condition say, are passed on."""
        upright = (pose.standard(signal) for pose in self.group.frames(signal))
        return torch.stack([self.backbone(each, *inputs) for each in upright]).mean(0)


class Canonical(nn.Module):
    """A backbone made invariant: it sees every signal upright.

    Args:
        backbone: Images [B, C, *shape] or clouds to rows [B, F].
        group: :class:`~pcgen.nn.Euclidean` for clouds, :class:`~pcgen.nn.GridGroup` for images.
    """

    def __init__(self, backbone: nn.Module, group: Group) -> None:
        super().__init__()
        self.backbone, self.group = backbone, group

    def forward(self, signal: Any, *inputs: Any) -> Tensor:
        """Signals -> [B, F]; further inputs, a condition say, are passed on."""
        return self.backbone(self.group.canonical(signal).standard(signal), *inputs)


class Posed(nn.Module):
    """A generator from signals to signals made equivariant: upright, generate, put back.

    Args:
        generator: Signals to as many signals of the same kind; further arguments are passed on.
        group: As of :class:`Canonical`.
    """

    def __init__(self, generator: nn.Module, group: Group) -> None:
        super().__init__()
        self.generator, self.group = generator, group

    def forward(self, signal: Any, *inputs: Any, **options: Any) -> Any:
        """Signals -> generated signals, lying as the given ones."""
        pose = self.group.canonical(signal)
        return pose.restore(self.generator(pose.standard(signal), *inputs, **options))


class RandomPose(nn.Module):
    """A generator of upright signals made to give every pose with the same probability.

    It is trained on signals that were put upright (``group.canonical(x).standard(x)``).

    Args:
        generator: Codes or noise to clouds or images, with ``generator=`` for its random numbers.
        group: As of :class:`Canonical`; translations are left out.
    """

    def __init__(self, generator: nn.Module, group: Group) -> None:
        super().__init__()
        self.generator, self.group = generator, group

    def forward(self, *inputs: Any, generator: torch.Generator | None = None) -> Any:
        """Inputs of the generator -> what it makes of them, in random poses."""
        made = self.generator(*inputs, generator=generator)
        return self.group.random(made, generator).restore(made)
