"""Responses in bins of the truth: against NumPy, known differences, and the floor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcgen import clouds as pc
from pcgen import metrics
from pcgen.datasets.cards import read_card
from pcgen.datasets.electrons import ELECTRONS, electrons
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics import protocols
from pcgen.metrics.scores.response import response_in_bins, responses
from pcgen.schema import Quantity, Schema


@pytest.fixture(scope="module")
def some():
    return electrons(4000, read_card("cms"), np.random.default_rng(0))


def test_medians_and_resolutions_are_those_of_numpy(some):
    edges = torch.tensor([10.0, 50.0, 500.0])
    found = response_in_bins(some, ELECTRONS, edges)
    truth, there = some.y[:, 0].numpy(), pc.sizes(some).bool().numpy()
    for k, (low, high) in enumerate(((10, 50), (50, 501))):
        inside = (truth >= low) & (truth < high)
        x = some.pos.double().numpy()[inside[there]]
        assert int(found.number[k]) == inside.sum()
        assert float(found.efficiency[k]) == pytest.approx(there[inside].mean())
        low, middle, high = np.quantile(x, [0.16, 0.5, 0.84], 0)
        np.testing.assert_allclose(found.median[k], middle)
        np.testing.assert_allclose(found.resolution[k], (high - low) / 2)
    assert response_in_bins(some, ELECTRONS, bins=4).number.tolist() == pytest.approx(
        [1000] * 4, abs=1
    )


@pytest.mark.parametrize(("factor", "shift"), [(1.5, 0.0), (1.0, 0.2)])
def test_a_shift_is_a_bias_and_a_stretch_a_resolution(some, factor, shift):
    middle = response_in_bins(some, ELECTRONS, bins=1).median.float()
    worse = pc.replace(some, pos=middle + factor * (some.pos - middle) + shift)
    comparison = responses(pc.concat([some, worse]), ELECTRONS, bins=1)
    a, b = torch.arange(4000)[None], torch.arange(4000, 8000)[None]
    names = [measure.name for measure in comparison.measures]
    scores = dict(zip(names, comparison.compare(a, b)[:, 0].tolist(), strict=True))
    assert len(scores) == 7
    expected = {"efficiency": 0.0, "bias": shift, "resolution": np.log(factor)}
    if shift:
        expected["W1"] = shift
    for name, score in scores.items():
        kind = name.split()[0].strip(",")
        if kind in expected:
            assert score == pytest.approx(expected[kind], rel=1e-4, abs=1e-6), name


def test_equal_laws_score_the_floor_and_others_do_not(some):
    other = electrons(2000, read_card("cms"), np.random.default_rng(1))
    good = metrics.evaluate(some, other, ELECTRONS, protocol=protocols.response(), permutations=0)
    assert max(score.z for score in good.scores) < 5
    worse = pc.replace(other, pos=1.0 + 1.6 * (other.pos - 1.0))
    bad = metrics.evaluate(some, worse, ELECTRONS, protocol=protocols.response(), permutations=0)
    assert min(s.z for s in bad.scores if s.name.startswith("resolution")) > 3


def test_one_true_value_is_one_bin_and_few_points_have_no_resolution():
    clouds = pc.make(torch.tensor([[1.0, 1.0]]), [1, 0, 0], y=torch.ones(3, 2))
    found = response_in_bins(clouds, ELECTRONS)
    assert found.number.tolist() == [3]
    assert float(found.efficiency[0]) == pytest.approx(1 / 3)
    assert found.resolution.isnan().all()
    scores = responses(clouds, ELECTRONS).compare(torch.tensor([[0]]), torch.tensor([[1]]))
    assert scores[:, 0].isnan().tolist() == [False] + [True] * 6


def test_what_is_no_response_is_refused(some):
    bare = Schema((Quantity("x"), Quantity("y")))
    with pytest.raises(ArgumentError, match="events without a condition, expected the truth"):
        response_in_bins(some, bare)
    two = pc.make(torch.zeros(2, 2), [2], y=torch.ones(1, 2))
    with pytest.raises(DataError, match="an event of 2 points, expected some of at most one"):
        responses(two, ELECTRONS)
    with pytest.raises(ArgumentError, match="bins: got 0"):
        response_in_bins(some, ELECTRONS, bins=0)
