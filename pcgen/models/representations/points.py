"""Point sets: an event as it is, in standardised units."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.base import Phase
from pcgen.models.cardinality import (
    CAPACITY,
    Cardinality,
    Drawn,
    describe,
    recentred,
    rescaled,
)
from pcgen.models.context_cardinality import ContextCardinality
from pcgen.models.contexts import Contexts, flat, layered
from pcgen.models.representations.base import Event, Representation, Seen
from pcgen.models.squash import Squash
from pcgen.ops.moments import Moments, Scale
from pcgen.schema import Schema
from pcgen.standardize import channels


class Points(Representation):
    """Point sets: as many points as are drawn, in any order.

    Args:
        schema: Of the clouds.
        listed: Show the points of each cloud hardest first, to networks that look at their place.
        recentre: Move each generated cloud so that its weighted centre is that of a training
            cloud. For clouds whose centre is a convention of the data, such as constituents
            relative to the jet axis, and not a property of the event.
        rescale: Scale each generated cloud about its centre so that its spread, the root of the
            weighted mean squared distance, is that of a training cloud of the same condition. The
            spread is then part of the condition, behind log n. For a narrow jet
            m ≈ p_T · spread, so the law of the mass is that of the training split.
        centre: Show networks clouds whose weighted centres are the origin; goes with recentre.
        excess: Take the logarithm of the total weight over its expectation m(y) as a condition:
            where some of an event is lost, how much is lost goes with how the rest is shared out.
        alone: Show networks the points alone, without y, class and number: those of a classifier,
            which must not see the class.
        squash: Width s of :class:`~pcgen.models.squash.Squash`, which the coordinates go through,
            in units of their standard deviation; None for none.
        capacity: Most training clouds that the cardinality keeps.
        contexts: Of what the clouds are generated from. The layer of a point is then a feature, the
            networks' clouds have the standardised contexts, and where points carry a weight the
            total over what the context lets expect is part of the condition.

    Raises:
        ArgumentError: options exclude each other, or the schema has no weight to compare.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        listed: bool = False,
        recentre: bool = False,
        rescale: bool = False,
        centre: bool = False,
        excess: bool = False,
        alone: bool = False,
        squash: float | None = None,
        capacity: int = CAPACITY,
        contexts: Contexts | None = None,
    ) -> None:
        super().__init__(schema, capacity=capacity, spread=rescale, contexts=contexts)
        if contexts is not None and (recentre or rescale or excess):
            raise ArgumentError(
                "recentre, rescale, excess: got them with contexts, which say where an event is "
                "and how large, expected none of them"
            )
        if centre and not recentre:
            raise ArgumentError("centre: got it without recentre, expected both")
        if alone and (rescale or excess or contexts is not None):
            raise ArgumentError("alone: got rescale, excess or contexts, which are conditions")
        if excess and schema.weight is None:
            raise ArgumentError("excess: got points without weight, expected a weight to add up")
        self.listed, self.recentre, self.centre = listed, recentre, centre
        self.alone = alone
        self.log_spread = Scale(1) if rescale else None
        self.log_excess = Scale(1) if excess else None
        self.squash = None if squash is None else Squash(squash)

    @property
    def condition_channels(self) -> int:
        """Columns K of the condition, spread and excess among them where they are kept."""
        if self.alone:
            return 0
        own = (self.log_spread, self.log_excess, self._of_context)
        return super().condition_channels + sum(each is not None for each in own)

    @property
    def _of_context(self) -> ContextCardinality | None:
        """The law by which the total depends on a context, where there are both."""
        law = self.cardinality
        weighed = isinstance(law, ContextCardinality) and self.schema.weight is not None
        return law if isinstance(law, ContextCardinality) and weighed else None

    def condition(self, drawn: Drawn) -> Tensor:
        """See :meth:`Representation.condition`."""
        contexts = None if self.contexts is None else self._physical(drawn)
        condition = self._with_own(super().condition(drawn), drawn, contexts)
        return condition[:, :0] if self.alone else condition

    def prepared(self, clouds: Batch) -> Batch:
        """See :meth:`Representation.prepared`."""
        return clouds

    def see(self, clouds: Batch) -> Seen:
        """See :meth:`Representation.see`."""
        if self.alone:
            return self._seen_alone(clouds)
        contexts = None if self.contexts is None else self.contexts.of(clouds)
        if contexts is not None:
            clouds = cl.replace(self._flat(clouds), context=None)
        event = self.standardize(self._centred(clouds))
        event = cl.heaviest_first(event) if self.listed else event
        if self.squash is not None:
            event = cl.replace(event, pos=self.squash(event.pos))
        condition = event.y
        if self.condition_channels > condition.shape[1]:
            condition = self._with_own(condition, describe(clouds, self.schema), contexts)
            event = cl.replace(event, y=condition)
        if self.contexts is not None and contexts is not None:
            event = cl.replace(event, context=self.contexts.see(contexts))
        return Seen(event, condition)

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """See :meth:`Representation.clouds`; exactly the points of the event."""
        pos = event.pos if self.squash is None else self.squash.inverse(event.pos)
        plain = cl.replace(event, weight=None, pos=pos, context=None)
        total = None if self.schema.weight is None else drawn.total
        clouds = self.standardize.inverse(plain, total)
        clouds = layered(clouds, self.schema) if self.contexts is not None else clouds
        clouds = cl.replace(clouds, y=drawn.y, label=drawn.label)
        clouds = recentred(clouds, drawn.centroid, self.schema) if self.recentre else clouds
        if self.log_spread is None or drawn.spread is None:
            return clouds
        return rescaled(clouds, drawn.spread, self.schema)

    def complete(self, event: Event) -> Event:
        """See :meth:`Representation.complete`; the fraction is the weight of a point."""
        if self.schema.weight is None:
            return event
        return cl.replace(event, weight=self.standardize.fractions(event.x, event.ptr))

    def values(self, event: Event) -> Tensor:
        """See :meth:`Representation.values`."""
        return channels(event)

    def with_values(self, event: Event, values: Tensor) -> Batch:
        """See :meth:`Representation.with_values`."""
        axes = len(self.schema.axes)
        x = values[:, axes:] if values.shape[1] > axes else None
        return cl.like(event, values[:, :axes], x=x, context=cl.context(event))

    def blank(self, sizes: Tensor) -> Batch:
        """See :meth:`Representation.blank`."""
        like = self.cardinality.total
        values = like.new_zeros(int(sizes.sum()), self.value_channels)
        axes = len(self.schema.axes)
        x = values[:, axes:] if self.value_channels > axes else None
        return cl.make(values[:, :axes], sizes, x=x)

    def unfilled(self, drawn: Drawn) -> Batch:
        """See :meth:`Representation.unfilled`; with the contexts as networks take them."""
        event = self.blank(drawn.sizes)
        if self.contexts is None:
            return event
        return cl.replace(event, context=self.contexts.see(self._physical(drawn)))

    def _physical(self, drawn: Drawn) -> Batch:
        """The flat contexts of what was drawn."""
        if self.contexts is None or drawn.context is None:
            raise ArgumentError("context: got none, expected one for each event")
        return self.contexts.prepared(drawn.context)

    def _flat(self, clouds: Batch) -> Batch:
        return clouds if self.contexts is None else flat(clouds, self.schema)

    def _seen_alone(self, clouds: Batch) -> Seen:
        """Points of clouds whose class and y, if they have any, are taken away first."""
        number = clouds.num_graphs
        y = clouds.pos.new_zeros(number, len(self.schema.condition))
        label = torch.zeros(number, dtype=torch.long, device=clouds.pos.device)
        event = self.standardize(self._centred(cl.replace(clouds, y=y, label=label)))
        event = cl.heaviest_first(event) if self.listed else event
        pos = event.pos if self.squash is None else self.squash(event.pos)
        event = cl.replace(event, pos=pos, y=None, label=None)
        return Seen(event, event.pos.new_zeros(number, 0))

    def _centred(self, clouds: Batch) -> Batch:
        if not self.centre:
            return clouds
        origin = clouds.pos.new_zeros(clouds.num_graphs, clouds.pos.shape[1])
        return recentred(clouds, origin, self.schema)

    def _with_own(self, condition: Tensor, known: Drawn, contexts: Batch | None) -> Tensor:
        """The condition [B, K] and the standardised logs of spread and excess that are kept."""
        columns = [condition]
        if self.log_spread is not None and known.spread is not None:
            columns.append(self.log_spread(self._log(known.spread)[:, None]).to(condition))
        if self.log_excess is not None:
            columns.append(self.log_excess(self._excess(known)[:, None]).to(condition))
        if self._of_context is not None and contexts is not None:
            columns.append(self._of_context.excess(known.total, contexts).to(condition))
        return torch.cat(columns, 1)

    def _excess(self, known: Drawn) -> Tensor:
        """log(total / m(y)) [B] in float64; 0 where there is no total or no expectation."""
        assert isinstance(self.cardinality, Cardinality)
        expected = self.cardinality.response(known.y, known.label, known.total.shape[0]).double()
        sensible = (expected > 0) & (known.total > 0)
        ratio = known.total.double() / torch.where(sensible, expected, 1.0)
        return torch.where(sensible, ratio, 1.0).log()

    def _log(self, spread: Tensor) -> Tensor:
        """log(1 + s / s₀) with s₀ a hundredth of the scale of the axes: defined for one point."""
        return (100.0 * spread.double() / self.standardize.pos.std[0]).log1p()

    def phases(self) -> tuple[Phase, ...]:
        """See :meth:`Representation.phases`; the squash is fitted to standardised points."""
        fitted = super().phases()
        if self.squash is None:
            return fitted
        prepare, adapt = self._fit_squash, self._widen_squash
        return (*fitted, Phase("squash", (self.squash,), None, prepare=prepare, adapt=adapt))

    def _fit_standardize(self, batches: Iterable[Batch]) -> None:
        self.standardize.fit(self._centred(self._flat(clouds)) for clouds in batches)

    def _fit_squash(self, batches: Iterable[Batch]) -> None:
        assert self.squash is not None
        self.squash.fit(self._standard(clouds).pos for clouds in batches)

    def _widen_squash(self, batches: Iterable[Batch]) -> None:
        assert self.squash is not None
        self.squash.widen(self._standard(clouds).pos for clouds in batches)

    def _standard(self, clouds: Batch) -> Batch:
        return self.standardize(self._centred(self._flat(clouds)))

    def _fit_cardinality(self, batches: Iterable[Batch]) -> None:
        super()._fit_cardinality(batches)
        if not isinstance(self.cardinality, Cardinality):
            return
        stored = self.cardinality.all_stored()
        if self.log_spread is not None and stored.spread is not None:
            self._fit_scale(self.log_spread, self._log(stored.spread))
        if self.log_excess is not None:
            self._fit_scale(self.log_excess, self._excess(stored))

    @staticmethod
    def _fit_scale(scale: Scale, column: Tensor) -> None:
        moments = Moments(1, scale.mean.device)
        moments.update(column[:, None])
        scale.set(moments.mean, moments.variance())
