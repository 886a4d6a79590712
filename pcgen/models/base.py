"""What the training loop uses of a model: its phases; and what a user calls: ``sample``.

The phases of a model are its objectives, each with the modules that it trains and how often
(:class:`Phase`); the loop runs them in turn and differentiates each with respect to its own modules
only. A VAE has one phase, a GAN two (the critic with ``repeat=5``), a latent GAN those of its
autoencoder and then its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.request import Request, by_name, check_positive, in_turn, resolve
from pcgen.schema import Schema

if TYPE_CHECKING:
    from pcgen.models.cardinality import Drawn
    from pcgen.models.representations import Representation

Loss = Callable[[Batch], dict[str, Tensor]]
Prepare = Callable[[Iterable[Batch]], object]


@dataclass(frozen=True)
class Phase:
    """One objective of a model and the modules that learn it.

    Attributes:
        name: Unique among the model's phases; names optimiser, log columns and progress.
        modules: What the phase trains; everything else of the model is left as it is.
        loss: Takes clouds in physical units and returns named scalar terms whose sum is
            minimised. None: the phase is done once it is prepared.
        repeat: Optimiser steps, each on its own batch, per step of the run.
        begin: Fraction of the run's steps at which the phase starts.
        end: Fraction of the run's steps at which the phase is over.
        prepare: Run once over the training split, in order, before the phase's first step and
            without gradients; what it finds is kept in the model's buffers.
        adapt: What takes the place of ``prepare`` where the run starts from another model, whose
            networks know their numbers in the units of that model; None: ``prepare`` is run again.
        progress: Called before each step with the fraction of the phase that is done, 0 in the
            first: what a method anneals is a function of it, so resuming is exact.
        after: Called after each step of the optimiser, to put parameters back where they must be.
        optimiser: Options of the optimiser that the method needs in this phase and that differ from
            those of the run, ``{"betas": (0.0, 0.9)}`` say, by the names of
            :class:`pcgen.training.Optimiser`. The user's options of the phase go over them.

    Raises:
        ArgumentError: ``repeat`` is below 1, or not ``0 <= begin < end <= 1``, or the phase has
            neither ``loss`` nor ``prepare``.
    """

    name: str
    modules: tuple[nn.Module, ...]
    loss: Loss | None
    repeat: int = 1
    begin: float = 0.0
    end: float = 1.0
    prepare: Prepare | None = None
    optimiser: Mapping[str, Any] | None = None
    adapt: Prepare | None = None
    progress: Callable[[float], object] | None = None
    after: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        if self.repeat < 1:
            raise ArgumentError(f"repeat of phase {self.name!r}: got {self.repeat}, expected >= 1")
        if not 0.0 <= self.begin < self.end <= 1.0:
            raise ArgumentError(
                f"phase {self.name!r}: got begin {self.begin} and end {self.end}, "
                "expected 0 <= begin < end <= 1"
            )
        if self.loss is None and self.prepare is None:
            raise ArgumentError(f"phase {self.name!r}: got no loss, expected one or a prepare")

    def parameters(self) -> list[nn.Parameter]:
        """Parameters that the phase trains, each once."""
        every = (parameter for module in self.modules for parameter in module.parameters())
        return list(dict.fromkeys(every))


def kept(batches: Iterable[Batch]) -> None:
    """A phase's ``adapt`` that leaves everything as the other model had it."""


class NoiseChannels(NamedTuple):
    """How many standard normal numbers a generation starts from.

    Attributes:
        point: P, of each point.
        code: Z, of each cloud.
    """

    point: int
    code: int


