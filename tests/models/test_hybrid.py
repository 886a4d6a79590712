"""The hybrid: its ends, the prior by hand, which events have a label, the density of a tower."""

from __future__ import annotations

import math

import pytest
import torch
from test_autoencoder import JETS, jets
from test_chain import fitted

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.hybrid import Hybrid, chosen, inverse_variance
from pcgen.nn import PointMixture
from pcgen.recipes import RECIPES
from pcgen.schema import Schema
from pcgen.testing import assert_permutation_invariant, clouds_of_schema, random_sizes
from pcgen.tools.claims import hybrid as claims
from pcgen.tools.validation import Validation


def hybrid(coupling: float, clouds: cl.Batch, **options) -> Hybrid:
    torch.manual_seed(0)
    model = RECIPES["points-hybrid"](coupling, components=3, schema=JETS.to_dict(), **options)
    return fitted(model, clouds)


def moved(model: Hybrid) -> Hybrid:
    """With parameters of which no two are alike."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def test_the_prior_by_hand_and_its_ends() -> None:
    clouds = jets([3, 0, 5, 1])
    model = moved(hybrid(0.4, clouds))
    apart = sum(
        (a - b).detach().square().sum().item()
        for a, b in zip(
            model.generative.parameters(), model.discriminative.parameters(), strict=True
        )
    )
    sigma = (0.4 / 0.6) ** 2
    penalty = model.penalty().item()
    assert penalty == pytest.approx(apart / (2 * sigma**2), rel=1e-5)
    assert inverse_variance(0.4) == pytest.approx(sigma**-2)
    assert int(model.events) == 4
    assert model.loss(clouds)["coupling"].item() == pytest.approx(penalty / 4)
    same = hybrid(0.0, clouds)
    assert same.discriminative is same.generative
    assert same.penalty().item() == 0.0
    assert moved(hybrid(1.0, clouds)).penalty().item() == 0.0


def test_the_generative_end_is_the_joint_likelihood_of_the_labelled() -> None:
    clouds = jets([3, 0, 5, 1])
    model = moved(hybrid(0.0, clouds))
    event, condition = model.representation.see(clouds)
    joint = model.generative(event, condition[:, -1]).gather(1, clouds.label[:, None]).mean()
    terms = model.loss(clouds)
    torch.testing.assert_close(terms["class"] + terms["event"], -joint)


def test_the_discriminative_end_is_a_classifier_of_the_labelled_alone() -> None:
    clouds = jets([3, 2, 5, 1] * 20)
    model = moved(hybrid(1.0, clouds, labelled_fraction=0.5))
    known = chosen(clouds, 0.5, 0)
    assert 20 < int(known.sum()) < 60
    event, condition = model.representation.see(clouds)
    logits = model.discriminative(event, condition[:, -1])
    loss = torch.nn.functional.cross_entropy(logits[known], clouds.label[known], reduction="sum")
    torch.testing.assert_close(model.loss(clouds)["class"], loss / 80)
    found = torch.autograd.grad(
        model.loss(clouds)["event"], list(model.discriminative.parameters()), allow_unused=True
    )
    assert all(gradient is None for gradient in found)


def test_labels_of_the_others_are_not_looked_at() -> None:
    clouds = jets([3, 2, 5, 1] * 20)
    model = moved(hybrid(0.5, clouds, labelled_fraction=0.5, label_seed=3))
    known = chosen(clouds, 0.5, 3)
    other = cl.replace(clouds, label=torch.where(known, clouds.label, 1 - clouds.label))
    for name, value in model.loss(clouds).items():
        torch.testing.assert_close(model.loss(other)[name], value)
    assert not torch.equal(known, chosen(clouds, 0.5, 4))


def test_which_events_are_labelled_depends_on_the_event_alone() -> None:
    clouds = clouds_of_schema(JETS, [5] * 4000)
    known = chosen(clouds, 0.1, 0)
    assert float(known.double().mean()) == pytest.approx(0.1, abs=0.02)
    order = torch.randperm(4000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(chosen(cl.select(clouds, order), 0.1, 0), known[order])
    assert torch.equal(chosen(cl.heaviest_first(clouds), 0.1, 0), known)
    assert bool((chosen(clouds, 0.1, 0) <= chosen(clouds, 0.2, 0)).all())
    assert not bool(chosen(clouds, 0.0, 0).any())
    assert bool(chosen(clouds, 1.0, 0).all())


def test_accuracy_is_the_share_of_right_classes_and_goes_into_the_log() -> None:
    clouds = jets([3, 2, 5, 1] * 20)
    model = moved(hybrid(0.5, clouds))
    right = model.log_class(clouds).argmax(1) == clouds.label
    assert model.accuracy(clouds) == pytest.approx(float(right.double().mean()))
    scores = Validation(clouds)(model)
    assert scores["accuracy"] == pytest.approx(model.accuracy(clouds))


# --- the density of a tower -----------------------------------------------------------------------


def tower(components: int = 3) -> PointMixture:
    torch.manual_seed(1)
    net = PointMixture(2, 2, components=components).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return net


def test_the_density_is_that_of_torch_distributions() -> None:
    net = tower()
    pos = torch.randn(6, 2, dtype=torch.double)
    clouds, log_size = cl.make(pos, [4, 0, 2]), torch.tensor([0.3, -1.0, 0.1]).double()
    found = net(clouds, log_size)
    for kind in range(2):
        points = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(logits=net.share[kind]),
            torch.distributions.Independent(
                torch.distributions.Normal(net.mean[kind], net.log_std[kind].exp()), 1
            ),
        ).log_prob(pos)
        size = torch.distributions.Normal(net.size_mean[kind], net.size_log_std[kind].exp())
        prior = net.prior.log_softmax(0)[kind]
        expected = prior + size.log_prob(log_size)
        expected = expected + torch.stack([points[:4].sum(), points[:0].sum(), points[4:].sum()])
        torch.testing.assert_close(found[:, kind], expected)


def test_samples_of_a_tower_have_its_means_and_spreads() -> None:
    net = tower()
    label = torch.tensor([1, 0])
    with torch.no_grad():
        points = net.sample(label, torch.tensor([40000, 7]), torch.Generator().manual_seed(0))
        share = net.share[1].softmax(0)[:, None]
        mean = (share * net.mean[1]).sum(0)
        square = (share * (net.mean[1].square() + (2 * net.log_std[1]).exp())).sum(0)
    assert points.shape == (40007, 2)
    torch.testing.assert_close(points[:40000].mean(0), mean, atol=0.03, rtol=0.0)
    torch.testing.assert_close(points[:40000].square().mean(0), square, atol=0.08, rtol=0.0)


def test_a_tower_does_not_depend_on_the_order_of_points() -> None:
    net = tower()
    clouds = cl.make(torch.randn(int(sum(random_sizes(9))), 2).double(), random_sizes(9))
    assert_permutation_invariant(lambda some: net(some, torch.zeros(some.num_graphs)), clouds)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"coupling": 1.5}, "coupling: got 1.5, expected a number from 0 to 1"),
        ({"labelled_fraction": -0.1}, "labelled_fraction: got -0.1, expected a number"),
        ({"components": 0}, "components: got 0, expected >= 1"),
        ({"label_seed": -1}, "label_seed: got -1, expected >= 0"),
        ({"schema": Schema(JETS.axes).to_dict()}, "labels: got 0 classes, expected two or more"),
    ],
)
def test_refusals(arguments: dict, error: str) -> None:
    with pytest.raises(ArgumentError, match=error):
        RECIPES["points-hybrid"](**arguments)


def test_the_accuracy_of_the_toy_is_that_of_many_events() -> None:
    draw = torch.Generator().manual_seed(0)
    mean = torch.randn(3, 2, 2, generator=draw)
    x = claims.events(50_000, draw).flatten(0, 1)
    label = torch.arange(2).repeat_interleave(50_000)
    found = claims.log_joint(mean, x.expand(3, -1, -1)).argmax(2)
    torch.testing.assert_close(
        (found == label).float().mean(1), claims.accuracy(mean), atol=0.006, rtol=0.0
    )
    assert math.isclose(float(claims.accuracy(claims.MEANS[None])), 0.82, abs_tol=0.1)
