r"""GANs with an encoder, against lost modes: Reg-GAN, MDGAN and VAE-GAN.

With a real event x, its code E(x), what is decoded of it :math:`\hat x = G(E(x))`, and a generated
event G(z), all given the conditions of x; f is the link of the game, where L(D, y, x) is its loss
of a generator whose events y the critic D compares with x, and M(D; x, y) the loss of a critic that
separates real x from generated y (:mod:`pcgen.objectives.adversarial`, penalty included):

============ ================================= ================================================
model        critics                           generator and encoder
============ ================================= ================================================
``RegGAN``   M(D; x, G(z))                     G and E: L(D, G(z), x) + λ d(x, x̂) + λ L(D, x̂, x)
``MDGAN``    M(D₁; x, x̂)                       G and E: d(x, x̂) + λ L(D₁, x̂, x)
             M(D₂; x̂, G(z))                    G: L(D₂, G(z), x̂)
``VAEGAN``   [M(D; x, G(z)) + M(D; x, x̂)] / 2  E: KL(q(z|x), N(0, 1)) + r(x, x̂)
                                               G: [L(D, G(z), x) + L(D, x̂, x)] / 2 + λ r(x, x̂)
============ ================================= ================================================

* Reg-GAN and MDGAN are those of Che et al. 2017, arXiv 1612.02136, sections 3.1 to 3.3, with
  λ₁ = λ₂ = λ. What an encoder maps to a code must be decoded and look real, so no mode of the data
  is without a gradient. MDGAN takes turns: its manifold step brings decoded events to real ones,
  its diffusion step generated events to decoded ones, each with a critic of its own.
* VAE-GAN is that of Larsen et al. 2016, arXiv 1512.09300, Algorithm 1, with
  :math:`r = |h(x) - h(\hat x)|^2 / 2` in the features h of the critic
  (:class:`~pcgen.nn.critic.FeatureCritic`), the likelihood of a normal of unit variance. The
  encoder takes no part in the game.

d is a distance of events, which for point sets must be one of sets (Chamfer's or the earth
mover's). The encoder has the parts of an :class:`~pcgen.models.autoencoder.Autoencoder`: a network
of features, and a latent term, :class:`~pcgen.models.latent_terms.Deterministic` of the first two
and :class:`~pcgen.models.latent_terms.Gaussian` of VAE-GAN. A generator of points also draws noise
for each point, which the code does not hold: d is then a mean over that noise. Clouds are sampled
as from a :class:`~pcgen.models.gan.GAN`, from normal codes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import at_least
from pcgen.models.autoencoder import Distance
from pcgen.models.base import Phase
from pcgen.models.gan import GAN, Adversary, Conditioned
from pcgen.models.latent_terms import Latent
from pcgen.models.representations import Event, Representation

Terms = dict[str, Tensor]


class Encoded(NamedTuple):
    """Real events, their condition [B, K], what is decoded of them, and terms of the code."""

    real: Event
    condition: Tensor
    decoded: Event
    terms: Terms


class EncoderGAN(GAN, ABC):
    """A GAN with an encoder of events into its codes.

    Args:
        representation: Physical clouds to events and back.
        generator: ``(code [B, Z], sizes [B], condition [B, K], generator)`` -> event.
        critic: ``(event, condition [B, K]) -> [B, 1]``.
        encoder: ``(event, condition [B, K])`` -> features [B, F].
        latent: Features -> codes [B, Z].
        adversary: What generator and critic play.
        distances: d, as a sum of distances by name; a :class:`VAEGAN` has none.
        strength: λ, see the head of this file; None: the customary one of the model.

    Raises:
        ArgumentError: λ is negative.
    """

    customary = 0.2

    def __init__(
        self,
        representation: Representation,
        generator: nn.Module,
        critic: nn.Module,
        encoder: nn.Module,
        latent: Latent,
        adversary: Adversary | None = None,
        *,
        distances: Mapping[str, Distance] = MappingProxyType({}),
        strength: float | None = None,
    ) -> None:
        super().__init__(representation, generator, critic, latent.code_channels, adversary)
        at_least(0, strength=strength)
        self.encoder, self.latent, self.distances = encoder, latent, dict(distances)
        self.strength = self.customary if strength is None else strength

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then critics, generator and encoder take turns."""
        return (*self.representation.phases(), *self.turns())

    @abstractmethod
    def turns(self) -> tuple[Phase, ...]:
        """The phases that learn."""

    @torch.no_grad()
    def reconstruct(self, clouds: Batch, generator: torch.Generator | None = None) -> Batch:
        """What is left of clouds, in physical units, that go through their codes."""
        drawn = self.representation.describe(clouds)
        event, condition = self.representation.see(clouds)
        code = self.latent(self.encoder(event, condition)).value
        event = self.generator(code, drawn.sizes, condition, generator)
        return self.representation.clouds(event, drawn)

    def _through(self, clouds: Batch) -> Encoded:
        """Clouds in physical units, encoded and decoded."""
        real, condition = self.representation.see(clouds)
        code = self.latent(self.encoder(real, condition))
        decoded = self.generator(code.value, self.representation.sizes(real), condition, None)
        return Encoded(real, condition, decoded, code.terms)

    def _distances(self, seen: Encoded) -> Terms:
        """d of decoded and real events, each of its terms a mean over events."""
        decoded = self.representation.complete(seen.decoded)
        return {name: d(decoded, seen.real).mean() for name, d in self.distances.items()}


