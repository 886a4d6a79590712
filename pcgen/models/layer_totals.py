r"""How many points a shower has in each layer, and how much energy: p(n_l, E_l | y, class).

Drawn before there is a point, by a flow on 2 L + 1 numbers of an event with the total E and the
layers l = 1, ..., L,

.. math::
    a_l = \log(n_l + \tfrac12 + u_l), \qquad b_l = \log(E_l / n_l), \qquad c = \log E,

with :math:`u_l` uniform on [0, 1), so that a count is a number with a density (PointCountFM rounds
instead: Buss et al., arXiv 2601.11716). A layer without points has no :math:`b_l`; its place is
filled with noise in training, and ignored in samples:

.. math::
    n_l = \lfloor e^{a_l} - \tfrac12 \rfloor, \qquad
    E_l = e^c \, n_l e^{b_l} \Big/ \sum_k n_k e^{b_k}.

So :math:`E_l = 0` exactly where :math:`n_l = 0`, the layers sum to the total, and the response E
over the incident energy is that of one number, c. CaloDREAM (Favaro et al., arXiv 2405.09629)
takes ratios of the energies that are left instead, which no empty layer has.

What a regression on the condition explains is taken off, and the rest is whitened
(:class:`~pcgen.models.whitening.Whitening`): means, widths and correlations are right before anything
is learnt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pcgen.errors import DataError
from pcgen.models.cardinality import LayerSums
from pcgen.models.whitening import Whitening
from pcgen.objectives.flow_matching import straight_path
from pcgen.ops.drawing import normal, uniform
from pcgen.ops.ode import Integrator

CAPACITY = 2**16
"""Most training events whose sums are kept to learn from."""
ROWS = 512
"""Events of a step: they are 2 L + 1 numbers each, and a step of few learns little."""


def design(condition: Tensor) -> Tensor:
    """Columns that the means are linear in: those of the condition [B, K], squares and products.

    >>> design(torch.tensor([[2.0, 3.0]])).tolist()
    [[2.0, 3.0, 4.0, 6.0, 9.0, 8.0, 27.0]]
    """
    first, second = torch.triu_indices(condition.shape[1], condition.shape[1]).unbind(0)
    products = condition[:, first] * condition[:, second]
    return torch.cat([condition, products, condition**3], 1)


class LayerTotals(nn.Module):
    """Flow matching on the points and energies of layers.

    Args:
        layers: Number L.
        condition_channels: Columns K of the condition: standardised y and one-hot class.
        field: ``(code [B, 2 L + 1], time [B], condition [B, K]) -> [B, 2 L + 1]``.
        steps: Steps of the midpoint rule when sampling, of two evaluations each.
        capacity: Most training events whose sums are kept.
        seed: Of the choice of those events.
    """

    growing = ("number", "weight", "condition")

    def __init__(
        self,
        layers: int,
        condition_channels: int,
        field: nn.Module,
        *,
        steps: int = 20,
        capacity: int = CAPACITY,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.layers, self.field = layers, field
        self.capacity, self.seed = capacity, seed
        self.solver = Integrator(steps=steps)
        columns, terms = 2 * layers + 1, design(torch.zeros(1, condition_channels)).shape[1]
        self.whitening = Whitening(columns, terms)
        self.number: Tensor
        self.weight: Tensor
        self.condition: Tensor
        self.line: Tensor
        self.spread: Tensor
        self.reach: Tensor
        self.register_buffer("number", torch.zeros(0, layers, dtype=torch.int32))
        self.register_buffer("weight", torch.zeros(0, layers))
        self.register_buffer("condition", torch.zeros(0, condition_channels))
        self.register_buffer("line", torch.zeros(1 + terms, columns))
        self.register_buffer("spread", torch.ones(columns))
        self.register_buffer("reach", torch.zeros(columns))

    @torch.no_grad()
    def prepare(self, events: Iterable[tuple[LayerSums, Tensor]]) -> None:
        """Keep sums and conditions [B, K] of training events, and find means and covariance.

        Raises:
            DataError: there are no events.
        """
        self._keep(events)
        generator = torch.Generator().manual_seed(self.seed)
        columns = self._columns(LayerSums(self.number.long(), self.weight), generator)
        terms = design(self.condition)
        self._fit_line(columns.double(), terms.double())
        known = torch.where(columns.isnan(), -torch.inf, columns)
        top = known.max(0).values
        self.reach.copy_(torch.where(top.isfinite(), top, 0.0))
        self.whitening.fit([(self._filled(columns, terms, generator), terms)])

    def loss(self, sums: LayerSums, condition: Tensor) -> dict[str, Tensor]:
        """Mean squared error of the velocity.

        In training on random events of those that were kept, and otherwise on these.
        """
        if self.training and len(self.number):
            row = torch.randint(len(self.number), (ROWS,), device=self.number.device)
            sums = LayerSums(self.number[row].long(), self.weight[row])
            condition = self.condition[row]
        terms = design(condition)
        filled = self._filled(self._columns(sums, None), terms, None)
        code = self.whitening(filled, terms)
        time = torch.rand(len(code), dtype=code.dtype, device=code.device)
        at, velocity = straight_path(torch.randn_like(code), code, time[:, None])
        return {"layers": (self.field(at, time, condition) - velocity).square().mean()}

    @torch.no_grad()
    def draw(self, condition: Tensor, generator: torch.Generator | None = None) -> LayerSums:
        """Points and energies of the layers of events of these conditions [B, K]."""
        noise = normal((len(condition), 2 * self.layers + 1), condition, generator)

        def velocity(code: Tensor, time: float) -> Tensor:
            return self.field(code, code.new_full((code.shape[0],), time), condition)

        columns = self.whitening.inverse(self.solver(velocity, noise), design(condition))
        # Beyond what training events have there is no network that knows what follows.
        columns = columns.minimum(self.reach)
        count, mean, total = columns.split([self.layers, self.layers, 1], 1)
        number = (count.double().exp() - 0.5).floor().clamp(min=0).long()
        return LayerSums(number, shared_out(number, mean, total[:, 0].exp()))

    def _columns(self, sums: LayerSums, generator: torch.Generator | None) -> Tensor:
        """(a, b, c) of events [B, 2 L + 1]; NaN where there is no energy."""
        number, weight = sums.number.to(self.line), sums.weight.to(self.line)
        count = (number + 0.5 + uniform(tuple(number.shape), number, generator)).log()
        some, total = (number > 0) & (weight > 0), weight.sum(1, keepdim=True)
        mean = torch.where(some, weight / number.clamp(min=1), torch.nan).log()
        return torch.cat([count, mean, torch.where(total > 0, total, torch.nan).log()], 1)

    def _filled(self, columns: Tensor, terms: Tensor, generator: torch.Generator | None) -> Tensor:
        """Columns with what their line lets expect, and noise, in place of NaN."""
        line = self.line[0] + terms @ self.line[1:]
        noise = self.spread * normal(tuple(columns.shape), columns, generator)
        return torch.where(columns.isnan(), line + noise, columns)

    def _fit_line(self, columns: Tensor, terms: Tensor) -> None:
        """Least squares of each column on the terms, where it is known."""
        rows = torch.cat([torch.ones_like(terms[:, :1]), terms], 1)
        known = columns.isfinite()
        value = torch.where(known, columns, 0.0)
        for column in range(columns.shape[1]):
            here = rows * known[:, column, None]
            line = torch.linalg.pinv(here.T @ here, rtol=1e-9, hermitian=True)
            line = line @ (here.T @ value[:, column])
            apart = (value[:, column] - rows @ line)[known[:, column]]
            self.line[:, column] = line
            self.spread[column] = apart.square().mean().sqrt() if len(apart) else 1.0

    def _keep(self, events: Iterable[tuple[LayerSums, Tensor]]) -> None:
        """A uniform random sample of the events, at most so many as there is room for."""
        generator = torch.Generator().manual_seed(self.seed)
        kept: list[Tensor] = []
        for sums, condition in events:
            key = torch.rand(len(condition), generator=generator, dtype=torch.float64)
            rows = [key.to(condition.device), sums.number.int(), sums.weight, condition]
            kept = [torch.cat(pair) for pair in zip(kept, rows, strict=True)] if kept else rows
            if len(kept[0]) > self.capacity:
                smallest = kept[0].topk(self.capacity, largest=False).indices
                kept = [value[smallest] for value in kept]
        if not kept or not len(kept[0]):
            raise DataError("layers: got no events, expected at least one")
        self._open(len(kept[0]))
        for name, value in zip(self.growing, kept[1:], strict=True):
            getattr(self, name).copy_(value)

    def _open(self, rows: int) -> None:
        for name in self.growing:
            buffer = getattr(self, name)
            setattr(self, name, buffer.new_zeros(rows, *buffer.shape[1:]))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: Any, strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        number = state_dict.get(prefix + "number")
        if isinstance(number, Tensor) and number.dim() == 2:
            self._open(len(number))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def shared_out(number: Tensor, log_mean: Tensor, total: Tensor) -> Tensor:
    """Energies of layers [B, L] that sum to the total [B], 0 where there is no point.

    Args:
        number: Points n_l [B, L].
        log_mean: Logarithm of the energy of a point, up to a constant of the event [B, L].
        total: E [B].

    >>> shared_out(torch.tensor([[2, 0, 1]]), torch.zeros(1, 3), torch.tensor([6.0])).tolist()
    [[4.0, 0.0, 2.0]]
    """
    some = number > 0
    log = torch.where(some, log_mean.double() + number.clamp(min=1).double().log(), -torch.inf)
    share = torch.where(some, torch.softmax(log, 1), 0.0)  # NaN where no layer has a point
    return (share * total[:, None].double()).to(log_mean)


def resized(sums: LayerSums, sizes: Tensor) -> LayerSums:
    """The sums with as many points of all layers as requested [B], by largest remainders.

    Layers of more points first gain or lose; an event without points gets them in its first layer,
    and no energy. The total energy stays where any layer keeps points.

    >>> sums = LayerSums(torch.tensor([[1, 3]]), torch.tensor([[1.0, 2.0]]))
    >>> resized(sums, torch.tensor([3])).number.tolist()
    [[1, 2]]
    """
    number = sums.number.double()
    whole = number.sum(1, keepdim=True)
    number[:, 0] += (whole[:, 0] == 0).double()
    wanted = number * (sizes[:, None] / number.sum(1, keepdim=True))
    down = wanted.floor()
    missing = sizes - down.sum(1).long()
    order = (wanted - down).sort(dim=1, descending=True, stable=True).indices
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    points = down.long() + (rank < missing[:, None])
    mean = (sums.weight / sums.number.clamp(min=1)).double()
    raw = torch.where(points > 0, points * mean, 0.0)
    total, found = sums.weight.double().sum(1, keepdim=True), raw.sum(1, keepdim=True)
    weight = torch.where(found > 0, raw * (total / torch.where(found > 0, found, 1.0)), 0.0)
    return LayerSums(points, weight.to(sums.weight))
