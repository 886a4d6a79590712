r"""Convolutions at active sites: exactly the dense layer there, at the cost of what is active.

Let :math:`\hat x` be the image with zeros in inactive cells, or with the ground state :math:`g`
where the image carries one (:mod:`pcgen.nn.sparse.image`).

======================  ===========================================  ===============================
layer                   value at its output sites                    output sites
======================  ===========================================  ===============================
SubmanifoldConv         :math:`b + \sum_k \hat x_{o+k-(K-1)/2} W_k`  the input sites
SparseConv              :math:`b + \sum_k \hat x_{so-p+k} W_k`       windows with an active site
SparseInverseConv       :math:`b + \sum_{so-p+k=i} x_o W_k`          input sites of a SparseConv
SparseTransposedConv    :math:`b + \sum_{si-p+k=o} x_i W_k`          all that an active site reaches
======================  ===========================================  ===============================

The bias is added at output sites; a SparseConv makes the ground state
:math:`g' = b + g \sum_k W_k`, so that with one it is the dense layer in every cell. The other
three are defined for inactive cells of value 0 and refuse an image with ground state. Weights are
laid out and drawn as in torch's dense layers. Graham, arXiv:1409.6070; Graham and van der Maaten,
arXiv:1706.01307.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.nn.network import Network
from pcgen.nn.sparse.image import SparseImage
from pcgen.ops.lattice import Sites
from pcgen.ops.rulebooks import Window, strided, submanifold, transposed
from pcgen.ops.rules import Rulebook
from pcgen.ops.sparse_conv import convolve


class _Convolution(Network):
    """Weight and bias in torch's layout; abstract."""

    transposed = False
    shown = ("dimensions", "in_channels", "out_channels", "kernel")

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel: Window = 3,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if not 1 <= dimensions <= 4:
            raise ArgumentError(f"dimensions: got {dimensions}, expected 1 to 4")
        self.kernel = (kernel,) * dimensions if isinstance(kernel, int) else tuple(kernel)
        if len(self.kernel) != dimensions or min(self.kernel) < 1:
            raise ArgumentError(f"kernel: got {kernel}, expected {dimensions} positive sizes")
        self.dimensions = dimensions
        self.in_channels, self.out_channels = in_channels, out_channels
        channels = (out_channels, in_channels)
        rows, columns = channels[::-1] if self.transposed else channels
        self.weight = nn.Parameter(torch.empty(rows, columns, *self.kernel))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias again."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def _taps(self) -> Tensor:
        """The matrix of each tap [K, in_channels, out_channels]."""
        order = (2, 0, 1) if self.transposed else (2, 1, 0)
        return self.weight.flatten(2).permute(order).contiguous()

    def _convolve(self, x: Tensor, rules: Rulebook) -> Tensor:
        y = convolve(x, self._taps(), rules)
        return y if self.bias is None else y + self.bias


class SubmanifoldConv(_Convolution):
    """Convolution from the active sites to themselves, which no number of layers can blur.

    Equal to the dense layer of padding (K - 1) / 2 on the zero-filled image, at the active sites.

    Args:
        dimensions: Axes of the lattice, 1 to 4.
        in_channels: C.
        out_channels: C'.
        kernel: Odd sizes K.
        bias: Add one.
    """

    def forward(self, image: SparseImage) -> SparseImage:
        """[N, C] -> [N, C'] on the same sites."""
        _refuse_ground(image, self)
        rules = submanifold(image.sites, self.kernel)
        return SparseImage(self._convolve(image.x, rules), image.sites)


class SparseConv(_Convolution):
    """Convolution to every site whose window holds an active one.

    Args:
        dimensions: Axes of the lattice, 1 to 4.
        in_channels: C.
        out_channels: C'.
        kernel: Sizes K.
        stride: Of the windows.
        padding: Cells added at both ends of each axis.
        bias: Add one.
    """

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel: Window = 3,
        *,
        stride: Window = 1,
        padding: Window = 0,
        bias: bool = True,
    ) -> None:
        super().__init__(dimensions, in_channels, out_channels, kernel, bias=bias)
        self.stride, self.padding = stride, padding

    def forward(self, image: SparseImage) -> SparseImage:
        """[N, C] -> [M, C'] on the sites that are reached."""
        sites, rules = strided(image.sites, self.kernel, self.stride, self.padding)
        if image.ground is None:
            return SparseImage(self._convolve(image.x, rules), sites)
        # Only what differs from the ground state is convolved.
        of_ground = image.ground @ self._taps().sum(0)
        x = self._convolve(image.x - image.ground, rules) + of_ground
        return SparseImage(x, sites, of_ground if self.bias is None else of_ground + self.bias)


class SparseInverseConv(_Convolution):
    """Transposed convolution back to the input sites of a SparseConv or SparsePool.

    Args:
        dimensions: Axes of the lattice, 1 to 4.
        in_channels: C.
        out_channels: C'.
        kernel: Of that layer.
        stride: Of that layer.
        padding: Of that layer.
        bias: Add one.
    """

    transposed = True

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel: Window = 3,
        *,
        stride: Window = 1,
        padding: Window = 0,
        bias: bool = True,
    ) -> None:
        super().__init__(dimensions, in_channels, out_channels, kernel, bias=bias)
        self.stride, self.padding = stride, padding

    def forward(self, image: SparseImage, sites: Sites) -> SparseImage:
        """[M, C] -> [N, C'].

        Args:
            image: On the output sites of the layer that is inverted.
            sites: The input sites of that layer.

        Raises:
            ArgumentError: the layer leads from ``sites`` elsewhere.
        """
        _refuse_ground(image, self)
        step = strided(sites, self.kernel, self.stride, self.padding)
        if image.sites is not step.sites and not _same(image.sites, step.sites):
            raise ArgumentError(
                f"sites: got {len(sites)} in {sites.shape}, from which kernel {self.kernel}, "
                f"stride {self.stride} and padding {self.padding} lead to other sites than the "
                f"{len(image.sites)} in {image.sites.shape} of the image"
            )
        return SparseImage(self._convolve(image.x, step.rules.reverse), sites)


class SparseTransposedConv(_Convolution):
    """Transposed convolution to every site that an active one reaches.

    Args:
        dimensions: Axes of the lattice, 1 to 4.
        in_channels: C.
        out_channels: C'.
        kernel: Sizes K.
        stride: Of the windows in the output.
        padding: Cells taken from both ends of each axis of the output.
        output_padding: Cells added at the upper end of each axis.
        bias: Add one.
    """

    transposed = True

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel: Window = 3,
        *,
        stride: Window = 1,
        padding: Window = 0,
        output_padding: Window = 0,
        bias: bool = True,
    ) -> None:
        super().__init__(dimensions, in_channels, out_channels, kernel, bias=bias)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding

    def forward(self, image: SparseImage) -> SparseImage:
        """[N, C] -> [M, C'] on the sites that are reached."""
        _refuse_ground(image, self)
        sites, rules = transposed(
            image.sites, self.kernel, self.stride, self.padding, self.output_padding
        )
        return SparseImage(self._convolve(image.x, rules), sites)


def _refuse_ground(image: SparseImage, layer: nn.Module) -> None:
    if image.ground is not None:
        raise ArgumentError(
            f"image: got one with a ground state, expected one without for {type(layer).__name__}, "
            "to which inactive cells are zero"
        )


def _same(one: Sites, other: Sites) -> bool:
    return (
        one.shape == other.shape
        and torch.equal(one.ptr, other.ptr)
        and torch.equal(one.cell, other.cell)
    )
