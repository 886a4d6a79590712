"""Answers of a detector whose law is known: a perfect generator scores its floors."""

from __future__ import annotations

import math

import pytest
import torch
from torch_geometric.data import Batch
from toy_pairs import CONTEXT, SCHEMA, measured, truths

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics import Inputs, evaluate_answers

B, N = 300, 8
TRUTH = truths(B, 1, low=2)


def answered(number: int, seed: int, *, of: Batch = TRUTH) -> Batch:
    each = [measured(of, seed + k) for k in range(number)]
    rows = torch.arange(number * B).view(number, B).T.flatten()
    return pc.select(pc.concat(each), rows)


INPUTS = Inputs(measured(TRUTH, 50), SCHEMA, TRUTH, CONTEXT, subset=40)


@pytest.fixture(scope="module")
def perfect():
    return evaluate_answers(INPUTS, answered(N, 100), N, responses=answered(6, 300), name="made")


def test_a_perfect_generator_scores_the_floors_of_repeated_responses(perfect) -> None:
    assert list(perfect) == ["made", "mean"]  # signals are no energies: there is no copy
    scores = {score.name: score for score in perfect["made"].scores}
    assert {"energy score", "energy score EMD", "coverage 68 % multiplicity"} <= set(scores)
    # The nearest of 8 answers is nearer than that of 6.
    far = [s.name for s in scores.values() if abs(s.z) > 4 and "nearest" not in s.name]
    assert far == []
    assert scores["nearest answer EMD"].value < scores["nearest answer EMD"].floor
    assert scores["response multiplicity 2 to 4"].floor == pytest.approx(0.8, abs=0.05)


def test_the_mean_is_worse_and_answers_to_other_inputs_too(perfect) -> None:
    mean = {score.name: score for score in perfect["mean"].scores}
    assert mean["energy score"].z > 5
    other = answered(N, 100, of=pc.select(TRUTH, torch.arange(B).roll(1)))
    found = evaluate_answers(INPUTS, other, N, responses=answered(6, 300), name="made")["made"]
    scores = {score.name: score for score in found.scores}
    assert scores["energy score"].z > 5
    assert scores["energy score EMD"].z > 5
    assert scores["coverage 68 % multiplicity"].z < -5


def test_without_responses_floors_are_what_the_answers_believe() -> None:
    narrow = pc.select(answered(1, 100), torch.arange(B).repeat_interleave(4))
    found = evaluate_answers(INPUTS, narrow, 4, name="made")["made"]
    scores = {score.name: score for score in found.scores}
    assert scores["energy score"].floor == pytest.approx(0, abs=1e-6)
    assert scores["coverage 68 % multiplicity"].floor == 0.68
    assert scores["coverage 68 % total_signal"].z < -5
    assert math.isnan(scores["nearest answer EMD"].floor)
    single = evaluate_answers(INPUTS, answered(1, 100), 1, name="made")["made"]
    assert not any("coverage" in score.name for score in single.scores)


def test_the_copy_is_the_input_where_it_means_the_same() -> None:
    inputs = Inputs(TRUTH, CONTEXT, TRUTH, CONTEXT, subset=20)
    found = evaluate_answers(inputs, TRUTH, 1, name="same")
    assert list(found) == ["same", "mean", "copy"]
    for score in found["copy"].scores:
        if score.name.startswith(("energy", "resolution", "nearest")):
            assert score.value == pytest.approx(0, abs=1e-9)


def test_numbers_must_fit() -> None:
    with pytest.raises(ArgumentError, match=r"answers: got 600 events, expected 3 for each"):
        evaluate_answers(INPUTS, answered(2, 1), 3, name="made")
    few = pc.select(answered(1, 1), slice(0, 7))
    with pytest.raises(ArgumentError, match="responses: got 7 events"):
        evaluate_answers(INPUTS, answered(2, 1), 2, responses=few, name="made")
    broken = answered(1, 1)
    broken = pc.replace(broken, weight=torch.full_like(broken.weight, math.nan))
    with pytest.raises(DataError, match="answers: got events with NaN"):
        evaluate_answers(INPUTS, broken, 1, name="made")
