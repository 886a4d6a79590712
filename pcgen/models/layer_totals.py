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

Of each number the mean and the logarithm of the standard deviation are first fitted as functions of
the condition, so that a flow begins with the right ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError, DataError
from pcgen.models.cardinality import LayerSums
from pcgen.models.stored import pick_near, reservoir
from pcgen.objectives.flow_matching import straight_path
from pcgen.ops.drawing import normal, uniform
from pcgen.ops.ode import Integrator

Law = Literal["flow", "nearest"]
NEIGHBOURS = 16
"""Training events near to a condition, of which one gives its layers."""
_PAIRS = 2**24  # conditions times events that are compared at a time: bounds the memory
CAPACITY = 2**16
"""Most training events whose sums are kept to learn from."""
ROWS = 128
"""Events of a step, whatever the batch: they are 2 L + 1 numbers each."""


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
        law: ``"flow"``, what was learnt, or ``"nearest"``: the layers of a training event, one of
            the :data:`NEIGHBOURS` nearest in condition, scaled to the total that is expected. It is
            as good as there are events, and repeats them.
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
        law: Law = "flow",
        capacity: int = CAPACITY,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if law not in get_args(Law):
            raise ArgumentError(f"totals: got {law!r}, expected {' or '.join(get_args(Law))}")
        self.layers, self.field, self.law = layers, field, law
        self.capacity, self.seed = capacity, seed
        self.solver = Integrator(steps=steps)
        columns, terms = 2 * layers + 1, design(torch.zeros(1, condition_channels)).shape[1]
        self.number: Tensor
        self.weight: Tensor
        self.condition: Tensor
        self.line: Tensor
        self.width: Tensor
        self.least: Tensor
        self.most: Tensor
        self.reach: Tensor
        self.register_buffer("number", torch.zeros(0, layers, dtype=torch.int32))
        self.register_buffer("weight", torch.zeros(0, layers))
        self.register_buffer("condition", torch.zeros(0, condition_channels))
        self.register_buffer("line", torch.zeros(1 + terms, columns))
        self.register_buffer("width", torch.zeros(1 + terms, columns))
        self.register_buffer("least", torch.zeros(columns))
        self.register_buffer("most", torch.zeros(columns))
        self.register_buffer("reach", torch.zeros(columns))

    @torch.no_grad()
    def prepare(self, events: Iterable[tuple[LayerSums, Tensor]]) -> None:
        """Keep sums and conditions [B, K] of training events; find means and deviations.

        Raises:
            DataError: there are no events.
        """
        self._keep(events)
        generator = torch.Generator().manual_seed(self.seed)
        columns = self._columns(LayerSums(self.number.long(), self.weight), generator)
        terms = design(self.condition)
        self._fit_lines(columns.double(), terms.double())
        known = torch.where(columns.isnan(), -torch.inf, columns)
        top = known.max(0).values
        self.reach.copy_(torch.where(top.isfinite(), top, 0.0))

    def loss(self, sums: LayerSums, condition: Tensor) -> dict[str, Tensor]:
        """Mean squared error of the velocity.

        In training on random events of those that were kept, and otherwise on these.
        """
        if self.field.training and len(self.number):
            row = torch.randint(len(self.number), (ROWS,), device=self.number.device)
            sums = LayerSums(self.number[row].long(), self.weight[row])
            condition = self.condition[row]
        terms = design(condition)
        code = self._scaled(self._columns(sums, None), terms, None)
        time = torch.rand(len(code), dtype=code.dtype, device=code.device)
        at, velocity = straight_path(torch.randn_like(code), code, time[:, None])
        return {"layers": (self.field(at, time, condition) - velocity).square().mean()}

    @torch.no_grad()
    def draw(self, condition: Tensor, generator: torch.Generator | None = None) -> LayerSums:
        """Points and energies of the layers of events of these conditions [B, K]."""
        if self.law == "nearest":
            return self._nearest(condition, generator)
        noise = normal((len(condition), 2 * self.layers + 1), condition, generator)

        def velocity(code: Tensor, time: float) -> Tensor:
            return self.field(code, code.new_full((code.shape[0],), time), condition)

        mean, width = self._expected(design(condition))
        columns = mean + width * self.solver(velocity, noise)
        # Beyond what training events have there is no network that knows what follows.
        columns = columns.minimum(self.reach)
        count, log_mean, total = columns.split([self.layers, self.layers, 1], 1)
        number = (count.double().exp() - 0.5).floor().clamp(min=0).long()
        return LayerSums(number, shared_out(number, log_mean, total[:, 0].exp()))

    def _nearest(self, condition: Tensor, generator: torch.Generator | None) -> LayerSums:
        """Sums of stored events of conditions near to these [B, K]."""
        chance = uniform((len(condition),), condition, generator)
        row = torch.empty_like(chance, dtype=torch.long)
        block = max(_PAIRS // max(len(self.condition), 1), 1)
        for some in torch.arange(len(chance), device=chance.device).split(block):
            apart = torch.cdist(condition[some], self.condition)
            row[some] = pick_near(apart, chance[some], NEIGHBOURS)
        lines = (
            self._expected(design(each))[0][:, -1] for each in (condition, self.condition[row])
        )
        here, there = lines
        return LayerSums(self.number[row].long(), self.weight[row] * (here - there).exp()[:, None])

    def _columns(self, sums: LayerSums, generator: torch.Generator | None) -> Tensor:
        """(a, b, c) of events [B, 2 L + 1]; NaN where there is no energy."""
        number, weight = sums.number.to(self.line), sums.weight.to(self.line)
        count = (number + 0.5 + uniform(tuple(number.shape), number, generator)).log()
        some, total = (number > 0) & (weight > 0), weight.sum(1, keepdim=True)
        mean = torch.where(some, weight / number.clamp(min=1), torch.nan).log()
        return torch.cat([count, mean, torch.where(total > 0, total, torch.nan).log()], 1)

    def _scaled(self, columns: Tensor, terms: Tensor, generator: torch.Generator | None) -> Tensor:
        """Columns in standard deviations from what is expected, noise in place of NaN."""
        mean, width = self._expected(terms)
        noise = normal(tuple(columns.shape), columns, generator)
        return torch.where(columns.isnan(), noise, (columns - mean) / width)

    def _expected(self, terms: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of the columns [B, 2 L + 1] at these terms."""
        rows = torch.cat([torch.ones_like(terms[:, :1]), terms], 1)
        return rows @ self.line, (rows @ self.width).clamp(self.least, self.most).exp()

    def _fit_lines(self, columns: Tensor, terms: Tensor) -> None:
        """Least squares of each known column, and of the logarithm of its deviation."""
        rows = torch.cat([torch.ones_like(terms[:, :1]), terms], 1)
        for column in range(columns.shape[1]):
            known = columns[:, column].isfinite()
            if not bool(known.any()):
                continue
            value, here = columns[known, column], rows[known]
            line = _least_squares(here, value)
            apart = value - here @ line
            scale = apart.square().mean().sqrt().clamp(min=1e-6)
            width = _least_squares(here, (apart.abs() / scale).clamp(min=1e-2).log())
            log = here @ width
            # The constant makes the mean square of what is left 1.
            left = (apart / log.exp()).square().mean().sqrt().clamp(min=1e-6)
            width[0] += left.log()
            self.line[:, column], self.width[:, column] = line, width
            low, high = (here @ width).aminmax()
            self.least[column], self.most[column] = low, high

    def _keep(self, events: Iterable[tuple[LayerSums, Tensor]]) -> None:
        """A uniform random sample of the events, at most so many as there is room for."""
        rows = ([sums.number.int(), sums.weight, condition] for sums, condition in events)
        kept = reservoir(rows, self.capacity, self.seed)
        if not kept or not len(kept[0]):
            raise DataError("layers: got no events, expected at least one")
        self._open(len(kept[0]))
        for name, value in zip(self.growing, kept, strict=True):
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


def _least_squares(rows: Tensor, value: Tensor) -> Tensor:
    """Coefficients [C] of rows [N, C] for values [N]; the smallest where there are several."""
    inverse = torch.linalg.pinv(rows.T @ rows, rtol=1e-9, hermitian=True)
    return inverse @ (rows.T @ value)
