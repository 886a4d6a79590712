r"""Attention between the points of a cloud, and pooling by attention: the Set Transformer.

With heads h of c channels each, and norms LN before each step,

.. math::
    A_h(Q, X) &= \mathrm{softmax}\big(Q W^Q_h (X W^K_h)^\top / \sqrt{c}\big)\, X W^V_h \\
    X &\leftarrow X + A(\mathrm{LN}(X), \mathrm{LN}(X)) \\
    X &\leftarrow X + \mathrm{MLP}(\mathrm{LN}(X))

and for pooling learnt seeds S read from the points, :math:`S + A(S, X)`. Lee et al., "Set
Transformer: a framework for attention-based permutation-invariant neural networks", arXiv
1810.00825 (its norms come after the steps); norms first: Xiong et al., arXiv 2002.04745. The three
matrices have no bias: softmax does not depend on that of the keys, and that of the values comes out
as a constant.

Clouds stay ragged: rows are padded for the product of queries and keys and nowhere else. A cloud of
n points costs n² products for each head. Fused (torch's ``scaled_dot_product_attention``: Dao et
al., arXiv 2205.14135) they are in no memory, which is linear in n. That has no second derivative,
which the gradient penalty of a critic needs: where one is needed, the products are written out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.condition import expect_condition
from pcgen.nn.mlp import MLP
from pcgen.nn.network import Network
from pcgen.nn.points.encoder import PointReader
from pcgen.nn.pooling import Reduction, pool, scaled_sum
from pcgen.ops.padding import Padding
from pcgen.ops.ragged import Pointer, lengths, owners, to_dense, to_rows
from pcgen.ops.segments import segment_mean
from pcgen.standardize import channels

TOGETHER = 128
"""Points of the largest cloud up to which clouds are attended to at once, as padded rows."""


def attend_within(query: Tensor, key: Tensor, value: Tensor, ptr: Tensor) -> Tensor:
    """What each point reads from the points of its cloud; with any derivative.

    Args:
        query: [N, H, c].
        key: [N, H, c].
        value: [N, H, c].
        ptr: [B+1].

    Returns:
        [N, H, c].
    """
    if not torch.is_grad_enabled():
        return _fused(query, key, value, ptr)
    read: Tensor = _AttendWithin.apply(query, key, value, ptr)
    return read


class _AttendWithin(Function):
    """Fused, but for the second derivative; what the first one needs is kept for it."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, ptr: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, value, ptr)
        ctx.kept = _kept([query, key, value], ptr)
        read: Tensor = ctx.kept[1].detach()
        return read

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, ptr = ctx.saved_tensors
        inputs = [query, key, value]
        if torch.is_grad_enabled():  # with create_graph=True alone
            read = written_out(query, key, value, ptr)
            return (*torch.autograd.grad(read, inputs, slope, create_graph=True), None)
        leaves, read = _kept(inputs, ptr) if ctx.kept is None else ctx.kept
        ctx.kept = None  # for a second first derivative it is computed again
        # Of clouds without any point nothing is read.
        return (*torch.autograd.grad(read, leaves, slope, materialize_grads=True), None)


def _kept(inputs: Sequence[Tensor], ptr: Tensor) -> tuple[list[Tensor], Tensor]:
    """Leaves of a graph of its own, and what is read by them."""
    with torch.enable_grad():
        leaves = [each.detach().requires_grad_() for each in inputs]
        query, key, value = leaves
        return leaves, _fused(query, key, value, ptr)


def written_out(query: Tensor, key: Tensor, value: Tensor, ptr: Pointer) -> Tensor:
    """The same with all products in memory, as a graph of plain operations."""
    (q, k, v), present = _dense(query, key, value, ptr)
    return to_rows(_join(attend(q, k, v, present)), present, ptr).view_as(query)


def _fused(query: Tensor, key: Tensor, value: Tensor, ptr: Tensor) -> Tensor:
    """Clouds of hundreds of points one by one, smaller ones together."""
    sizes = lengths(ptr)
    fused = F.scaled_dot_product_attention
    if query.is_cpu and len(sizes) and int(sizes.max()) > TOGETHER:
        counts = sizes.tolist()
        split = [each.transpose(0, 1)[None].split(counts, 2) for each in (query, key, value)]
        clouds = zip(*split, strict=True)
        found = [fused(q, k, v)[0] for q, k, v in clouds if q.shape[2]]
        return torch.cat(found, 1).transpose(0, 1)
    (q, k, v), present = _dense(query, key, value, ptr)
    if not present.shape[1]:
        return query
    # A cloud without points reads zeros, and not nothing, which would be NaN.
    first = torch.zeros_like(present)
    first[:, 0] = sizes == 0
    read = fused(q, k, v, attn_mask=(present | first)[:, None, None])
    return to_rows(_join(read), present, ptr).view_as(query)