@runtime_checkable
class FromNoise(Protocol):
    """A model of points whose clouds are a function of noise, and of what was drawn for them.

    What is drawn is size, total, centroid and condition. Such a model can be handed over as one
    graph, :class:`pcgen.models.padded.PaddedGenerator`.
    """

    @property
    def noise_channels(self) -> NoiseChannels:
        """What :meth:`from_noise` starts from."""
        ...

    def from_noise(self, start: Batch, code: Tensor, drawn: Drawn) -> Batch:
        """The clouds, in physical units.

        Args:
            start: Clouds of ``drawn.sizes``, ragged or padded, whose ``pos`` is noise [N, P].
            code: Noise [B, Z].
            drawn: What is known of each cloud.
        """
        ...


class GenerativeModel(nn.Module, ABC):
    """A distribution over clouds of one :class:`~pcgen.schema.Schema`, with a way to learn it.

    Standardisation, p(n, total | y, label) and everything else that is fitted is part of the model
    and so of its checkpoint: losses take clouds as they are read from a file, ``sample`` gives
    clouds in the same units.

    Args:
        representation: Physical clouds to what networks take, and back. None for a model that
            works on clouds directly; it sets ``schema`` itself.

    Attributes:
        as_part: What it is called where it is a part of another model, if it can be one.
    """

    as_part: str | None = None
    schema: Schema
    representation: Representation | None

    def __init__(self, representation: Representation | None = None) -> None:
        super().__init__()
        if representation is not None:
            self.schema = representation.schema
        self.representation = representation

    @property
    def can_sample(self) -> bool:
        """Whether :meth:`sample` generates clouds; a plain autoencoder has no prior for that."""
        return True

    @property
    def condition_range(self) -> tuple[Tensor, Tensor] | None:
        """Smallest and largest value of each condition in the training split [C], if known."""
        fitted = self.representation
        return None if fitted is None else fitted.cardinality.condition_range

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that the training split had, all of the schema where that is not known."""
        fitted = self.representation
        return self.schema.labels if fitted is None else fitted.cardinality.classes

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """The objectives of the model, in the order in which they are run."""

    def begins_with(self, source: GenerativeModel, mine: str | None, theirs: str | None) -> None:
        """Called once a run has given this model the parameters and scalings that it starts from.

        Args:
            source: The model that they are of.
            mine: The part of this model that was given; None: all.
            theirs: The name of that part in the source.

        Raises:
            ArgumentError: the model cannot be trained from that part.
        """

    @abstractmethod
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """Draw the requested clouds, in physical units.

        Args:
            request: Tensors on the device of the model.
            generator: Source of all randomness.

        Raises:
            ArgumentError: a class was not in the training split, or the model was not trained.
        """

    @torch.no_grad()
    def sample(
        self,
        sizes: Tensor | Sequence[int] | int | None = None,
        y: Tensor | Sequence[Any] | float | None = None,
        label: Tensor | Sequence[Any] | int | str | None = None,
        *,
        classes: Sequence[str] | None = None,
        condition: Mapping[str, float] | None = None,
        number: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Draw clouds in physical units, with ``y`` and ``label`` where the schema has them.

        A single value holds for all clouds: ``sample(label="t", y=1000.0, number=100)``, or by the
        names of ``pcgen sample``,
        ``sample(classes=["t"], condition={"jet_pt": 1000}, number=100)``.

        Args:
            sizes: Points of each cloud [B]; None: drawn from p(n | y, label).
            y: Continuous condition [B, C]; None: drawn as in the training split.
            label: Class [B], by number or name; None: drawn as in the training split.
            classes: Names of classes that are taken in turn, instead of ``label``.
            condition: Value of each condition by its name, instead of ``y``.
            number: How many clouds, where none of the above gives it.
            generator: Source of all randomness.

        Raises:
            ArgumentError: no number of clouds is given, arguments do not fit together, a class was
                not in the training split, a condition is not positive although all of the training
                split are, or the model was not trained.
        """
        y = y if condition is None else by_name(self.schema, condition, y)
        label = label if classes is None else in_turn(self.schema, classes, number, label)
        device = next(self.parameters()).device
        request = resolve(self.schema, sizes, y, label, number, device)
        check_positive(self.schema, request.y, self.condition_range)
        return self.generate(request, generator)
