r"""How far generated clouds are from given ones: losses of batches of clouds, one value per cloud.

Both sides are standardised clouds (:mod:`pcgen.standardize`) of equal number B. A loss is a
callable ``(generated, real) -> [B]``; whoever optimises takes the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.ops.chamfer_distance import Empty, chamfer
from pcgen.ops.transport import EnergyDifference, Solver, earth_mover
from pcgen.standardize import Standardize, channels

Loss = Callable[[Batch, Batch], Tensor]


@dataclass(frozen=True)
class ChamferLoss:
    """Chamfer distance, see :func:`pcgen.ops.chamfer_distance.chamfer`.

    Attributes:
        weighted: False compares all channels of the points, ``pos`` and ``x`` (with the logarithm
            of the fraction among them), each point counting alike. True compares ``pos``, each
            point counting by its ``weight``.
        squared: Squared distances or distances.
        standardize: Knows the periods of the axes in standardised units; None: no axis is periodic.
        empty: Value of a pair of which one cloud is empty; "raise" refuses it.
    """

    weighted: bool = False
    squared: bool = True
    standardize: Standardize | None = None
    empty: Empty = "raise"

    def __call__(self, generated: Batch, real: Batch) -> Tensor:
        """Distance of each pair of clouds [B]."""
        x, y = (side.pos if self.weighted else channels(side) for side in (generated, real))
        weight_x, weight_y = _weights(generated, real) if self.weighted else (None, None)
        return chamfer(
            x.to(y.dtype),
            y,
            generated.ptr,
            real.ptr,
            weight_x=weight_x,
            weight_y=weight_y,
            squared=self.squared,
            period=_period(self.standardize, y.shape[1]),
            empty=self.empty,
        )


@dataclass(frozen=True)
class EarthMoverLoss:
    """Earth mover's distance of ``pos``, where each point carries its ``weight``.

    Weights are the fractions of :mod:`pcgen.standardize`, so both sides have total 1 and the total
    energy does not enter. The gradient reaches positions and weights. See
    :func:`pcgen.ops.transport.earth_mover`.

    Attributes:
        p: Power of the distance, 1 or 2.
        standardize: Knows the periods of the axes in standardised units; None: no axis is periodic.
        solver: How transport is solved.
        unbalanced: What unequal totals cost, for weights that are not fractions; None refuses them.
        empty: Value of a pair of which one cloud is empty; "raise" refuses it.
    """

    p: int = 1
    standardize: Standardize | None = None
    solver: Solver = "auto"
    unbalanced: float | EnergyDifference | None = None
    empty: Empty = "raise"

    def __call__(self, generated: Batch, real: Batch) -> Tensor:
        """Cost of each pair of clouds [B]."""
        weight_x, weight_y = _weights(generated, real)
        return earth_mover(
            generated.pos.to(real.pos.dtype),
            real.pos,
            generated.ptr,
            real.ptr,
            weight_x=weight_x,
            weight_y=weight_y,
            p=self.p,
            period=_period(self.standardize, real.pos.shape[1]),
            unbalanced=self.unbalanced,
            solver=self.solver,
            empty=self.empty,
        ).cost


@dataclass(frozen=True)
class Scaled:
    """A loss times a factor, as one of several named terms of an objective.

    Attributes:
        factor: What the loss is multiplied by.
        loss: ``(generated, real) -> [B]``.

    >>> terms = {"chamfer": ChamferLoss(), "emd": Scaled(0.1, EarthMoverLoss())}
    """

    factor: float
    loss: Loss

    def __call__(self, generated: Batch, real: Batch) -> Tensor:
        """Factor times loss of each pair of clouds [B]."""
        return self.factor * self.loss(generated, real)


def _weights(generated: Batch, real: Batch) -> tuple[Tensor | None, Tensor | None]:
    """Weights of both sides; None of either where neither has them, and points count 1/n."""
    has = [side.get("weight") is not None for side in (generated, real)]
    if has[0] != has[1]:
        name = ("generated", "real")[has.index(False)]
        raise ArgumentError(
            f"weight: got none in the {name} clouds, expected it in both or neither"
        )
    if not has[0]:
        return None, None
    dtype = real.pos.dtype
    return generated.weight.to(dtype), real.weight.to(dtype)


def _period(standardize: Standardize | None, columns: int) -> list[float | None] | None:
    """Period of each column: those of the axes, and none for what follows them."""
    if standardize is None or not any(standardize.schema.periods):
        return None
    periods = standardize.periods
    return [*periods, *[None] * (columns - len(periods))]
