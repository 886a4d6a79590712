"""Reg-GAN, MDGAN and VAE-GAN: who learns what, in closed form and by gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.gan import Adversary
from pcgen.models.latent_terms import Deterministic, Gaussian
from pcgen.models.mode_gan import MDGAN, VAEGAN, EncoderGAN, RegGAN, pixel_distance
from pcgen.models.representations import Points
from pcgen.nn.critic import FeatureCritic
from pcgen.objectives import NON_SATURATING, ChamferLoss
from pcgen.ops.segments import segment_mean
from pcgen.schema import Quantity, Schema
from pcgen.standardize import channels

BARE = Schema((Quantity("x"), Quantity("y")))
PLAIN = Adversary(NON_SATURATING, None)


class Mean(nn.Module):
    """Encoder: a linear map of the mean of the points of a cloud."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2, out)

    def forward(self, event: Batch, condition: Tensor) -> Tensor:
        return self.linear(segment_mean(channels(event), event.ptr))


class At(nn.Module):
    """Generator: all points of a cloud are its code, times a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(2))

    def forward(self, code: Tensor, sizes: Tensor, condition: Tensor, generator: Any) -> Batch:
        return cl.make((self.factor * code).repeat_interleave(sizes, 0), sizes)


def see() -> Points:
    return Points(BARE)


CLOUDS = cl.make(
    torch.randn(7, 2, generator=torch.Generator().manual_seed(1)) + torch.tensor([3.0, -1.0]),
    [2, 4, 1],
)


def prepared(model: EncoderGAN) -> EncoderGAN:
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([CLOUDS])
    return model


def reg_gan(strength: float = 0.2, adversary: Adversary = PLAIN) -> RegGAN:
    torch.manual_seed(0)
    parts = (see(), At(), Mean(1), Mean(3), Deterministic(3, 2), adversary)
    found = RegGAN(*parts, distances={"chamfer": ChamferLoss()}, strength=strength)
    return prepared(found)


def md_gan(strength: float = 0.2) -> MDGAN:
    torch.manual_seed(0)
    parts = (see(), At(), Mean(1), Mean(1), Mean(3), Deterministic(3, 2), PLAIN)
    return prepared(MDGAN(*parts, distances={"chamfer": ChamferLoss()}, strength=strength))


def vae_gan(strength: float = 1.0) -> VAEGAN:
    torch.manual_seed(0)
    critic = FeatureCritic(Mean(4), 4)
    parts = (see(), At(), critic, Mean(3), Gaussian(3, 2), PLAIN)
    return prepared(VAEGAN(*parts, strength=strength))


def seeded(loss: Callable[[Batch], dict[str, Tensor]]) -> dict[str, Tensor]:
    torch.manual_seed(7)
    return loss(CLOUDS)


def decoded(model: EncoderGAN) -> Batch:
    """By hand, of the deterministic models."""
    real, condition = model.representation.see(CLOUDS)
    code = model.latent.linear(model.encoder(real, condition))
    return cl.make((model.generator.factor * code).repeat_interleave(cl.sizes(real), 0), [2, 4, 1])


def generated(model: EncoderGAN) -> Batch:
    torch.manual_seed(7)
    code = torch.randn(3, 2)
    return cl.make(
        (model.generator.factor * code).repeat_interleave(cl.sizes(CLOUDS), 0), [2, 4, 1]
    )


def moved(model: nn.Module, loss: Tensor) -> set[str]:
    """Names of the parts that the gradient of a loss reaches."""
    model.zero_grad()
    loss.backward()
    with_gradient = [
        name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())
    ]
    return {name.split(".")[0] for name in with_gradient}


def test_losses_of_reg_gan_are_those_of_the_paper() -> None:
    model = reg_gan(strength=0.3)
    real, condition = model.representation.see(CLOUDS)
    terms = seeded(model.generator_loss)
    logit, again = (model.critic(e, condition) for e in (generated(model), decoded(model)))
    torch.testing.assert_close(terms["generator"], softplus(-logit).mean())
    torch.testing.assert_close(terms["decoded-generator"], 0.3 * softplus(-again).mean())
    torch.testing.assert_close(terms["chamfer"], 0.3 * ChamferLoss()(decoded(model), real).mean())
    assert list(terms) == ["generator", "chamfer", "decoded-generator"]
    critic = seeded(model.critic_loss)["critic"]
    expected = softplus(-model.critic(real, condition)).mean() + softplus(logit).mean()
    torch.testing.assert_close(critic, expected)


def test_the_encoder_of_reg_gan_learns_nothing_from_generated_events() -> None:
    model = reg_gan()
    terms = seeded(model.generator_loss)
    assert "encoder" not in moved(model, terms["generator"])
    terms = seeded(model.generator_loss)
    both = terms["chamfer"] + terms["decoded-generator"]
    assert {"encoder", "latent", "generator"} <= moved(model, both)
    (phase,) = [each for each in model.phases() if each.name == "generator"]
    assert phase.modules == (model.generator, model.encoder, model.latent)


def test_a_gan_is_left_where_the_strength_is_zero() -> None:
    model = reg_gan(strength=0.0)
    terms = seeded(model.generator_loss)
    torch.testing.assert_close(sum(terms.values()), terms["generator"])


def test_steps_of_mdgan_are_those_of_the_paper() -> None:
    model = md_gan(strength=0.3)
    names = [phase.name for phase in model.phases() if phase.loss is not None]
    assert names == ["manifold-critic", "manifold", "critic", "generator"]
    real, condition = model.representation.see(CLOUDS)
    first, second = model.manifold_critic, model.critic
    made, again = generated(model), decoded(model)
    loss = model.manifold_critic_loss(CLOUDS)["critic"]
    expected = softplus(-first(real, condition)).mean() + softplus(first(again, condition)).mean()
    torch.testing.assert_close(loss, expected)
    terms = model.manifold_loss(CLOUDS)
    torch.testing.assert_close(terms["generator"], 0.3 * softplus(-first(again, condition)).mean())
    torch.testing.assert_close(terms["chamfer"], ChamferLoss()(again, real).mean())
    loss = seeded(model.critic_loss)["critic"]
    expected = softplus(-second(again, condition)).mean() + softplus(second(made, condition)).mean()
    torch.testing.assert_close(loss, expected)
    loss = seeded(model.generator_loss)["generator"]
    torch.testing.assert_close(loss, softplus(-second(made, condition)).mean())


def test_each_step_of_mdgan_reaches_its_own_parts() -> None:
    model = md_gan()
    assert moved(model, seeded(model.manifold_critic_loss)["critic"]) == {"manifold_critic"}
    assert moved(model, seeded(model.critic_loss)["critic"]) == {"critic"}
    manifold = moved(model, sum(seeded(model.manifold_loss).values()))
    assert manifold == {"generator", "encoder", "latent", "manifold_critic"}
    assert moved(model, sum(seeded(model.generator_loss).values())) == {"generator", "critic"}


def test_losses_of_vae_gan_are_those_of_the_paper() -> None:
    model = vae_gan(strength=0.5).eval()  # the code is its mean
    real, condition = model.representation.see(CLOUDS)
    mean, log_variance = model.latent.posterior(model.encoder(real, condition))
    again = cl.make((model.generator.factor * mean).repeat_interleave(cl.sizes(real), 0), [2, 4, 1])
    made = generated(model)
    apart = model.critic.features(again, condition) - model.critic.features(real, condition)
    reconstruction = 0.5 * apart.square().sum(1).mean()
    terms = seeded(model.encoder_loss)
    torch.testing.assert_close(terms["reconstruction"], reconstruction)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
    torch.testing.assert_close(terms["kl"], kl)
    logits = [model.critic(event, condition) for event in (real, made, again)]
    terms = seeded(model.generator_loss)
    torch.testing.assert_close(terms["reconstruction"], 0.5 * reconstruction)
    fooled = 0.5 * (softplus(-logits[1]).mean() + softplus(-logits[2]).mean())
    torch.testing.assert_close(terms["generator"], fooled)
    separated = softplus(-logits[0]).mean()
    separated = separated + 0.5 * (softplus(logits[1]).mean() + softplus(logits[2]).mean())
    torch.testing.assert_close(seeded(model.critic_loss)["critic"], separated)


def test_the_encoder_of_vae_gan_does_not_play() -> None:
    """Its phase holds the reconstruction and the divergence; the generator's moves it alone."""
    model = vae_gan()
    phases = {phase.name: phase for phase in model.phases() if phase.loss is not None}
    assert list(phases) == ["critic", "encoder", "generator"]
    assert phases["encoder"].modules == (model.encoder, model.latent)
    assert phases["generator"].modules == (model.generator,)
    assert set(phases["encoder"].loss(CLOUDS)) == {"kl", "reconstruction"}
    assert moved(model, seeded(model.critic_loss)["critic"]) == {"critic"}