class RegGAN(EncoderGAN):
    """See the head of this file; λ is that of the distance, and of the game of decoded events."""

    def turns(self) -> tuple[Phase, ...]:
        """The critic; then generator and encoder together."""
        critic, generator = self._play()
        both = (self.generator, self.encoder, self.latent)
        return critic, replace(generator, modules=both)

    def generator_loss(self, clouds: Batch) -> Terms:
        """Terms of generator and encoder; no generated event depends on the encoder."""
        seen = self._through(clouds)
        critic = self._critic(seen.condition)
        generated = self._make(seen.real, seen.condition)
        terms = self._generator_terms(critic, seen.real, generated, self.level)
        decoded = _of_decoded(self._generator_terms(critic, seen.real, seen.decoded, self.level))
        return terms | _times(self.strength, self._distances(seen) | decoded)


class MDGAN(EncoderGAN):
    """See the head of this file.

    Args:
        representation: As of :class:`EncoderGAN`, and so are further arguments.
        generator: The same.
        critic: Of the diffusion step, D₂.
        manifold_critic: Of the manifold step, D₁, with another start.
        encoder: The same.
        latent: The same.
        adversary: Of both steps.
        distances: The same.
        strength: The same.
    """

    def __init__(
        self,
        representation: Representation,
        generator: nn.Module,
        critic: nn.Module,
        manifold_critic: nn.Module,
        encoder: nn.Module,
        latent: Latent,
        adversary: Adversary | None = None,
        *,
        distances: Mapping[str, Distance],
        strength: float | None = None,
    ) -> None:
        parts = (representation, generator, critic, encoder, latent, adversary)
        super().__init__(*parts, distances=distances, strength=strength)
        self.manifold_critic = manifold_critic
        self.manifold_level = self.adversary.noise_level()

    def turns(self) -> tuple[Phase, ...]:
        """Manifold step, then diffusion step."""
        critic, manifold = self.adversary.phases(
            self.manifold_critic,
            self.manifold_critic_loss,
            self.generator,
            self.manifold_loss,
            self.set_done,
            self.manifold_level,
        )
        both = (self.generator, self.encoder, self.latent)
        return (
            replace(critic, name="manifold-critic"),
            replace(manifold, name="manifold", modules=both),
            *self._play(),
        )

    def manifold_critic_loss(self, clouds: Batch) -> Terms:
        """Terms of D₁, which separates real events from decoded ones."""
        with torch.no_grad():
            seen = self._through(clouds)
        critic = Conditioned(self.manifold_critic, seen.condition)
        return self._critic_terms(critic, seen.real, seen.decoded, self.manifold_level)

    def manifold_loss(self, clouds: Batch) -> Terms:
        """Terms of generator and encoder in the manifold step."""
        seen = self._through(clouds)
        critic = Conditioned(self.manifold_critic, seen.condition)
        game = self._generator_terms(critic, seen.real, seen.decoded, self.manifold_level)
        return self._distances(seen) | _times(self.strength, game)

    def critic_loss(self, clouds: Batch) -> Terms:
        """Terms of D₂, which separates decoded events from generated ones."""
        with torch.no_grad():
            seen = self._through(clouds)
            generated = self._make(seen.real, seen.condition)
        return self._critic_terms(self._critic(seen.condition), seen.decoded, generated, self.level)

    def generator_loss(self, clouds: Batch) -> Terms:
        """Terms of the generator in the diffusion step."""
        with torch.no_grad():
            seen = self._through(clouds)
        generated = self._make(seen.real, seen.condition)
        return self._generator_terms(
            self._critic(seen.condition), seen.decoded, generated, self.level
        )


