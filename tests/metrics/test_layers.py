"""Layers of a detector: the weight in each is an observable, and a score of pcgen's protocol."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.metrics import Evaluation, evaluate, layer_weights, protocols
from pcgen.schema import Quantity, Schema

LAYERS = ("ECAL", "HCAL", "tail")
ENERGY = Quantity("energy", "GeV")
HITS = Schema((Quantity("x", "mm"), Quantity("y", "mm")), ENERGY, layers=LAYERS)
JETS = Schema((Quantity("eta"), Quantity("phi", "rad", 2 * math.pi)), ENERGY, layers=LAYERS)
SCORES = {f"W1 energy in {name}" for name in LAYERS}


def hits(number: int, seed: int) -> Batch:
    """Events most of whose energy is in the first layer."""
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.randint(3, 12, (number,), generator=draw)
    total = int(sizes.sum())
    pos = torch.randn(total, 2, generator=draw)
    weight = torch.rand(total, generator=draw)
    layer = torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), total, True, generator=draw)
    return pc.make(pos, sizes, weight=weight, layer=layer)


def scored(fake: Batch, schema: Schema, real: Batch | None = None) -> Evaluation:
    protocol = protocols.pcgen(schema, repeats=4, subset=0)
    real = hits(160, 0) if real is None else real
    return evaluate(real, fake, schema, protocol=protocol, permutations=100)


@given(st.lists(st.integers(0, 4), max_size=5), st.integers(0, 99))
def test_the_weight_in_each_layer_is_the_sum_of_its_points(sizes: list[int], seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    n = sum(sizes)
    layer, weight = torch.randint(3, (n,), generator=draw), torch.rand(n, generator=draw)
    clouds = pc.make(torch.zeros(n, 2), sizes, weight=weight, layer=layer)
    found = layer_weights(clouds, HITS)
    assert [quantity.name for quantity in found] == [f"energy in {name}" for name in LAYERS]
    assert {quantity.unit for quantity in found} == {"GeV"}
    for k, values in enumerate(found.values()):
        expected = [
            sum(w for w, at in zip(ws.tolist(), ls.tolist(), strict=True) if at == k)
            for ws, ls in zip(weight.split(sizes), layer.split(sizes), strict=True)
        ]
        assert values.tolist() == pytest.approx(expected)


def test_there_is_none_without_layers_names_or_weights() -> None:
    some = hits(3, 0)
    assert layer_weights(pc.replace(some, layer=None), HITS) == {}
    assert layer_weights(pc.replace(some, weight=None), HITS) == {}
    assert layer_weights(some, Schema(HITS.axes, ENERGY)) == {}
    assert layer_weights(some, Schema(HITS.axes, layers=LAYERS)) == {}


@pytest.mark.parametrize("schema", [HITS, JETS])
@pytest.mark.parametrize(("layer", "far"), [(None, False), (0, True)])
def test_points_all_in_one_layer_are_seen(schema: Schema, layer: int | None, far: bool) -> None:
    fake = hits(80, 1)
    if layer is not None:
        fake = pc.replace(fake, layer=torch.full_like(fake.layer, layer))
    scores = {score.name: score for score in scored(fake, schema).scores}
    assert scores.keys() >= SCORES
    for name in SCORES:
        assert scores[name].unit == "GeV"
        assert (scores[name].z > 3) == far
        chance: Tensor | float = scores[name].p or 0.0
        assert (chance < 0.02) == far


@pytest.mark.parametrize("schema", [HITS, JETS])
def test_all_other_scores_are_those_without_layers(schema: Schema) -> None:
    real, fake = hits(160, 0), hits(80, 1)
    bare = [pc.replace(side, layer=None) for side in (real, fake)]
    plain = scored(bare[1], Schema(schema.axes, ENERGY), bare[0])
    assert not SCORES & {score.name for score in plain.scores}
    # What one side alone has is scored on neither.
    assert scored(bare[1], schema, real) == plain
    values = {score.name: (score.value, score.floor) for score in scored(fake, schema).scores}
    expected = {score.name: (score.value, score.floor) for score in plain.scores}
    assert {name: values[name] for name in values.keys() - SCORES} == expected
