from __future__ import annotations

import json
import math

import pytest
import torch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics import evaluate
from pcgen.schema import Quantity, Schema

JETS = Schema((Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi)), Quantity("pt", "GeV"))


def jets(number, width=0.1, seed=0, mean_size=8):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.poisson(torch.full((number,), float(mean_size)), generator=generator).long()
    n = int(sizes.sum())
    pos = width * torch.randn(n, 2, generator=generator)
    return pc.make(pos, sizes, weight=50 * torch.rand(n, generator=generator))


def test_the_same_distribution_scores_its_floor():
    result = evaluate(jets(800, seed=1), jets(400, seed=2), JETS, repeats=6, subset=60)
    for score in result.scores:
        assert abs(score.excess) < 5, score
        assert math.isfinite(score.value)
    names = {score.name for score in result.scores}
    assert {"W1 mass", "W1 pt", "W1 girth", "W1 multiplicity", "W1 point eta_rel"} <= names
    assert {"COV-CD", "MMD-CD", "1-NNA-EMD"} <= names


def test_a_wrong_generator_is_seen_by_the_scores_it_concerns():
    result = evaluate(jets(800, seed=1), jets(400, width=0.2, seed=2), JETS, repeats=6, subset=60)
    excess = {score.name: score.excess for score in result.scores}
    assert excess["W1 mass"] > 5
    assert excess["W1 girth"] > 5
    assert excess["1-NNA-EMD"] > 3
    assert abs(excess["W1 multiplicity"]) < 5


def test_is_reproducible_and_writes_plain_values():
    real, fake = jets(60, seed=1), jets(30, seed=2)
    first = evaluate(real, fake, JETS, repeats=2, subset=10, seed=3)
    assert first == evaluate(real, fake, JETS, repeats=2, subset=10, seed=3)
    assert first != evaluate(real, fake, JETS, repeats=2, subset=10, seed=4)
    assert json.loads(json.dumps(first.to_dict()))["events"] == 30


def test_empty_events_are_counted_and_left_out_of_pairs():
    real = pc.concat([jets(40, seed=1), pc.make(torch.zeros(0, 2), [0], weight=torch.zeros(0))])
    result = evaluate(real, jets(20, seed=2), JETS, repeats=2, subset=5)
    assert result.empty[0] >= 1
    assert result.subset == 5


def test_progress_reaches_one():
    seen = []
    evaluate(jets(40), jets(20, seed=1), JETS, repeats=2, subset=4, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_bad_input_is_named():
    real = jets(20)
    with pytest.raises(ArgumentError, match="repeats: got 1"):
        evaluate(real, real, JETS, repeats=1)
    with pytest.raises(DataError, match="got 1 real"):
        evaluate(pc.select(real, [0]), real, JETS)
    broken = pc.replace(real, weight=real.weight.clone().index_fill(0, torch.tensor([3]), -1.0))
    with pytest.raises(DataError, match="weight of event 0: got a negative value"):
        evaluate(real, broken, JETS)