class VAEGAN(EncoderGAN):
    """See the head of this file; the critic has ``features``, the latent term is a Gaussian one.

    λ is the weight of the reconstruction for the generator.
    """

    customary = 1.0

    def turns(self) -> tuple[Phase, ...]:
        """Critic, encoder and generator."""
        critic, generator = self._play()
        modules = (self.encoder, self.latent)
        encoder = replace(generator, name="encoder", modules=modules, loss=self.encoder_loss)
        return critic, encoder, generator

    def critic_loss(self, clouds: Batch) -> Terms:
        """Terms of the critic, the mean over generated and decoded events."""
        with torch.no_grad():
            seen = self._through(clouds)
            generated = self._make(seen.real, seen.condition)
        critic = self._critic(seen.condition)
        return _mean(
            lambda event: self._critic_terms(critic, seen.real, event, self.level),
            generated,
            seen.decoded,
        )

    def encoder_loss(self, clouds: Batch) -> Terms:
        """Terms of the encoder."""
        seen = self._through(clouds)
        return seen.terms | {"reconstruction": self._apart(seen)}

    def generator_loss(self, clouds: Batch) -> Terms:
        """Terms of the generator."""
        seen = self._through(clouds)
        critic, generated = self._critic(seen.condition), self._make(seen.real, seen.condition)
        terms = _mean(
            lambda event: self._generator_terms(critic, seen.real, event, self.level),
            generated,
            seen.decoded,
        )
        return terms | {"reconstruction": self.strength * self._apart(seen)}

    def _apart(self, seen: Encoded) -> Tensor:
        """r, a mean over events."""
        features = self._critic(seen.condition).features
        with torch.no_grad():
            wanted = features(seen.real)
        return 0.5 * (features(seen.decoded) - wanted).square().sum(1).mean()


def pixel_distance(generated: Tensor, real: Tensor) -> Tensor:
    r"""Squared difference of images [B, C, \*shape], for each filled cell of the real one [B].

    Divided by the number of all cells it would vanish as the cells get smaller.

    >>> pixel_distance(torch.tensor([[[1.0, 1.0, 0.0]]]), torch.tensor([[[3.0, 0.0, 2.0]]])).item()
    4.5
    """
    filled = (real > 0).flatten(1).sum(1).clamp(min=1)
    return (generated - real).square().flatten(1).sum(1) / filled


def _times(factor: float, terms: Terms) -> Terms:
    return {name: factor * term for name, term in terms.items()}


def _of_decoded(terms: Terms) -> Terms:
    """By other names than those of generated events."""
    return {f"decoded-{name}": term for name, term in terms.items()}


def _mean(terms: Callable[[Event], Terms], *events: Event) -> Terms:
    """Mean of the terms over events."""
    each = [terms(event) for event in events]
    return {name: torch.stack([found[name] for found in each]).mean() for name in each[0]}