@pytest.mark.parametrize("build", [reg_gan, md_gan, vae_gan])
def test_clouds_are_sampled_and_go_through_their_codes(build: Callable[[], EncoderGAN]) -> None:
    model = build().eval()
    back = model.reconstruct(CLOUDS)
    assert cl.sizes(back).tolist() == [2, 4, 1]
    real, condition = model.representation.see(CLOUDS)
    code = model.latent(model.encoder(real, condition)).value
    expected = model.representation.standardize.pos.inverse(model.generator.factor * code)
    torch.testing.assert_close(back.pos[back.ptr[:-1]], expected)
    made = model.sample(sizes=[3, 1], generator=torch.Generator().manual_seed(0))
    assert cl.sizes(made).tolist() == [3, 1]


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(ArgumentError, match="strength: got -1"):
        reg_gan(strength=-1.0)


def test_pixel_distance_does_not_depend_on_how_fine_the_cells_are() -> None:
    """The same hits on a lattice of twice as many cells."""
    real, made = torch.zeros(2, 2, 1, 4, 4).unbind(0)
    real[0, 0, 1, 1], real[0, 0, 2, 3], made[0, 0, 1, 1], made[0, 0, 0, 0] = 2.0, 1.0, 1.5, 3.0
    distance = pixel_distance(made, real)
    torch.testing.assert_close(distance, torch.tensor([(0.25 + 1.0 + 9.0) / 2, 0.0]))
    fine = [torch.zeros(2, 1, 8, 8) for _ in range(2)]
    fine[0][..., ::2, ::2], fine[1][..., ::2, ::2] = made, real
    torch.testing.assert_close(pixel_distance(*fine), distance)
