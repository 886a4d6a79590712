"""What every representation of an event can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.models.base import Phase, kept
from pcgen.models.cardinality import CAPACITY, Cardinality, Drawn, describe
from pcgen.models.context_cardinality import ContextCardinality
from pcgen.models.contexts import Contexts, flat_schema
from pcgen.models.request import Request
from pcgen.schema import Schema
from pcgen.standardize import Standardize

Event = Any
"""B events: a ``Batch`` of points or of active cells, or a dense image [B, 1, \\*shape]."""


class Seen(NamedTuple):
    """Events as networks see them, and the condition [B, K]."""

    event: Event
    condition: Tensor


class Loss(NamedTuple):
    """Fractions of the points and of their weight that are lost, 0 to 1."""

    points: float
    weight: float


class Representation(nn.Module, ABC):
    """From clouds in physical units to what networks see, and back; fitted on the training split.

    Attributes:
        schema: Of the clouds.
        standardize: Physical to standardised units.
        contexts: Of what events are generated from; None where they are generated from nothing.
        cardinality: p(n, total | y, label), and given the context where there is one.
        counted: Whether the number of points or cells gives where the values are.
    """

    counted = True

    def __init__(
        self,
        schema: Schema,
        *,
        capacity: int = CAPACITY,
        spread: bool = False,
        contexts: Contexts | None = None,
    ) -> None:
        super().__init__()
        self.schema, self.contexts = schema, contexts
        self.cardinality: Cardinality | ContextCardinality
        if contexts is None:
            self.standardize = Standardize(schema)
            self.cardinality = Cardinality(schema, capacity=capacity, spread=spread)
        else:
            self.standardize = Standardize(flat_schema(schema))
            self.cardinality = ContextCardinality(schema, contexts, capacity=capacity)

    @property
    def context_schema(self) -> Schema | None:
        """Of the contexts that events are generated from; None where there are none."""
        return None if self.contexts is None else self.contexts.schema

    def phases(self) -> tuple[Phase, ...]:
        """What is found before anything is learnt; the first phases of every model."""
        units = [
            Phase(
                "standardize", (self.standardize,), None, prepare=self._fit_standardize, adapt=kept
            )
        ]
        if self.contexts is not None:
            fit = self.contexts.fit
            units.append(Phase("contexts", (self.contexts,), None, prepare=fit, adapt=kept))
        return (
            *units,
            Phase(
                "cardinality",
                (self.cardinality,),
                None,
                prepare=self._fit_cardinality,
                adapt=self._count,
            ),
        )

    @property
    def condition_channels(self) -> int:
        """Columns K of the condition."""
        return self.standardize.condition_features

    @property
    def value_channels(self) -> int:
        """Columns of the values of a point or active cell."""
        return self.standardize.point_features

    def draw(self, request: Request, generator: torch.Generator | None = None) -> Drawn:
        """What is known of requested clouds before they have points.

        Raises:
            ArgumentError: nothing was fitted, or a class has no cloud in the training split.
        """
        return self.cardinality.draw(request, generator)

    def describe(self, clouds: Batch) -> Drawn:
        """What :meth:`draw` would have given for clouds that exist, in physical units."""
        return describe(self.prepared(clouds), self.schema)

    def condition(self, drawn: Drawn) -> Tensor:
        """The condition of events that do not exist yet [B, K]."""
        return self.standardize.condition(drawn.y, drawn.label, drawn.sizes)

    @abstractmethod
    def prepared(self, clouds: Batch) -> Batch:
        """The clouds, in physical units, that this representation can hold."""

    @abstractmethod
    def see(self, clouds: Batch) -> Seen:
        """Clouds in physical units as networks see them."""

    @abstractmethod
    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """Events as clouds in physical units, with the total, y and label that were drawn."""

    def complete(self, event: Event) -> Event:
        """A decoder's event with what follows from its values, as :meth:`see` has it."""
        return event

    @abstractmethod
    def values(self, event: Event) -> Tensor:
        """What a network may change about an event."""

    @abstractmethod
    def with_values(self, event: Event, values: Tensor) -> Event:
        """The same points or cells with other values."""

    def sizes(self, event: Event) -> Tensor:
        """Points or active cells of each event [B]."""
        return cl.sizes(event)

    @abstractmethod
    def blank(self, sizes: Tensor) -> Event:
        """Events of so many points or cells [B] whose values are 0.

        Raises:
            ArgumentError: the representation does not say where its values are.
        """

    def unfilled(self, drawn: Drawn) -> Event:
        """Events of what was drawn whose values are 0.

        Raises:
            ArgumentError: the representation does not say where its values are.
        """
        return self.blank(drawn.sizes)

    def exchangeable(self, event: Event) -> Tensor:
        """Pointer [G+1] to the groups of consecutive points within which noise may be permuted."""
        pointer: Tensor = event.ptr
        return pointer

    def loss_of(self, clouds: Batch) -> Loss:
        """What of these clouds the representation cannot hold."""
        return Loss(0.0, 0.0)

    def _fit_standardize(self, batches: Iterable[Batch]) -> None:
        self.standardize.fit(self.prepared(clouds) for clouds in batches)

    def _fit_cardinality(self, batches: Iterable[Batch]) -> None:
        self._count(batches)

    def _count(self, batches: Iterable[Batch]) -> None:
        """Fit the cardinality and nothing else."""
        self.cardinality.fit(self.prepared(clouds) for clouds in batches)