def _dense(query: Tensor, key: Tensor, value: Tensor, ptr: Pointer) -> tuple[Tensor, Tensor]:
    """Rows [N, H, c] of three kinds as [3, B, H, n, c], and where there are some [B, n]."""
    dense, present = to_dense(torch.stack([query, key, value], 1).flatten(1), ptr)
    return dense.unflatten(2, (3, *query.shape[1:])).permute(2, 0, 3, 1, 4), present


def attend(query: Tensor, key: Tensor, value: Tensor, present: Tensor) -> Tensor:
    """What each query reads from the points that are present; 0 where there are none.

    Written out, as torch's fused attention cannot be differentiated twice, which gradient penalties
    need.

    Args:
        query: [B, H, m, c].
        key: [B, H, n, c].
        value: [B, H, n, c]; 0 where no point is present.
        present: [B, n], true where a point stands.

    Returns:
        [B, H, m, c].
    """
    score = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    absent = ~present[:, None, None]
    # The smallest number and not -inf: a cloud without points has no NaN, and reads zeros.
    return score.masked_fill(absent, torch.finfo(score.dtype).min).softmax(-1) @ value


class SelfAttention(Network):
    """Each point reads from all points of its cloud.

    Args:
        channels: Channels C of a point.
        heads: Number of heads; divides C.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = _check_heads(channels, heads)
        self.read = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, ptr: Pointer) -> Tensor:
        """Points [N, C] of clouds -> [N, C]."""
        query, key, value = self.read(x).unflatten(1, (3, self.heads, -1)).unbind(1)
        if isinstance(ptr, Padding):
            return self.out(written_out(query, key, value, ptr).flatten(1))
        return self.out(attend_within(query, key, value, ptr).flatten(1))


class AttentionPool(Network):
    """Seeds that read from the points of a cloud: pooling by multi-head attention.

    The seeds read averages. What depends on how many points there are, such as a sum, needs
    another pooling beside it or the number of points in the condition.

    Args:
        channels: Channels C of a point.
        heads: Number of heads; divides C.
        seeds: Number S of seeds.
    """

    def __init__(self, channels: int, heads: int = 4, seeds: int = 1) -> None:
        super().__init__()
        self.heads = _check_heads(channels, heads)
        self.seeds = nn.Parameter(torch.randn(seeds, channels))
        self.query = nn.Linear(channels, channels, bias=False)
        self.read = nn.Linear(channels, 2 * channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        nn.init.normal_(self.seeds)
        super().reset_parameters()

    def forward(self, x: Tensor, ptr: Pointer) -> Tensor:
        """Points [N, C] of clouds -> [B, S C]; of an empty cloud a learnt constant."""
        dense, present = to_dense(self.read(x), ptr)
        key, value = (_split(part, self.heads) for part in dense.chunk(2, -1))
        query = _split(self.query(self.seeds)[None], self.heads)
        return (self.seeds + self.out(_join(attend(query, key, value, present)))).flatten(1)


class InducedAttention(Network):
    """Each point reads from a few seeds that have read from all points of its cloud.

    The induced set attention of the Set Transformer (ISAB): n points and m seeds cost n m products
    for each head, and not n².

    Args:
        channels: Channels C of a point.
        heads: Number of heads; divides C.
        seeds: Number m of learnt seeds.
    """

    def __init__(self, channels: int, heads: int = 4, seeds: int = 10) -> None:
        super().__init__()
        self.channels, self.heads = channels, _check_heads(channels, heads)
        self.seeds = AttentionPool(channels, heads, seeds)
        self.query = nn.Linear(channels, channels, bias=False)
        self.read = nn.Linear(channels, 2 * channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, ptr: Pointer) -> Tensor:
        """Points [N, C] of clouds -> [N, C]."""
        seeds = self.seeds(x, ptr).unflatten(1, (-1, self.channels))
        key, value = (_split(part, self.heads) for part in self.read(seeds).chunk(2, -1))
        dense, present = to_dense(self.query(x), ptr)
        every = torch.ones_like(seeds[..., 0], dtype=torch.bool)
        read = _join(attend(_split(dense, self.heads), key, value, every))
        return self.out(to_rows(read, present, ptr))


class CloudNorm(Network):
    """Layer normalisation of each point, scaled and shifted by the condition of its cloud.

    Args:
        channels: Channels C of a point.
        condition_channels: Columns K of the condition; 0 for learnt constants instead.
    """

    def __init__(self, channels: int, condition_channels: int = 0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=not condition_channels)
        self.film = nn.Linear(condition_channels, 2 * channels) if condition_channels else None

    def forward(self, x: Tensor, ptr: Pointer, y: Tensor | None = None) -> Tensor:
        """Points [N, C] and condition [B, K] -> [N, C]."""
        x = self.norm(x)
        if self.film is None:
            return x
        scale, shift = self.film(y)[owners(ptr, x.shape[0])].chunk(2, 1)
        return x * (1 + scale) + shift


class AttentionBlock(Network):
    """Self-attention and an MLP on each point, both after a norm and beside a shortcut.

    Args:
        channels: Channels C of a point.
        heads: Number of heads; divides C.
        condition_channels: Columns K of a condition that scales and shifts after the norms.
        expansion: Width of the MLP over C.
        induced: Seeds of :class:`InducedAttention`, in place of attention between all pairs; None
            for all pairs.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        condition_channels: int = 0,
        expansion: int = 2,
        induced: int | None = None,
    ) -> None:
        super().__init__()
        self.norm_attention = CloudNorm(channels, condition_channels)
        self.attention = (
            SelfAttention(channels, heads)
            if induced is None
            else InducedAttention(channels, heads, induced)
        )
        self.norm_mlp = CloudNorm(channels, condition_channels)
        self.mlp = MLP(channels, (expansion * channels,), channels, activation=nn.GELU)

    def forward(self, x: Tensor, ptr: Pointer, y: Tensor | None = None) -> Tensor:
        """Points [N, C] of clouds and their condition [B, K] -> [N, C]."""
        x = x + self.attention(self.norm_attention(x, ptr, y), ptr)
        return x + self.mlp(self.norm_mlp(x, ptr, y))


