r"""Invariant networks and equivariant generators.

With a group of :mod:`pcgen.nn.invariance.poses` and f any backbone of the same kind (images or
clouds):

==============  =======================================================  ===========================
module          value                                                    law
==============  =======================================================  ===========================
FrameAverage    :math:`\frac{1}{|F(x)|} \sum_{p \in F(x)} f(p^{-1} x)`   f(g x) = f(x)
Canonical       :math:`f(p^{-1} x)`, p the canonical pose                f(g x) = f(x)
Posed           :math:`p f(p^{-1} x)`                                    f(g x) = g f(x)
RandomPose      :math:`p f(z)`, p uniformly random                       p(g x) = p(x), a density
TIPool          :math:`\max_{\varphi \in \Phi} f(\varphi(x))`            f(g x) = f(x), g in Φ
==============  =======================================================  ===========================

Averaging is as smooth as the frames (Puny et al., arXiv:2110.03336); the canonical pose
costs one pass of the backbone and jumps where the chosen frame changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.nn.invariance.poses import Group
from pcgen.nn.invariance.transformations import Signal, Transformation


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
        """Inputs of the generator -> what it generates, in random poses."""
        generated = self.generator(*inputs, generator=generator)
        return self.group.random(generated, generator).restore(generated)


class TIPool(nn.Module):
    """A backbone made invariant under a finite set of transformations.

    Laptev, Savinov, Buhmann and Pollefeys, "TI-pooling: transformation-invariant pooling for
    feature learning in convolutional neural networks", CVPR 2016, arXiv:1604.06318. It is invariant
    under Φ exactly where Φ is a group and acts without interpolation: quarter turns and flips of
    square grids, shifts of periodic ones, anything on clouds. With the mean in place of the maximum
    it is the average over the group (Reynolds operator).

    Args:
        backbone: Images [B, C, *shape] or clouds to rows [B, F].
        transformations: Φ, of :mod:`pcgen.nn.invariance.transformations`, the identity included.
        reduce: "max" as in the paper, or "mean".
    """

    def __init__(
        self,
        backbone: nn.Module,
        transformations: Sequence[Transformation],
        reduce: Literal["max", "mean"] = "max",
    ) -> None:
        super().__init__()
        if not transformations:
            raise ArgumentError("transformations: got none, expected at least the identity")
        if reduce not in ("max", "mean"):
            raise ArgumentError(f"reduce: got {reduce!r}, expected 'max' or 'mean'")
        self.backbone, self.transformations = backbone, tuple(transformations)
        self.reduce = reduce

    def forward(self, signal: Signal, *inputs: Any) -> Tensor:
        """Signals -> [B, F]; further inputs, a condition say, are passed on."""
        moved = (move(signal) for move in self.transformations)
        each = torch.stack([self.backbone(signal, *inputs) for signal in moved])
        return each.amax(0) if self.reduce == "max" else each.mean(0)
