r"""Helmholtz machines of binary hit patterns, learnt by wake-sleep, plain or reweighted.

.. math::
    p(x, h) = p(h_L) \prod_{l=1}^{L} p(h_{l-1} \mid h_l), \qquad
    q(h \mid x) = \prod_{l=1}^{L} q(h_l \mid h_{l-1}), \qquad h_0 = x,

every factor a product of Bernoulli units whose logits a network gives from the layer beside. Two
phases, each of which leaves the other's networks as they are:

* **wake**: h from q(h | x) of an event; the generative side learns :math:`\nabla \log p(x, h)`;
* **sleep**: (x, h) from p; the recognition side learns :math:`\nabla \log q(h \mid x)`, which
  minimises KL(p(h | x) || q(h | x)) on the model's own events

(Hinton, Dayan, Frey and Neal, Science 268, 1995). Nothing is differentiated through a drawn unit.
With K codes for each event the first is the *reweighted* phase of Bornschein and Bengio, arXiv
1406.2751, a step on an estimate of log p(x) itself, better with each K:

.. math::
    \sum_k \tilde w_k \nabla \log p(x, h_k), \qquad
    \tilde w_k = \frac{w_k}{\sum_j w_j}, \quad w_k = \frac{p(x, h_k)}{q(h_k \mid x)},

and the recognition side may learn :math:`\sum_k \tilde w_k \nabla \log q(h_k \mid x)` in wake, too
or instead of sleep. With K = 1 this is wake-sleep, whose wake phase is a step on a bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, at_least
from pcgen.models.base import GenerativeModel, Phase, kept
from pcgen.models.representations import Hits
from pcgen.models.request import Request
from pcgen.objectives.likelihood import bernoulli
from pcgen.ops.drawing import uniform

UPDATES = ("sleep", "wake", "both")
"""On what the recognition side learns: events of the model, of the data, or both."""


class HelmholtzMachine(GenerativeModel):
    """Layers of binary units above a hit pattern.

    Args:
        representation: Clouds to patterns and back.
        generative: ``(layer above [B, H], condition [B, K])`` -> logits of the layer below, from
            the pattern upwards; the last takes a column of ones and gives the highest layer.
        recognition: ``(layer below, condition)`` -> logits of the layer above, upwards.
        codes: K.
        update: One of :data:`UPDATES`.

    Raises:
        ArgumentError: the two sides have other numbers of layers than L + 1 and L, or the update is
            unknown or has only one code.
    """

    representation: Hits
    base: Tensor

    def __init__(
        self,
        representation: Hits,
        generative: Sequence[nn.Module],
        recognition: Sequence[nn.Module],
        *,
        codes: int = 1,
        update: str = "sleep",
    ) -> None:
        super().__init__(representation)
        at_least(1, importance_samples=codes)
        if len(generative) != len(recognition) + 1:
            raise ArgumentError(
                f"generative, recognition: got {len(generative)} and {len(recognition)} networks, "
                "expected one more of the first"
            )
        if update not in UPDATES:
            raise ArgumentError(f"update: got {update!r}, expected one of {', '.join(UPDATES)}")
        if update != "sleep" and codes == 1:
            raise ArgumentError(
                f"update: got {update!r} with 1 importance sample, whose weight is 1 whatever it "
                "is, expected sleep, or more importance samples"
            )
        self.generative, self.recognition = nn.ModuleList(generative), nn.ModuleList(recognition)
        self.codes, self.update = codes, update
        self.register_buffer("base", torch.zeros(representation.cells))

    def phases(self) -> Sequence[Phase]:
        """The representation and mean occupancies are fitted; then wake and sleep take turns."""
        return (
            *self.representation.phases(),
            Phase("occupancy", (), None, prepare=self._fit_base, adapt=kept),
            Phase("wake", (self.generative,), self.wake),
            Phase("sleep", (self.recognition,), self.sleep),
        )

    def wake(self, clouds: Batch) -> dict[str, Tensor]:
        """Loss of the generative side on clouds in physical units."""
        return self.wake_terms(*self._patterns(clouds))

    def sleep(self, clouds: Batch) -> dict[str, Tensor]:
        """Loss of the recognition side, under the conditions of clouds in physical units."""
        return self.sleep_terms(*self._patterns(clouds))

    def wake_terms(self, pattern: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """-Σ w̃ log p(x, h), a mean over patterns [B, X] with conditions [B, K]."""
        layers, condition, weight = self._inferred(pattern, condition)
        return {"generative": -self._mean(self.log_joint(layers, condition), weight)}

    def sleep_terms(self, pattern: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """-log q(h | x), a mean over dreams under these conditions, or weighted over patterns."""
        terms = {}
        if self.update != "wake":
            with torch.no_grad():
                layers = self.dream(condition)
            terms["recognition"] = -self.log_posterior(layers, condition).mean()
        if self.update != "sleep":
            layers, condition, weight = self._inferred(pattern, condition)
            terms["posterior"] = -self._mean(self.log_posterior(layers, condition), weight)
        return terms

    def log_joint(self, layers: Sequence[Tensor], condition: Tensor) -> Tensor:
        """log p(x, h | condition) [B], of layers from the pattern [B, X] upwards."""
        ones = layers[-1].new_ones(len(layers[-1]), 1)
        logits = [
            self._below(number, above, condition)
            for number, above in enumerate([*layers[1:], ones])
        ]
        return _log_p(logits, layers)

    def log_posterior(self, layers: Sequence[Tensor], condition: Tensor) -> Tensor:
        """log q(h | x, condition) [B]."""
        pairs = zip(self.recognition, layers, strict=False)
        return _log_p([net(below, condition) for net, below in pairs], layers[1:])

    def dream(self, condition: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
        """Layers that are drawn from the model, the pattern first."""
        layers: list[Tensor] = []
        layer = condition.new_ones(len(condition), 1)
        for number in reversed(range(len(self.generative))):
            layer = _drawn(self._below(number, layer, condition), generator)
            layers.insert(0, layer)
        return layers

    def recognise(
        self, pattern: Tensor, condition: Tensor, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Layers from q(h | x) of patterns [B, X], which are the first of them."""
        layers = [pattern]
        for net in self.recognition:
            layers.append(_drawn(net(layers[-1], condition), generator))
        return layers

    @torch.no_grad()
    def log_likelihood(
        self, clouds: Batch, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        r"""Estimate of log p(x | condition), on average from below, in nats [B].

        :math:`\log \frac1K \sum_k w_k`, which tends to log p(x) with K (arXiv 1406.2751, eq. 4).

        Args:
            clouds: In physical units.
            samples: K, codes per event.
            generator: Source of the codes.
        """
        at_least(1, samples=samples)
        pattern, condition = self._patterns(clouds)
        found = []
        for _ in range(samples):
            layers = self.recognise(pattern, condition, generator)
            joint, posterior = (
                each(layers, condition) for each in (self.log_joint, self.log_posterior)
            )
            found.append(joint - posterior)
        return torch.stack(found).logsumexp(0) - math.log(samples)

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`; the number of hits is drawn with the pattern."""
        drawn = self.representation.draw(request, generator)
        pattern = self.dream(self.representation.condition(drawn), generator)[0]
        return self.representation.clouds(pattern.unflatten(1, self.representation.shape), drawn)

    def _patterns(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        image, condition = self.representation.see(clouds)
        return image.flatten(1), condition

    def _inferred(self, pattern: Tensor, condition: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Layers of K codes of each pattern, their conditions, and the weights [B, K]."""
        pattern, condition = (
            value.repeat_interleave(self.codes, 0) for value in (pattern, condition)
        )
        with torch.no_grad():
            layers = self.recognise(pattern, condition)
            log_ratio = self.log_joint(layers, condition) - self.log_posterior(layers, condition)
            weight = log_ratio.unflatten(0, (-1, self.codes)).softmax(1)
        return layers, condition, weight

    def _below(self, number: int, above: Tensor, condition: Tensor) -> Tensor:
        """Logits of a layer; those of the pattern are added to those of the mean occupancies."""
        logit: Tensor = self.generative[number](above, condition)
        return logit if number else logit + self.base

    def _fit_base(self, batches: Iterable[Batch]) -> None:
        hits, events = torch.zeros_like(self.base), 0
        for clouds in batches:
            hits += self.representation.see(clouds).event.flatten(1).sum(0).to(hits)
            events += clouds.num_graphs
        self.base.copy_(((hits + 0.5) / (events + 1)).logit())

    @staticmethod
    def _mean(value: Tensor, weight: Tensor) -> Tensor:
        return (weight * value.unflatten(0, (-1, weight.shape[1]))).sum(1).mean()


def _log_p(logits: Sequence[Tensor], layers: Sequence[Tensor]) -> Tensor:
    pairs = zip(logits, layers, strict=True)
    return -torch.stack([bernoulli(layer > 0.5, logit).sum(1) for logit, layer in pairs]).sum(0)


def _drawn(logit: Tensor, generator: torch.Generator | None) -> Tensor:
    return (uniform(tuple(logit.shape), logit, generator) < logit.sigmoid()).to(logit)
