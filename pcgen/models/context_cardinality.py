r"""How many points an event has, and how much energy, given the context that it is generated from.

The law of :class:`~pcgen.models.cardinality.Cardinality`, whose expectation depends on the context.
With the standardised summary s of a context (:mod:`pcgen.models.contexts`), clipped to
:math:`\pm 4`, and t the logarithms of 1 + n and of the total,

.. math::
    m(s) = A\,(1, s, s^2) \quad\text{(ridge regression on the training split)}, \qquad
    t = m(s) + t_j - m(s_j),

where j is one of the k stored events nearest in m, and in y, of the same class. So n and total keep
their spread about what the context lets expect, stay correlated, and follow the context.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, DataError
from pcgen.models.cardinality import CAPACITY, Drawn, describe
from pcgen.models.contexts import Contexts, summary
from pcgen.models.request import Request
from pcgen.models.stored import Stored, reservoir, spread_of
from pcgen.ops.drawing import uniform
from pcgen.schema import Schema

_CLIP = 4.0
_RIDGE = 1e-3


class ContextCardinality(Stored):
    """Empirical p(n, total | context, y, label) of a training split.

    Args:
        schema: Of the clouds.
        contexts: Of what they are generated from; it is fitted before this is.
        capacity: Most clouds that are kept: a uniform random sample where there are more.
        neighbours: How many stored clouds stand for one context.
        seed: Of the choice of the clouds that are kept.
    """

    def __init__(
        self,
        schema: Schema,
        contexts: Contexts,
        *,
        capacity: int = CAPACITY,
        neighbours: int = 16,
        seed: int = 0,
    ) -> None:
        super().__init__(schema)
        self.neighbours, self.seed, self.capacity = neighbours, seed, capacity
        self._contexts = (contexts,)  # a module of the representation, and not of this one
        self.expected: Tensor
        self.matrix: Tensor
        self.rest: Tensor
        rows = 1 + 2 * contexts.condition_channels
        self.register_buffer("expected", torch.zeros(0, 2, dtype=torch.float64))
        self.register_buffer("matrix", torch.zeros(rows, 2, dtype=torch.float64))
        self.register_buffer("rest", torch.ones(2, dtype=torch.float64))

    @property
    def growing(self) -> tuple[str, ...]:
        """Names of the buffers with a row for each event."""
        return (*super().growing, "expected")

    @torch.no_grad()
    def fit(self, batches: Iterable[Batch]) -> ContextCardinality:
        """Keep a uniform random sample of the clouds of ``batches`` and fit the expectation.

        Raises:
            DataError: there are no clouds, or they lack a context, ``y`` or ``label``.
        """
        kept = reservoir(map(self._rows, batches), self.capacity, self.seed)
        if not kept or not len(kept[0]):
            raise DataError("batches: got no clouds, expected at least one to fit")
        sizes, total, y, label, columns = kept
        target = _logs(sizes, total)
        some = sizes > 0  # an empty event has no logarithm of its total
        gram = columns[some].T @ columns[some]
        ridge = _RIDGE * len(columns) * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        ridge[0, 0] = 1e-9
        moment = columns[some].T @ target[some]
        self.matrix.copy_(torch.linalg.solve(gram + ridge, moment))
        expected = columns @ self.matrix
        rest = (target - expected)[some]
        if len(rest):
            self.rest.copy_(rest.square().mean(0).sqrt().clamp(min=1e-6))
        self.keep([sizes, total, y, label, expected])
        return self

    def expectation(self, contexts: Batch) -> Tensor:
        """m of flat contexts: expected logarithms of 1 + n and of the total [B, 2], float64."""
        return self._columns(contexts) @ self.matrix

    def excess(self, total: Tensor, contexts: Batch) -> Tensor:
        """Logarithm of totals over what the flat contexts let expect, in its spread [B, 1]."""
        log = torch.where(total > 0, torch.where(total > 0, total, 1.0).double().log(), torch.nan)
        rest = (log - self.expectation(contexts)[:, 1]) / self.rest[1]
        return rest.nan_to_num(0.0).clamp(-10, 10)[:, None]

    def draw(self, request: Request, generator: torch.Generator | None = None) -> Drawn:
        """Draw what is not given, given the context and what else is.

        Raises:
            ArgumentError: nothing was fitted, a class has no cloud in the training split, or there
                is no context.
        """
        self.check_fitted(request.label)
        if request.context is None:
            raise ArgumentError("context: got none, expected one for each requested event")
        contexts = self._contexts[0].prepared(request.context)
        expected = self.expectation(contexts)
        row, chance = self._pick(expected, request, generator)
        rest = _logs(self.sizes[row], self.total[row]) - self.expected[row]
        filled = self.sizes[row] > 0
        logs = expected + torch.where(filled[:, None], rest, 0.0)
        drawn = (logs[:, 0].expm1().clamp(0, 2**24) + chance).long()
        sizes = torch.where(filled, drawn, 0) if request.sizes is None else request.sizes
        total = torch.where(sizes > 0, logs[:, 1].exp().to(self.total), 0.0)
        y = self.y[row] if request.y is None else request.y
        label = self.label[row] if request.label is None else request.label
        return Drawn(
            sizes,
            total,
            self.total.new_zeros(len(row), len(self.schema.axes)),
            y if self.schema.condition else None,
            label if self.schema.labels else None,
            context=request.context,
        )

    def _rows(self, clouds: Batch) -> list[Tensor]:
        known = describe(clouds, self.schema)
        y = known.total.new_zeros(len(known.sizes), 0) if known.y is None else known.y
        label = torch.zeros_like(known.sizes) if known.label is None else known.label
        columns = self._columns(self._contexts[0].of(clouds))
        return [known.sizes, known.total, y, label, columns]

    def _columns(self, contexts: Batch) -> Tensor:
        """What the expectation is linear in [B, 1 + 2 S], float64."""
        found = self._contexts[0]
        s = found.scale(summary(contexts, found.flat)).double().clamp(-_CLIP, _CLIP)
        return torch.cat([torch.ones_like(s[:, :1]), s, s.square()], 1)

    def _pick(
        self, expected: Tensor, request: Request, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Row of a stored event for each requested one, and a uniform number for rounding [B]."""
        ask, have = expected / self.rest, self.expected / self.rest
        if request.y is not None and self.schema.condition:
            scale = spread_of(self.y)
            ask, have = torch.cat([ask, request.y / scale], 1), torch.cat([have, self.y / scale], 1)
        chance = uniform((2 * request.number,), self.total, generator).view(2, -1)
        row = self.nearest(ask, have, request.label, chance[0], self.neighbours)
        return row, chance[1]


def _logs(sizes: Tensor, total: Tensor) -> Tensor:
    """Logarithms of 1 + n and of the total, 0 where there is none [B, 2], float64."""
    total = total.double()
    log = torch.where(total > 0, torch.where(total > 0, total, 1.0).log(), 0.0)
    return torch.stack([sizes.double().log1p(), log], 1)
