r"""Real NVP: an invertible network with a tractable Jacobian, on rows of numbers.

Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", arXiv 1605.08803. A coupling
(section 3.2) leaves some columns A as they are and maps the others B given them,

.. math::
    y_A = x_A, \qquad y_B = x_B \odot e^{s(x_A, c)} + t(x_A, c), \qquad
    \log \left| \frac{\partial y}{\partial x} \right| = \sum s,

with a condition c. Its inverse is :math:`x_B = (y_B - t) \odot e^{-s}`, whatever the networks s and
t are. The next coupling maps the columns that this one left. s is bounded by a learnt multiple of
tanh (section 4.1), and networks start as zero, so the flow starts as the identity.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.nn.mlp import MLP
from pcgen.nn.network import Network


class AffineCoupling(Network):
    """One coupling.

    Args:
        channels: Columns of the rows.
        left: Columns that are left as they are, by their numbers.
        condition_channels: Columns K of the condition.
        hidden: Width of each hidden layer of the network of s and t.

    Raises:
        ArgumentError: no column is left, or none is mapped.
    """

    shown = ("condition_channels",)

    def __init__(
        self, channels: int, left: Sequence[int], *, condition_channels: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        # Plain numbers and no buffer: a model is built without memory before it is loaded.
        self.left = sorted(set(left))
        self.mapped = [column for column in range(channels) if column not in self.left]
        if not (self.left and self.mapped):
            raise ArgumentError(
                f"left: got {len(self.left)} of {channels} columns, expected some to be left as "
                "they are and some to be mapped"
            )
        self.condition_channels = condition_channels
        mapped = len(self.mapped)
        self.net = MLP(len(self.left), hidden, 2 * mapped, condition_channels=condition_channels)
        self.bound = nn.Parameter(torch.ones(mapped))
        self._begin()

    def _begin(self) -> None:
        """The coupling maps nothing."""
        nn.init.ones_(self.bound)
        nn.init.zeros_(self.net.out.weight)
        nn.init.zeros_(self.net.out.bias)

    def reset_parameters(self) -> None:
        """Draw all parameters again; the coupling starts as the identity."""
        super().reset_parameters()
        self._begin()

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rows [B, C] -> rows [B, C], and the logarithm of the Jacobian [B]."""
        log_scale, shift = self._given(x, condition)
        moved = x[:, self.mapped] * log_scale.exp() + shift
        return self._joined(x, moved), log_scale.sum(1)

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> Tensor:
        """The rows [B, C] that are mapped to these."""
        log_scale, shift = self._given(y, condition)
        return self._joined(y, (y[:, self.mapped] - shift) * (-log_scale).exp())

    def _given(self, rows: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        raw, shift = self.net(rows[:, self.left], condition).chunk(2, 1)
        return self.bound * raw.tanh(), shift

    def _joined(self, rows: Tensor, mapped: Tensor) -> Tensor:
        columns = rows.new_zeros(rows.shape)
        columns[:, self.left] = rows[:, self.left]
        columns[:, self.mapped] = mapped
        return columns


class RealNVP(Network):
    """Couplings in turn, on halves of the columns that change places, and are drawn anew in pairs.

    Args:
        channels: Columns C of the rows; one column has no halves, and is mapped given c alone.
        condition_channels: Columns K of the condition.
        couplings: Number of couplings.
        hidden: Width of each hidden layer.
        seed: Of the halves.

    Raises:
        ArgumentError: there is no coupling, or no column.

    >>> flow = RealNVP(3, couplings=4)
    >>> noise, log_volume = flow(torch.ones(2, 3))
    >>> noise.tolist() == torch.ones(2, 3).tolist(), log_volume.tolist()
    (True, [0.0, 0.0])
    """

    shown = ("channels", "condition_channels")

    def __init__(
        self,
        channels: int,
        *,
        condition_channels: int = 0,
        couplings: int = 8,
        hidden: Sequence[int] = (64, 64),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if channels < 1 or couplings < 1:
            raise ArgumentError(
                f"channels, couplings: got {channels}, {couplings}, expected at least 1"
            )
        self.channels, self.condition_channels = channels, condition_channels
        # A single column gets a second one of zeros beside it, which is always left.
        self.padded = max(channels, 2)
        draw = random.Random(seed)
        layers, left = [], [1]
        for number in range(couplings):
            if channels > 1 and number % 2 == 0:
                left = draw.sample(range(channels), channels // 2)
            elif channels > 1:
                left = [column for column in range(channels) if column not in left]
            layers.append(
                AffineCoupling(
                    self.padded, left, condition_channels=condition_channels, hidden=hidden
                )
            )
        self.couplings = nn.ModuleList(layers)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rows [B, C] -> noise [B, C], and the logarithm of the Jacobian [B]."""
        rows, log_volume = self._pad(x), x.new_zeros(len(x))
        for coupling in self.couplings:
            rows, step = coupling(rows, condition)
            log_volume = log_volume + step
        return rows[:, : self.channels], log_volume

    def inverse(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """The rows [B, C] whose noise [B, C] this is."""
        rows = self._pad(noise)
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, AffineCoupling)
            rows = coupling.inverse(rows, condition)
        return rows[:, : self.channels]

    def _pad(self, rows: Tensor) -> Tensor:
        return nn.functional.pad(rows, (0, self.padded - self.channels))
