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
field takes contexts, and none knows of them; so does every encoder, without the time, which makes a
critic of events beside their contexts. The points stay exchangeable, and so do those of the
context. Parnassus (Dreyer et al., arXiv 2406.01620) attends across clouds in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

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


class ContextQuery(Network):
    """Points that read from a context, some rounds of it: the q above.

    Args:
        in_channels: Channels C of a point.
        shared_channels: Columns S of what all points of an event share.
        feature_channels: Of a point of the context, as the reader gives it.
        hidden: Channels of a point that reads.
        heads: Number of heads; divides ``hidden``.
        rounds: How often it reads.
        fused: See :class:`CrossAttention`.
    """

    def __init__(
        self,
        in_channels: int,
        shared_channels: int,
        feature_channels: int,
        *,
        hidden: int = 64,
        heads: int = 4,
        rounds: int = 2,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.widths = (in_channels, shared_channels)
        self.point_in = nn.Linear(sum(self.widths), hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2 * rounds))
        self.reads = nn.ModuleList(
            CrossAttention(hidden, feature_channels, heads, fused=fused) for _ in range(rounds)
        )
        self.mlps = nn.ModuleList(
            MLP(hidden, (2 * hidden,), hidden, activation=nn.GELU) for _ in range(rounds)
        )

    def forward(self, clouds: Batch, shared: Tensor) -> Batch:
        """Clouds with q as the last channels of their points.

        Args:
            clouds: With what a :class:`ContextReader` read as context.
            shared: [B, S].
        """
        read = _context(clouds)
        own_part, shared_part = self.point_in.weight.split(self.widths, 1)
        of_cloud = F.linear(shared, shared_part, self.point_in.bias)
        query = beside(channels(clouds, self.widths[0]), own_part, of_cloud, clouds.batch)
        steps = zip(self.reads, self.mlps, self.norms[::2], self.norms[1::2], strict=True)
        for attention, mlp, first, second in steps:
            query = query + attention(first(query), clouds.ptr, read.pos, read.ptr)
            query = query + mlp(second(query))
        wide = query if clouds.get("x") is None else torch.cat([clouds.x, query], 1)
        return pc.like(clouds, clouds.pos, x=wide)


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
    former_names: ClassVar[Mapping[str, str]] = {
        f"{name}.": f"query.{name}." for name in ("point_in", "norms", "reads", "mlps")
    }

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
        self.query = ContextQuery(
            in_channels,
            self.context.channels,
            feature_channels,
            hidden=hidden,
            heads=heads,
            rounds=rounds,
            fused=True,
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
        rows = _with_rows(clouds, condition, self.condition_channels, self.row_channels)
        event = self.query(clouds, self.context(clouds, time, rows))
        return self.field(event, time, rows)[:, : self.in_channels]


class ContextGenerator(Network):
    """How far noise moves in one step: a field at t = 0, and what it reads.

    Args:
        reader: ``(event) -> event`` with what was read of the context in its place.
        field: ``(event, time [B], condition [B, K]) -> velocity`` of each point.
    """

    def __init__(self, reader: nn.Module, field: nn.Module) -> None:
        super().__init__()
        self.reader, self.field = reader, field

    def forward(self, start: Batch, condition: Tensor) -> Tensor:
        """How far each point moves [N, C]."""
        return self.field(self.reader(start), condition.new_zeros(len(condition)), condition)


class ContextEncoder(Network):
    """An encoder, or critic, of events beside what they were generated from.

    Its attention is written out, so that a penalty can take its gradient.

    Args:
        reader: Of the context, its own.
        encoder: ``(event, condition) -> [B, out]``, of points with ``hidden`` channels behind their
            own, and a condition with the reader's row behind its own.
        in_channels: Channels C of a point.
        condition_channels: Columns K of the condition.
        hidden: Channels of a point that reads.
        heads: Number of heads; divides ``hidden``.
    """

    shown = ("in_channels",)

    def __init__(
        self,
        reader: ContextReader,
        encoder: nn.Module,
        in_channels: int,
        *,
        condition_channels: int = 0,
        hidden: int = 64,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.reader, self.encoder, self.in_channels = reader, encoder, in_channels
        self.condition_channels = condition_channels
        shared = condition_channels + reader.out_channels
        self.query = ContextQuery(
            in_channels, shared, reader.feature_channels, hidden=hidden, heads=heads, rounds=1
        )

    def forward(self, event: Batch, condition: Tensor | None = None) -> Tensor:
        """Events with contexts, and conditions [B, K], to rows [B, out].

        Raises:
            ArgumentError: there is no context, or the condition has the wrong shape.
        """
        read = self.reader(event)
        rows = _with_rows(read, condition, self.condition_channels, self.reader.out_channels)
        return self.encoder(self.query(read, rows), rows)


def _with_rows(clouds: Batch, condition: Tensor | None, own: int, further: int) -> Tensor:
    """The condition of events, and what was read of the whole context behind it."""
    number = clouds.num_graphs
    rows = expect_condition(_context(clouds).y, number, further)
    if not own:
        return rows
    return torch.cat([expect_condition(condition, number, own).to(rows), rows], 1)


def _context(clouds: Batch) -> Batch:
    found = pc.context(clouds)
    if found is None:
        raise ArgumentError("context: got clouds without one, expected one for each cloud")
    return found
