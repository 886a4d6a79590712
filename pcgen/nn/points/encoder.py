"""What the encoders of points share: how they are called.

>>> from pcgen.nn import PointNet
>>> encoder = PointNet(3, 8)
>>> pos, x, batch = torch.rand(5, 2), torch.rand(5, 1), torch.tensor([0, 0, 1, 1, 1])
>>> torch.equal(encoder(x, pos, batch), encoder(pc.make(pos, [2, 3], x=x)))
True
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.network import Network


class PointEncoder(Network, ABC):
    """Encoder or critic: clouds to rows [B, out_channels]; abstract.

    It is called with a batch of clouds, or with the three tensors that networks of PyG take.
    Subclasses give :meth:`encode`.
    """

    shown: ClassVar[tuple[str, ...]] = ("in_channels", "out_channels", "condition_channels")
    in_channels: int
    out_channels: int
    condition_channels: int

    @abstractmethod
    def encode(self, clouds: Batch) -> Tensor:
        """Standardised clouds, with their condition as ``y`` [B, K] -> [B, out_channels]."""

    @overload
    def forward(self, clouds: Batch, condition: Tensor | None = None) -> Tensor: ...

    @overload
    def forward(
        self,
        x: Tensor | None,
        pos: Tensor,
        batch: Tensor | None = None,
        condition: Tensor | None = None,
        *,
        batch_size: int | None = None,
    ) -> Tensor: ...

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        """``(clouds, condition)`` or ``(x, pos, batch, condition)`` -> [B, out_channels].

        Args:
            inputs: A batch of standardised clouds and the condition [B, K], ``clouds.y`` if None;
                or the arguments of :func:`clouds_of`.
            named: The same by name: ``clouds``, ``condition``; ``x``, ``pos``, ``batch``,
                ``batch_size``.

        Raises:
            ArgumentError: a shape or the number of channels does not fit.
        """
        of_tensors = "pos" in named or (bool(inputs) and isinstance(inputs[0], Tensor | None))
        return self.encode((clouds_of if of_tensors else _conditioned)(*inputs, **named))


class PointReader(PointEncoder, ABC):
    """Encoder that also gives features of each point, in one pass; abstract.

    Subclasses give :meth:`read`.

    Attributes:
        feature_channels: Columns of the features of a point.
    """

    feature_channels: int

    @abstractmethod
    def read(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """Features of each point [N, feature_channels] and rows of clouds [B, out_channels].

        Args:
            clouds: Standardised, with their condition as ``y`` [B, K].
        """

    def features(self, clouds: Batch) -> Tensor:
        """Features of each point in its cloud [N, feature_channels]."""
        return self.read(clouds)[0]

    def encode(self, clouds: Batch) -> Tensor:
        """Standardised clouds, with their condition as ``y`` [B, K] -> [B, out_channels]."""
        return self.read(clouds)[1]


def clouds_of(
    x: Tensor | None,
    pos: Tensor,
    batch: Tensor | None = None,
    condition: Tensor | None = None,
    *,
    batch_size: int | None = None,
) -> Batch:
    """Clouds of the tensors that networks of PyG take.

    Args:
        x: Features [N, F], which stand behind the coordinates; None for none.
        pos: Coordinates [N, D].
        batch: Cloud of each point [N], ascending; None: all are one cloud.
        condition: [B, K].
        batch_size: B; None: one more than the largest number in ``batch``.

    Raises:
        ArgumentError: a shape does not fit, or ``batch`` is not ascending from 0 to below B.
    """
    if not isinstance(pos, Tensor):
        raise ArgumentError(f"pos: got {type(pos).__name__}, expected a tensor [N, D]")
    if batch is None:
        batch = torch.zeros(len(pos), dtype=torch.long, device=pos.device)
        batch_size = 1 if batch_size is None else batch_size
    if batch.dtype != torch.long or batch.shape != pos.shape[:1]:
        raise ArgumentError(
            f"batch: got {batch.dtype} {tuple(batch.shape)}, expected int64 [{len(pos)}]"
        )
    if bool((batch.diff() < 0).any()) or (len(batch) and int(batch[0]) < 0):
        raise ArgumentError("batch: got numbers out of order, expected ascending ones from 0")
    largest = int(batch[-1]) if len(batch) else -1
    number = largest + 1 if batch_size is None else batch_size
    if largest >= number:
        raise ArgumentError(f"batch: got a cloud {largest}, expected numbers below {number}")
    return pc.make(pos, torch.bincount(batch, minlength=number), x=x, y=condition)


def _conditioned(clouds: Batch, condition: Tensor | None = None) -> Batch:
    """The clouds with the condition [B, K] as their ``y``; as they are where none is given."""
    return clouds if condition is None else pc.replace(clouds, y=condition)
