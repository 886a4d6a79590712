"""Classifier: cross entropy and penalty in closed form, points alone, and the laws of PointNet."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.models.classifier import Classifier
from pcgen.models.representations import Points
from pcgen.recipes import points_classifier
from pcgen.recipes.points import Encoder
from pcgen.schema import Quantity, Schema
from pcgen.testing import clouds_of_schema, random_sizes

SHAPE = Schema(tuple(Quantity(axis) for axis in "xyz"), labels=("box", "sphere", "cone"))
BEAM = Schema(SHAPE.axes[:2], Quantity("E", "GeV"), condition=(Quantity("beam", "GeV"),),
              labels=("e", "pi"))  # fmt: skip


def events(schema: Schema, number: int = 30) -> Batch:
    return clouds_of_schema(schema, random_sizes(number), spread=0.5)


def fitted(schema: Schema, **options: Any) -> Classifier:
    model = points_classifier(schema=schema.to_dict(), hidden=8, **options)
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([events(schema)])
    return model.eval()


def maxima() -> Classifier:
    """A PointNet with T-Nets that pools by the maximum alone."""
    return fitted(SHAPE, encoder="pointnet", pooling=["max"])


class Constant(torch.nn.Module):
    """Logits of its own, and a penalty of 2 for each cloud."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = torch.nn.Parameter(torch.tensor([0.0, 1.0, 2.0]))

    def forward(self, event: Batch, condition: torch.Tensor) -> torch.Tensor:
        assert condition.shape == (event.num_graphs, 0)
        return self.logit.expand(event.num_graphs, 3)

    def penalty(self, event: Batch) -> torch.Tensor:
        return torch.full((event.num_graphs,), 2.0)


def test_the_loss_is_cross_entropy_and_the_penalty_of_the_network() -> None:
    model = Classifier(Points(SHAPE, alone=True), Constant(), strength=0.5)
    clouds = pc.make(torch.randn(4, 3), [2, 2], label=torch.tensor([0, 2]))
    model.representation.standardize.fit(clouds)
    loss = model.loss(clouds)
    whole = math.log(1 + math.e + math.e**2)
    assert loss["cross_entropy"].item() == pytest.approx(whole - 1)
    assert loss["penalty"].item() == pytest.approx(1.0)
    torch.testing.assert_close(model.probabilities(clouds)[0], torch.tensor([0.0, 1, 2]).softmax(0))
    assert set(Classifier(model.representation, Constant(), strength=0).loss(clouds)) == {
        "cross_entropy"
    }


def test_the_penalty_of_a_pointnet_is_that_of_its_feature_transform() -> None:
    model = maxima()
    with torch.no_grad():
        model.encoder.turn_features.head.out.bias.add_(torch.eye(8).flatten())  # A = 2 I
        model.encoder.turn_features.head.out.weight.zero_()
    # ½ |I - 4 I|² of 8 channels is ½ · 9 · 8.
    assert model.loss(events(SHAPE))["penalty"].item() == pytest.approx(0.001 * 36)


@pytest.mark.parametrize("encoder", get_args(Encoder))
def test_neither_class_nor_condition_nor_order_is_seen(encoder: str) -> None:
    model, clouds = fitted(BEAM, encoder=encoder), events(BEAM)
    found = model.probabilities(clouds, block=7)
    assert found.shape == (30, 2)
    torch.testing.assert_close(found.sum(1), torch.ones(30))
    other = pc.replace(clouds, y=clouds.y + 100, label=1 - clouds.label)
    assert torch.equal(model.probabilities(other, block=7), found)
    bare = pc.replace(clouds, y=None, label=None)
    assert torch.equal(model.probabilities(bare, block=7), found)
    order = torch.rand(len(clouds.pos)).argsort()
    order = order[clouds.batch[order].argsort(stable=True)]
    turned = pc.replace(clouds, pos=clouds.pos[order], weight=clouds.weight[order])
    torch.testing.assert_close(model.probabilities(turned, block=7), found, rtol=1e-4, atol=1e-6)


def test_maxima_do_not_depend_on_order_or_repetition_bit_for_bit() -> None:
    """Qi et al., section 4.3: f is a function of the set."""
    model, clouds = maxima(), pc.make(torch.randn(60, 3), [20, 40])
    found = model.probabilities(clouds)
    order = torch.cat([torch.randperm(20), 20 + torch.randperm(40)])
    turned = pc.make(clouds.pos[order], [20, 40])
    assert torch.equal(model.probabilities(turned), found)
    twice = torch.cat([clouds.pos[:20], clouds.pos[:20], clouds.pos[20:], clouds.pos[20:50]])
    torch.testing.assert_close(
        model.probabilities(pc.make(twice, [40, 70])), found, rtol=1e-5, atol=1e-7
    )


def test_critical_points_determine_the_classes() -> None:
    """Theorem 2: the points that attain a maximum, T-Nets included, give all that is seen."""
    model = maxima()
    points = torch.randn(300, 3)
    event, _ = model.representation.see(pc.make(points, [300]))
    net = model.encoder
    x = event.pos
    rows = [net.turn_input.mlp(x)]
    turned = net.lift(x @ net.turn_input(x, event.ptr)[0])
    rows += [net.turn_features.mlp(turned), net.features(event)]
    critical = torch.cat([each.argmax(0) for each in rows]).unique()
    assert len(critical) < 300
    few = pc.make(points[critical], [len(critical)])
    whole = model.probabilities(pc.make(points, [300]))
    torch.testing.assert_close(model.probabilities(few), whole, rtol=1e-5, atol=1e-7)
    rest = torch.ones(300, dtype=torch.bool)
    rest[critical] = False
    without = model.probabilities(pc.make(points[rest], [int(rest.sum())]))
    assert not torch.allclose(without, whole, rtol=1e-5, atol=1e-7)


def test_empty_clouds_and_no_clouds_are_classified() -> None:
    model = maxima()
    assert model.probabilities(pc.make(torch.zeros(0, 3), [0, 0])).shape == (2, 3)
    assert model.probabilities(pc.make(torch.zeros(0, 3), [])).shape == (0, 3)


def test_refusals() -> None:
    model = maxima()
    assert not model.can_sample
    with pytest.raises(ArgumentError, match="sample: got a classifier"):
        model.sample(number=2, label="box")
    with pytest.raises(DataError, match="label: got clouds without classes"):
        model.loss(pc.make(torch.randn(3, 3), [3]))
    with pytest.raises(ArgumentError, match="classes: got none, expected two or more"):
        points_classifier(schema=Schema(SHAPE.axes).to_dict())
    with pytest.raises(ArgumentError, match="expected alone=True"):
        Classifier(Points(SHAPE), Constant())
    with pytest.raises(ArgumentError, match="strength: got -1"):
        points_classifier(schema=SHAPE.to_dict(), orthogonality=-1)
    with pytest.raises(ArgumentError, match="alone: got rescale, excess or contexts"):
        Points(BEAM, alone=True, excess=True)
