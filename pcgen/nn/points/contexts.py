r"""Networks of points that are generated from a context: reading it, and attending to it.

A *reader* is any encoder of points: it turns the context :math:`c` of an event into features
:math:`h_j` of its points and one row :math:`g` of the whole. A *field on a context* is any field,
whose points first read from those features by attention across the two clouds,

.. math::
    q_i &= W [x_i, \gamma(t), y, g] \\
    q_i &\leftarrow q_i + A(\mathrm{LN}(q_i), h), \qquad
    q_i \leftarrow q_i + \mathrm{MLP}(\mathrm{LN}(q_i)) \qquad\text{(some rounds)} \\
    v_i &= \text{field}\big([x_i, q_i], t, [y, g]\big),

with A as in :mod:`pcgen.nn.points.attention`, its keys and values those of the context. So every
field takes contexts, and none knows of them. The points stay exchangeable, and so do those of the
context. Parnassus (Dreyer et al., arXiv 2406.01620) attends across clouds in the same way.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.condition import Context, expect_condition
from pcgen.nn.mlp import MLP
from pcgen.nn.network import Network
from pcgen.nn.points.attention import attend
from pcgen.nn.points.encoder import PointReader
from pcgen.nn.points.epic import beside
from pcgen.ops.ragged import Pointer, lengths, to_dense, to_rows
from pcgen.standardize import channels


class CrossAttention(Network):
    """Each point of a cloud reads from all points of another cloud.

    Args:
        channels: Channels C of a point that reads.
        context_channels: Channels of a point that is read.
        heads: Number of heads; divides C.
        fused: Without a second derivative, which is faster.
    """

    def __init__(
        self, channels: int, context_channels: int, heads: int = 4, *, fused: bool = False
    ) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise ArgumentError(f"heads: got {heads}, expected a divisor of {channels} channels")
        self.heads, self.fused = heads, fused
        self.query = nn.Linear(channels, channels, bias=False)
        self.read = nn.Linear(context_channels, 2 * channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, ptr: Pointer, context: Tensor, context_ptr: Pointer) -> Tensor:
        """Points [N, C] of clouds and [M, C'] of their contexts -> [N, C]; of an empty one 0."""
        query, asking = to_dense(self.query(x), ptr)
        keys, present = to_dense(self.read(context), context_ptr)
        if not keys.shape[1]:
            return self.out(torch.zeros_like(x))
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (query, *keys.chunk(2, -1))
        )
        if self.fused:
            # A context without points is read as one of zeros, and not as nothing, which is NaN.
            first = torch.zeros_like(present)
            first[:, 0] = lengths(context_ptr) == 0
            read = F.scaled_dot_product_attention(q, k, v, (present | first)[:, None, None])
        else:
            read = attend(q, k, v, present)
        return self.out(to_rows(read.transpose(1, 2).flatten(2), asking, ptr))


class ContextReader(Network):
    """What networks take of a context, by any encoder of points.

    Args:
        encoder: Of the contexts, with their summary as its condition.
    """

    def __init__(self, encoder: PointReader) -> None:
        super().__init__()
        self.encoder = encoder
        self.feature_channels, self.out_channels = encoder.feature_channels, encoder.out_channels
        self.norm = nn.LayerNorm(encoder.feature_channels)

    def forward(self, event: Batch) -> Batch:
        """The event with the features of its context as ``pos`` and the row of the whole as ``y``.

        Raises:
            ArgumentError: the event has no context.
        """
        context = _context(event)
        features, rows = self.encoder.read(context)
        read = pc.like(context, self.norm(features), y=rows)
        return pc.replace(event, context=read)


class ContextField(Network):
    """A velocity field whose points read from a context.

    Args:
        field: Of points with ``hidden`` channels behind their own, and a condition of
            ``row_channels`` columns behind its own.
        in_channels: Channels C of a point.
        feature_channels: Of a point of the context, as the reader gives it.
        row_channels: Of the whole context, likewise.
        condition_channels: Columns K of the condition.
        hidden: Channels of a point that reads.
        heads: Number of heads; divides ``hidden``.
        rounds: How often it reads.
        time_channels: Number of features of time.
    """

    shown = ("in_channels",)

    def __init__(
        self,
        field: nn.Module,
        in_channels: int,
        feature_channels: int,
        row_channels: int,
        *,
        condition_channels: int = 0,
        hidden: int = 64,
        heads: int = 4,
        rounds: int = 2,
        time_channels: int = 16,
    ) -> None:
        super().__init__()
        self.field, self.in_channels = field, in_channels
        self.condition_channels, self.row_channels = condition_channels, row_channels
        self.context = Context(time_channels, condition_channels + row_channels)
        self.widths = (in_channels, self.context.channels)
        self.point_in = nn.Linear(sum(self.widths), hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2 * rounds))
        self.reads = nn.ModuleList(
            CrossAttention(hidden, feature_channels, heads, fused=True) for _ in range(rounds)
        )
        self.mlps = nn.ModuleList(
            MLP(hidden, (2 * hidden,), hidden, activation=nn.GELU) for _ in range(rounds)
        )

    def forward(self, clouds: Batch, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """Velocity of each point [N, C].

        Args:
            clouds: Where the points are, with what a :class:`ContextReader` read as context.
            time: [B].
            condition: [B, K].

        Raises:
            ArgumentError: there is no context, or time or condition have the wrong shape.
        """
        read, number = _context(clouds), clouds.num_graphs
        rows = expect_condition(read.y, number, self.row_channels)
        if self.condition_channels:
            own = expect_condition(condition, number, self.condition_channels)
            rows = torch.cat([own.to(rows), rows], 1)
        x = channels(clouds, self.in_channels)
        own_part, shared = self.point_in.weight.split(self.widths, 1)
        of_cloud = F.linear(self.context(clouds, time, rows), shared, self.point_in.bias)
        query = beside(x, own_part, of_cloud, clouds.batch)
        steps = zip(self.reads, self.mlps, self.norms[::2], self.norms[1::2], strict=True)
        for attention, mlp, first, second in steps:
            query = query + attention(first(query), clouds.ptr, read.pos, read.ptr)
            query = query + mlp(second(query))
        wide = query if clouds.get("x") is None else torch.cat([clouds.x, query], 1)
        event = pc.like(clouds, clouds.pos, x=wide)
        return self.field(event, time, rows)[:, : self.in_channels]


def _context(clouds: Batch) -> Batch:
    found = pc.context(clouds)
    if found is None:
        raise ArgumentError("context: got clouds without one, expected one for each cloud")
    return found
