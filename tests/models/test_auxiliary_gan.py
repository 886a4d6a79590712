"""The GAN whose critic names classes: its terms against those written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.io import JETS
from pcgen.models.auxiliary_gan import Auxiliary, AuxiliaryGAN
from pcgen.models.gan import Adversary
from pcgen.models.representations import Points
from pcgen.nn import EPiCEncoder, SetDecoder
from pcgen.objectives import NON_SATURATING
from pcgen.testing import clouds_of_schema, random_sizes


class Counted(nn.Module):
    """A critic that remembers what it gave."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic, self.given = critic, []

    def forward(self, event, condition):
        self.given.append(self.critic(event, condition))
        return self.given[-1]


@pytest.fixture
def prepared():
    clouds = clouds_of_schema(JETS, random_sizes(12, 1, 5), spread=0.2)
    points = Points(JETS)
    channels = {"condition_channels": points.condition_channels, "hidden": 8}
    critic = Counted(EPiCEncoder(points.value_channels, 6, layers=1, **channels))
    model = AuxiliaryGAN(
        points,
        SetDecoder(3, 2, 1, layers=1, **channels),
        critic,
        3,
        Adversary(NON_SATURATING, None),
        Auxiliary(5, weight=2.0, flipping=0.0, generator_flipping=0.0),
    )
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    return model, clouds


def test_terms_are_those_written_out_and_the_critic_runs_once_an_event(prepared):
    model, clouds = prepared
    terms = model.critic_loss(clouds)
    real, generated = model.critic.given
    game = F.softplus(-real[:, 0]) + F.softplus(generated[:, 0])
    classes = 2 * sum(F.cross_entropy(side[:, 1:], clouds.label) for side in (real, generated))
    assert set(terms) == {"critic", "classes"}
    torch.testing.assert_close(terms["critic"], game.mean())
    torch.testing.assert_close(terms["classes"], classes)
    model.critic.given.clear()
    terms = model.generator_loss(clouds)
    (generated,) = model.critic.given
    torch.testing.assert_close(terms["generator"], F.softplus(-generated[:, 0]).mean())
    torch.testing.assert_close(
        terms["classes"], 2 * F.cross_entropy(generated[:, 1:], clouds.label)
    )


def test_wrong_labels_are_as_many_as_stated_and_all_others_alike():
    torch.manual_seed(0)
    label = torch.full((20_000,), 2)
    logits = torch.eye(4)[None].expand(20_000, 4, 4)[:, 0] * 0 + torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = Auxiliary(4).loss(logits, label, flipping=0.3)
    cost = -logits[0].log_softmax(0)
    shares = torch.stack([(found - each).abs().lt(1e-5).float().mean() for each in cost])
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.1, 0.7, 0.1]), rtol=0, atol=0.01)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ArgumentError, match="classes: got 1, expected at least 2"):
        Auxiliary(1)
    with pytest.raises(ArgumentError, match=r"flipping: got 0.5, expected in \[0, 0.5\)"):
        Auxiliary(2, flipping=0.5)


def test_clouds_keep_their_classes(prepared):
    model, _ = prepared
    assert model.sample(label=["g", "t"]).label.tolist() == [0, 2]
    assert pc.sizes(model.sample([3, 1], label="g", y=1000.0)).tolist() == [3, 1]
