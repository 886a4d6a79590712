r"""Pooling and normalisation of sparse images: what is inactive does not count.

======  ======================================  ====================================================
layer   without ground state                    with ground state g
======  ======================================  ====================================================
max     over the active sites of the window     over all its cells, the inactive ones being g
mean    over the active sites of the window     over all its cells: the dense average pooling
sum     over the active sites of the window     over all its cells
======  ======================================  ====================================================

The output sites are those of a :class:`~pcgen.nn.SparseConv` of the same window. For features
that are nowhere negative (behind a ReLU) the maximum without ground state is the dense one too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.nn.network import Network
from pcgen.nn.pooling import Reduction, pool
from pcgen.nn.sparse.image import SparseImage
from pcgen.ops.rulebooks import Window, strided
from pcgen.ops.segments import segment_max, segment_mean
from pcgen.ops.sparse_pool import Reduce, reduce_windows


class SparsePool(nn.Module):
    """Reduce the window of each output site to one row.

    Args:
        kernel: Sizes of the window.
        reduce: "max", "mean" or "sum".
        stride: Of the windows; None for side by side.
        padding: Cells added at both ends of each axis, of the value of inactive ones.
    """

    def __init__(
        self,
        kernel: Window,
        reduce: Reduce = "max",
        *,
        stride: Window | None = None,
        padding: Window = 0,
    ) -> None:
        super().__init__()
        self.kernel, self.reduce, self.padding = kernel, reduce, padding
        self.stride = kernel if stride is None else stride

    def forward(self, image: SparseImage) -> SparseImage:
        """[N, C] -> [M, C] on the sites whose window holds an active one."""
        sites, rules = strided(image.sites, self.kernel, self.stride, self.padding)
        x = reduce_windows(image.x, rules, self.reduce, ground=image.ground)
        ground = image.ground
        if ground is not None and self.reduce == "sum":
            ground = len(rules.counts) * ground
        return SparseImage(x, sites, ground)


class GlobalPool(nn.Module):
    """Reductions over the active sites of each event, side by side.

    The ground state does not count; an event without active sites is a row of zeros.

    Args:
        reductions: Functions of rows and pointer, of :mod:`pcgen.ops.segments`.
    """

    def __init__(self, reductions: Sequence[Reduction] = (segment_max, segment_mean)) -> None:
        super().__init__()
        self.reductions = tuple(reductions)

    def forward(self, image: SparseImage) -> Tensor:
        """[N, C] -> [B, len(reductions) * C]."""
        return pool(image.x, image.sites.ptr, self.reductions)


class SiteNorm(Network):
    r"""Batch normalisation over the active sites of all events.

    .. math:: y_i = \gamma (x_i - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta

    with mean and variance over the N active sites of the batch while training, and their running
    averages otherwise. A batch of fewer than two active sites has no variance: it is normalised
    with the running averages and does not change them. The ground state goes through the same map
    and does not count in the averages. Ioffe and Szegedy, arXiv:1502.03167.

    Args:
        channels: C.
        momentum: Share of a batch in the running averages.
        epsilon: Added to the variance.
    """

    shown = ("channels", "momentum", "epsilon")

    def __init__(self, channels: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        if not (0 <= momentum <= 1 and 0 < epsilon < math.inf):
            raise ArgumentError(
                f"momentum, epsilon: got {momentum}, {epsilon}, expected 0 to 1 and a number > 0"
            )
        self.channels, self.momentum, self.epsilon = channels, momentum, epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def reset_parameters(self) -> None:
        """Start again with the identity, and without running averages."""
        for one in (self.weight, self.variance):
            nn.init.ones_(one)
        for zero in (self.bias, self.mean):
            nn.init.zeros_(zero)

    def forward(self, image: SparseImage) -> SparseImage:
        """[N, C] -> [N, C]."""
        x, number = image.x, len(image.x)
        if self.training and number > 1:
            variance, mean = torch.var_mean(x, 0, correction=0)
            with torch.no_grad():
                # As in torch, the running variance is the unbiased one.
                unbiased = variance * (number / (number - 1))
                self.mean.lerp_(mean.to(self.mean.dtype), self.momentum)
                self.variance.lerp_(unbiased.to(self.variance.dtype), self.momentum)
        else:
            variance, mean = self.variance, self.mean
        scale = self.weight * (variance + self.epsilon).rsqrt()
        return image.map(lambda rows: (rows - mean) * scale + self.bias)
