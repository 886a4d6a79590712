r"""Convolutions that average over what is observed, so that its density does not set their scale.

At an output cell whose window has K cells, of which those with o = 1 are observed and the others
(and all beyond the edge) are not, with :math:`n = \sum_k o_k` and sums over the window and the
channels:

=====================  ===================================================  =========  ============
layer                  value                                                if n = 0   next map
=====================  ===================================================  =========  ============
SparsityInvariantConv  :math:`b + \sum w o x / n`                           b          n > 0
PartialConv            :math:`b + K \sum w o x / n`                         0          n > 0
NormalizedConv         :math:`b + \sum \gamma c x / \sum \gamma c`          b          see below
=====================  ===================================================  =========  ============

Sparsity-invariant: Uhrig et al., "Sparsity invariant CNNs", arXiv:1708.06500;
the next map is the maximum of the window. Partial: Liu et al., arXiv:1804.07723.
Normalised: Knutsson and Westin, CVPR 1993, with Eldesokey et al., arXiv:1811.01791: weights
:math:`\gamma = \mathrm{softplus}(w) > 0`, confidences c in place of o, and the next confidence
:math:`\sum \gamma c / \sum \gamma`. Where those add a small number to the divisor, 0 / 0 is 0 here.

If the map is exchangeable and independent of x, then :math:`E[o_k / n \mid n > 0] = 1 / K`, so the
expectation of the first two is that of a fully observed image at every density, while that of a
plain convolution grows with it. It holds in the mean, for one linear layer, and not through
nonlinearities. What it costs is the density itself, which may be information: ``density`` gives
:math:`n / K` (or the next confidence) back, as one more input channel with a kernel of one cell,
which starts at 0 (the density channel of Gordon et al., arXiv:1910.13556).

**Initial weights.** A mean over n independent taps has the variance of a sum of K divided by K n,
so weights drawn as for a plain layer would be too small by :math:`\sqrt{K n}` (by K if all is
observed, by the root of K if a single cell is). They are drawn as torch draws them and scaled so
that outputs start with the variance of the plain layer where the ``expected`` fraction of a
window is observed. A partial convolution is the same function of weights K times smaller, to which
the steps of Adam are K times larger: it learns at the rates of plain layers, the mean slower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.nn.network import Network
from pcgen.nn.observed.image import ObservedImage

_CONVOLVE = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSE = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


class _ObservedConv(Network):
    """Windows, parameters and their initial scale; abstract."""

    transposed = False
    shown = ("dimensions", "in_channels", "out_channels", "kernel", "stride")
    mean = True  # of the observed taps, rather than scaled up to a sum over all

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int] = 3,
        *,
        stride: int = 1,
        padding: int | Sequence[int] = 0,
        bias: bool = True,
        density: bool = False,
        expected: float = 1.0,
    ) -> None:
        super().__init__()
        if not 1 <= dimensions <= 3:
            raise ArgumentError(f"dimensions: got {dimensions}, expected 1 to 3")
        self.kernel = (kernel,) * dimensions if isinstance(kernel, int) else tuple(kernel)
        if len(self.kernel) != dimensions or min(self.kernel) < 1:
            raise ArgumentError(f"kernel: got {kernel}, expected {dimensions} positive sizes")
        if not 0 < expected <= 1:
            raise ArgumentError(f"expected: got {expected}, expected a fraction above 0, up to 1")
        self.dimensions, self.stride, self.padding = dimensions, stride, padding
        # Taps that reach an output cell: a transposed window leaves out all but one in stride.
        self.taps = math.prod(self.kernel)
        if self.transposed:
            self.taps /= stride**dimensions
        self.in_channels, self.out_channels, self.expected = in_channels, out_channels, expected
        channels = (out_channels, in_channels)
        rows, columns = channels[::-1] if self.transposed else channels
        self.weight = nn.Parameter(torch.empty(rows, columns, *self.kernel))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.density = nn.Parameter(torch.empty(out_channels)) if density else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias again, and start the density channel at 0."""
        bound = 1 / math.sqrt(self.in_channels * self.taps)
        scale = math.sqrt(max(self.expected, 1 / self.taps)) * (self.taps if self.mean else 1)
        with torch.no_grad():
            self.weight.uniform_(-bound, bound).mul_(scale)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)
        if self.density is not None:
            nn.init.zeros_(self.density)

    def _sum(self, x: Tensor, weight: Tensor) -> Tensor:
        kinds = _TRANSPOSE if self.transposed else _CONVOLVE
        return kinds[self.dimensions - 1](x, weight, stride=self.stride, padding=self.padding)

    def _number(self, image: ObservedImage) -> Tensor:
        """Observed cells of each window, averaged over channels [B, 1, *shape]."""
        observed = (image.observed > 0).to(image.x.dtype)
        ones = self.weight.new_ones(1, 1, *self.kernel)
        # Rounded, since a fast convolution may be off by a rounding error where there is none.
        total = self._sum(observed.sum(1, keepdim=True), ones).round()
        return total / observed.shape[1]

    def _average(self, image: ObservedImage) -> ObservedImage:
        number = self._number(image)
        y = _divide(self._sum(image.known, self.weight), number)
        y = y if self.mean else self.taps * y
        return ObservedImage(self._shift(y, number / self.taps), (number > 0).to(y.dtype))

    def _shift(self, y: Tensor, density: Tensor) -> Tensor:
        """Add what the density channel and the bias give."""
        shape = (-1, *[1] * self.dimensions)
        if self.density is not None:
            y = y + self.density.view(shape) * density
        return y if self.bias is None else y + self.bias.view(shape)


