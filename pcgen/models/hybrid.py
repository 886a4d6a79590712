r"""A hybrid of a generative and a discriminative model, with parameters coupled by a prior.

.. math::
    p(\theta, \tilde\theta) \prod_{n \in labelled} p(c_n \mid x_n, \theta)
    \prod_{n} p(x_n \mid \tilde\theta), \qquad
    p(\theta, \tilde\theta) \propto N(\theta - \tilde\theta; 0, \sigma^2)

of two towers of one family p(c, x | .): of one p(c | x) by Bayes' rule, of the other the sum over
classes p(x). σ → 0 is the generative model, which learns from all events and pays for what it gets
wrong; σ → ∞ the discriminative one, which learns from the labelled events alone. With
:math:`\sigma = (\alpha / (1 - \alpha))^2` both are ends of 0 ≤ α ≤ 1 (Lasserre, Bishop and Minka,
"Principled hybrids of generative and discriminative models", CVPR 2006).

The loss is -log of this over the number of training events. Which events are labelled is a function
of the event and the seed, so it is the same in every batch and after resuming.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.representations import Representation
from pcgen.models.request import Request
from pcgen.ops.segments import segment_sum


@runtime_checkable
class Generative(Protocol):
    """A tower that also draws points."""

    def sample(
        self, label: Tensor, sizes: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Channels of points [N, C] of clouds of these classes [B] and sizes [B]."""
        ...


class Hybrid(GenerativeModel):
    """Two towers; the generative one samples, the discriminative one classifies.

    Args:
        representation: Clouds with classes to events and back.
        generative: ``(event, log size [B])`` -> log p(c, x) [B, classes]; :class:`Generative`.
        discriminative: Another of the same parameters.
        coupling: α.
        labelled: Share of the training events whose class is looked at.
        seed: Of which these are.

    Raises:
        ArgumentError: ``coupling`` or ``labelled`` is not in [0, 1], or the clouds have no classes.
    """

    representation: Representation
    events: Tensor

    def __init__(
        self, representation: Representation, generative: nn.Module, discriminative: nn.Module,
        *, coupling: float, labelled: float = 1.0, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(representation)
        for name, value in (("coupling", coupling), ("labelled_fraction", labelled)):
            if not 0.0 <= value <= 1.0:
                raise ArgumentError(f"{name}: got {value}, expected a number from 0 to 1")
        if len(self.schema.labels) < 2:
            raise ArgumentError(
                f"labels: got {len(self.schema.labels)} classes, expected two or more to tell apart"
            )
        discriminative.load_state_dict(generative.state_dict())
        self.generative = generative
        self.other = None if coupling == 0.0 else discriminative
        self.coupling, self.labelled, self.seed = coupling, labelled, seed
        self.register_buffer("events", torch.ones((), dtype=torch.long))

    @property
    def discriminative(self) -> nn.Module:
        """The tower that classifies; the generative one itself where α is 0."""
        return self.generative if self.other is None else self.other

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted, training events are counted, both towers learn."""
        learning = Phase("towers", (self.generative, self.discriminative), self.loss)
        count = Phase("count", (), None, prepare=self._count)
        return (*self.representation.phases(), count, learning)

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Both terms of the likelihood and the coupling, for each training event in nats."""
        label = self._label(clouds)
        known = chosen(clouds, self.labelled, self.seed)
        right = self.log_class(clouds).gather(1, label[:, None])[:, 0]
        return {
            "class": -(right * known).mean(),
            "event": -self._tower(self.generative, clouds).logsumexp(1).mean(),
            "coupling": self.penalty() / int(self.events),
        }

    def penalty(self) -> Tensor:
        """|θ - θ̃|² / (2 σ²); 0 where the towers are one, or free."""
        zero = next(self.generative.parameters()).new_zeros(())
        if self.other is None:
            return zero
        inverse = inverse_variance(self.coupling)
        pairs = zip(self.generative.parameters(), self.discriminative.parameters(), strict=True)
        return 0.5 * inverse * sum(((a - b).square().sum() for a, b in pairs), zero)

    def log_class(self, clouds: Batch) -> Tensor:
        """log p(c | x) of the discriminative tower [B, classes]."""
        return self._tower(self.discriminative, clouds).log_softmax(1)

    @torch.no_grad()
    def accuracy(self, clouds: Batch) -> float:
        """Share of clouds whose most probable class is theirs."""
        found = self.log_class(clouds).argmax(1) == self._label(clouds)
        return float(found.double().mean())

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`; the generative tower's points."""
        drawn = self.representation.draw(request, generator)
        assert isinstance(self.generative, Generative)
        assert drawn.label is not None
        values = self.generative.sample(drawn.label, drawn.sizes, generator)
        event = self.representation.with_values(self.representation.unfilled(drawn), values)
        return self.representation.clouds(event, drawn)

    def _tower(self, tower: nn.Module, clouds: Batch) -> Tensor:
        event, condition = self.representation.see(clouds)
        place = self.representation.standardize.condition_features - 1  # log n
        found: Tensor = tower(event, condition[:, place])
        return found

    def _label(self, clouds: Batch) -> Tensor:
        if clouds.get("label") is None:
            raise ArgumentError("label: got clouds without one, expected a class of each")
        label: Tensor = clouds.label
        return label

    def _count(self, batches: Iterable[Batch]) -> None:
        self.events.fill_(sum(clouds.num_graphs for clouds in batches))


def inverse_variance(coupling: float) -> float:
    """1 / σ² of α in (0, 1].

    >>> inverse_variance(0.5), inverse_variance(1.0)
    (1.0, 0.0)
    """
    return ((1 - coupling) / coupling) ** 4


def chosen(clouds: Batch, share: float, seed: int) -> Tensor:
    """Which clouds are in a random share of all, as a function of each cloud and the seed [B] bool.

    A hash of the coordinates of its points, whatever their order: the same in every batch.

    >>> from pcgen import clouds as cl
    >>> clouds = cl.make(torch.arange(2000.0).view(-1, 2), [1] * 1000)
    >>> chosen(clouds, 1.0, 0).all().item(), 60 < int(chosen(clouds, 0.1, 0).sum()) < 140
    (True, True)
    """
    bits = clouds.pos.detach().float().cpu().contiguous().view(torch.int32).long()
    turned = (bits * torch.arange(1, 2 * bits.shape[1], 2)).sum(1)
    key = segment_sum(_mixed(turned).double(), clouds.ptr.cpu()).long()
    found = _mixed(key + 2654435761 * (seed + 1)).double() / 2**31
    return (found < share).to(clouds.pos.device)


def _mixed(key: Tensor) -> Tensor:
    """31 bits that look random, of integers."""
    key = key & 0x7FFFFFFF
    for factor in (0x45D9F3B, 0x119DE1F3):
        key = ((key ^ (key >> 16)) * factor) & 0x7FFFFFFF
    return key ^ (key >> 16)