class AttentionEncoder(PointReader):
    """Encoder or critic of attention blocks: clouds to rows [B, out_channels].

    Args:
        in_channels: Channels of a point as in :func:`pcgen.standardize.channels`.
        out_channels: Channels of the result.
        hidden: Channels of a point inside.
        heads: Number of heads; divides ``hidden``.
        layers: Number of blocks.
        condition_channels: Columns K of the condition, which blocks and head see; 0 ignores it.
        seeds: Number of seeds of the :class:`AttentionPool`; 0 for none.
        pooling: Further reductions over the points, beside the seeds.
        induced: See :class:`AttentionBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int = 64,
        heads: int = 4,
        layers: int = 3,
        condition_channels: int = 0,
        seeds: int = 1,
        pooling: Sequence[Reduction] = (segment_mean, scaled_sum(0.01)),
        induced: int | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.condition_channels = condition_channels
        self.feature_channels = hidden
        self.pooling = tuple(pooling)
        self.point_in = nn.Linear(in_channels, hidden)
        self.blocks = nn.ModuleList(
            AttentionBlock(
                hidden, heads=heads, condition_channels=condition_channels, induced=induced
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.seeds = AttentionPool(hidden, heads, seeds) if seeds else None
        self.head = MLP(
            hidden * (seeds + len(self.pooling)),
            (hidden,),
            out_channels,
            condition_channels=condition_channels,
            activation=nn.GELU,
        )

    def features(self, clouds: Batch) -> Tensor:
        """Features of each point in its cloud [N, hidden]; the condition is ``clouds.y``."""
        y, x = None, channels(clouds, self.in_channels)
        if self.condition_channels:
            y = expect_condition(clouds.y, clouds.num_graphs, self.condition_channels).to(x.dtype)
        x = self.point_in(x)
        for block in self.blocks:
            x = block(x, clouds.ptr, y)
        return self.norm(x)

    def read(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """See :meth:`PointReader.read`."""
        seeds = () if self.seeds is None else (self.seeds,)
        features = self.features(clouds)
        pooled = pool(features, clouds.ptr, (*seeds, *self.pooling))
        return features, self.head(pooled, clouds.y if self.condition_channels else None)


def _check_heads(channels: int, heads: int) -> int:
    if heads < 1 or channels % heads:
        raise ArgumentError(f"heads: got {heads}, expected a divisor of {channels} channels")
    return heads


def _split(x: Tensor, heads: int) -> Tensor:
    """[B, n, H c] -> [B, H, n, c]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join(x: Tensor) -> Tensor:
    """[B, H, n, c] -> [B, n, H c]."""
    return x.transpose(1, 2).flatten(2)