class SparsityInvariantConv(_ObservedConv):
    """Mean of the weighted observed cells of each window.

    Args:
        dimensions: Axes of the image, 1 to 3.
        in_channels: C.
        out_channels: C'.
        kernel: Sizes of the window.
        stride: Of the windows.
        padding: Unobserved cells added at both ends of each axis.
        bias: Add one, behind the division.
        density: Let the layer see which fraction of the window is observed.
        expected: Fraction of a window that is expected to be observed, for the initial weights.

    >>> layer = SparsityInvariantConv(1, 1, 1, 2, bias=False)
    >>> _ = nn.init.ones_(layer.weight)
    >>> image = torch.tensor([[[4.0, 2.0, float("nan"), float("nan")]]])
    >>> y = layer(ObservedImage.from_dense(image, image.isfinite()))
    >>> y.x.tolist(), y.observed.tolist()
    ([[[3.0, 2.0, 0.0]]], [[[1.0, 1.0, 0.0]]])
    """

    def forward(self, image: ObservedImage) -> ObservedImage:
        """[B, C, *shape] -> [B, C', *shape']."""
        return self._average(image)


class SparsityInvariantTransposedConv(_ObservedConv):
    """Mean of the weighted observed cells that a transposed convolution brings to each output.

    Args:
        dimensions: Axes of the image, 1 to 3.
        in_channels: C.
        out_channels: C'.
        kernel: Sizes of the window.
        stride: Of the windows in the output.
        padding: Cells taken from both ends of each axis of the output.
        bias: Add one, behind the division.
        density: Let the layer see which fraction of its taps is observed.
        expected: Fraction of the taps that is expected to be observed, for the initial weights.
    """

    transposed = True

    def forward(self, image: ObservedImage) -> ObservedImage:
        """[B, C, *shape] -> [B, C', *shape']."""
        return self._average(image)


class PartialConv(_ObservedConv):
    """A plain convolution, scaled up by how much of each window is missing; 0 if all of it is.

    Args: as of :class:`SparsityInvariantConv`.
    """

    mean = False

    def forward(self, image: ObservedImage) -> ObservedImage:
        """[B, C, *shape] -> [B, C', *shape']."""
        y = self._average(image)
        return ObservedImage(y.known, y.observed)


class NormalizedConv(_ObservedConv):
    """Weighted mean of each window, with confidences in and out.

    The result lies between the smallest and the largest known value (before the bias), since the
    weights are positive; weights start as softplus of standard normal numbers, whatever is
    ``expected``. Confidences are differentiable, and those of the output belong to its channels.

    Args: as of :class:`SparsityInvariantConv`.
    """

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int] = 3,
        *,
        stride: int = 1,
        padding: int | Sequence[int] = 0,
        bias: bool = True,
        density: bool = False,
    ) -> None:
        super().__init__(
            dimensions,
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=padding,
            bias=bias,
            density=density,
        )

    def reset_parameters(self) -> None:
        """Draw weight and bias again, and start the density channel at 0."""
        super().reset_parameters()
        nn.init.normal_(self.weight)

    def forward(self, image: ObservedImage) -> ObservedImage:
        """[B, C, *shape] -> [B, C', *shape']."""
        weight = F.softplus(self.weight)
        confidence = self._sum(image.observed.expand_as(image.x), weight)
        # A fast convolution may be off by a rounding error where nothing is known.
        confidence = torch.where(self._number(image) > 0, confidence, 0)
        y = _divide(self._sum(image.known * image.observed, weight), confidence)
        confidence = confidence / weight.flatten(1).sum(1).view(-1, *[1] * self.dimensions)
        return ObservedImage(self._shift(y, confidence), confidence)


def _divide(value: Tensor, by: Tensor) -> Tensor:
    """value / by, and 0 with gradient 0 where ``by`` is 0."""
    return torch.where(by > 0, value / torch.where(by > 0, by, 1), 0)
