"""Networks on sets within the models that train them: laws that need both sides."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from pcgen import clouds as cl
from pcgen.models.autoencoder import Autoencoder, Gaussian
from pcgen.models.gan import GAN, Adversary
from pcgen.models.representations import Points
from pcgen.nn import (
    DGCNN,
    AttentionEncoder,
    EPiCEncoder,
    ListEncoder,
    MLPDecoder,
    PointNet,
    Ranks,
    SetDecoder,
)
from pcgen.objectives.reconstruction import ChamferLoss
from pcgen.schema import Quantity, Schema
from pcgen.standardize import channels
from pcgen.testing import random_clouds

JETS = Schema((Quantity("eta"), Quantity("phi")), Quantity("pt", "GeV"))
CONDITION = {"condition_channels": 1}
ENCODERS: dict[str, Callable[[int], nn.Module]] = {
    "epic": lambda out: EPiCEncoder(3, out, hidden=8, global_channels=4, layers=1, **CONDITION),
    "pointnet": lambda out: PointNet(3, out, hidden=(8,), head=(8,), **CONDITION),
    "dgcnn": lambda out: DGCNN(3, out, k=3, embedding=8, hidden=(8,), head=(8,), **CONDITION),
    "attention": lambda out: AttentionEncoder(3, out, hidden=8, heads=2, layers=1, **CONDITION),
    "list": lambda out: ListEncoder(3, out, max_points=6, hidden=(8,), **CONDITION),
}
DECODERS: dict[str, Callable[[], nn.Module]] = {
    "set": lambda: SetDecoder(4, 2, 1, hidden=8, layers=1, **CONDITION),
    "ranked": lambda: SetDecoder(4, 2, 1, hidden=8, layers=1, start=Ranks(), **CONDITION),
    "list": lambda: MLPDecoder(4, 2, 1, max_points=6, hidden=(8,), **CONDITION),
}
every_encoder = pytest.mark.parametrize("encoder", ENCODERS)
every_decoder = pytest.mark.parametrize("decoder", DECODERS)


jets = partial(random_clouds, [5, 0, 6, 1])


def autoencoder(encoder: str, decoder: str) -> Autoencoder:
    model = Autoencoder(
        Points(JETS),
        ENCODERS[encoder](8),
        Gaussian(8, 4),
        DECODERS[decoder](),
        {"chamfer": ChamferLoss()},
    )
    model.representation.standardize.fit(jets())
    return model


def gan(encoder: str, decoder: str) -> GAN:
    model = GAN(Points(JETS), DECODERS[decoder](), ENCODERS[encoder](1), 4)
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([jets()])
    return model


@every_encoder
@every_decoder
def test_an_autoencoder_gives_each_network_a_gradient(encoder: str, decoder: str) -> None:
    model = autoencoder(encoder, decoder)
    sum(model.loss(jets()).values(), torch.zeros(())).backward()
    for part in (model.encoder, model.decoder):
        for label, parameter in part.named_parameters():
            assert parameter.grad is not None, label
            assert torch.isfinite(parameter.grad).all(), label


@every_encoder
def test_codes_do_not_depend_on_the_order_of_the_points(encoder: str) -> None:
    model = autoencoder(encoder, "set").eval()
    order = torch.tensor([4, 3, 2, 1, 0, 10, 9, 8, 7, 6, 5, 11])
    backwards = cl.replace(jets(), pos=jets().pos[order], weight=jets().weight[order])
    torch.testing.assert_close(model.encode(backwards), model.encode(jets()), rtol=1e-4, atol=1e-5)


@every_encoder
def test_r1_of_a_critic_is_that_of_clouds_alone(encoder: str) -> None:
    model = gan(encoder, "set").double()
    event, condition = model.representation.see(cl.replace(jets(), pos=jets().pos.double()))
    see, adversary = model.representation, Adversary()
    whole = adversary.slope(model._critic(condition), event, event, see)
    alone = [
        adversary.slope(model._critic(condition[b : b + 1]), one, one, see)
        for b, one in enumerate(cl.select(event, [b]) for b in range(4))
    ]
    assert whole[0] > 0
    assert whole[1] == 0
    torch.testing.assert_close(whole, torch.cat(alone))


@every_encoder
@every_decoder
def test_a_gan_of_them_has_finite_gradients_of_its_penalty_too(encoder: str, decoder: str) -> None:
    model = gan(encoder, decoder)
    sum(model.critic_loss(jets()).values(), torch.zeros(())).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.critic.parameters())
    assert all(p.grad is None for p in model.generator.parameters())
    model.generator_loss(jets())["generator"].backward()
    for label, parameter in model.generator.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.abs().sum() > 0, label


@every_decoder
def test_a_generator_generates_the_requested_sizes(decoder: str) -> None:
    model = gan("epic", decoder)
    seed = torch.Generator().manual_seed(3)
    generated = model.sample(number=50, generator=seed)
    assert set(cl.sizes(generated).tolist()) <= {0, 1, 5, 6}
    again = model.sample(number=50, generator=torch.Generator().manual_seed(3))
    assert torch.equal(channels(again), channels(generated))
