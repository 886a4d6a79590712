"""W1M, W1P and W1EFP against values of jetnet itself and against SciPy.

Recorded with jetnet 0.2.5, energyflow 1.4.0, NumPy 1.23.5 and SciPy 1.14.1 in an environment of
their own, for a, b = formula_jets(400, 0), formula_jets(300, 1) and, before each call,
``jetnet.evaluation.gen_metrics.rng = np.random.default_rng(5)``:

    w1m(a, b, num_eval_samples=250, num_batches=4)
    w1p(a, b, num_eval_samples=250, num_batches=4)
    w1efp(a, b, num_eval_samples=250, num_batches=4, efp_jobs=1)
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.jets import mass, w1efp, w1m, w1p

DRAWS = {"events": 250, "batches": 4, "seed": 5}


def formula_jets(n, seed):
    """n jets of 1 to 6 particles [n, 6, 3] (eta, phi, pt), padded with zeros."""
    k = np.arange(n * 6).reshape(n, 6) + 1.0
    u = np.stack([np.modf(k * np.sqrt(p) + 0.37 * seed)[0] for p in (2, 3, 5)], 2)
    jets = np.stack([0.4 * u[..., 0] - 0.2, 0.3 * u[..., 1] ** 2, 0.05 + u[..., 2] ** 3], 2)
    return jets * (np.arange(6) <= np.arange(n)[:, None] * 7 % 6)[..., None]


def ragged(jets):
    present = torch.from_numpy(jets[..., 2] > 0)
    rows = torch.from_numpy(jets)[present]
    return pc.make(rows[:, :2].contiguous(), present.sum(1), weight=rows[:, 2].contiguous())


def padded(jets):
    """The same with its zeros kept as particles."""
    rows = torch.from_numpy(jets).view(-1, 3)
    weight = rows[:, 2].contiguous()
    return pc.make(rows[:, :2].contiguous(), [jets.shape[1]] * len(jets), weight=weight)


@pytest.fixture
def sides():
    return ragged(formula_jets(400, 0)), ragged(formula_jets(300, 1))


def test_w1m_agrees_with_jetnet(sides):
    value, error = w1m(*sides, **DRAWS)
    # One particle has mass 0 here, and what rounding leaves of it (10⁻⁹) in jetnet.
    assert value == pytest.approx(0.013331009309630121, abs=1e-10)
    assert error == pytest.approx(0.001633672543388999, abs=1e-10)


@pytest.mark.parametrize("form", [ragged, padded])
def test_w1p_agrees_with_jetnet(form):
    scores = w1p(form(formula_jets(400, 0)), form(formula_jets(300, 1)), **DRAWS)
    expected = [0.00310083824658513, 0.00318737919957685, 0.01311591747416561]
    errors = [0.00053127780549527, 0.00077319419217501, 0.00481793727677096]
    assert [s.value for s in scores] == pytest.approx(expected, rel=1e-11)
    assert [s.error for s in scores] == pytest.approx(errors, rel=1e-11)


def test_w1efp_agrees_with_jetnet(sides):
    scores = w1efp(*sides, **DRAWS)
    expected = [
        0.00154916417700588,
        0.00134021108951222,
        0.00138526193024338,
        0.00072512577031267,
        0.00104612410934379,
    ]
    errors = [
        0.00054442187816922,
        0.00048253993675449,
        0.00049552970563259,
        0.00025132849942204,
        0.00036766734890415,
    ]
    assert [s.value for s in scores] == pytest.approx(expected, rel=1e-11)
    assert [s.error for s in scores] == pytest.approx(errors, rel=1e-11)


def test_the_draws_are_with_replacement_and_the_distance_that_of_scipy(sides):
    value, error = w1m(*sides, events=100, batches=2, seed=3)
    rng = np.random.default_rng(3)
    masses = [mass(side).numpy() for side in sides]
    values = [
        wasserstein_distance(*[m[rng.integers(len(m), size=100)] for m in masses]) for _ in range(2)
    ]
    assert value == pytest.approx(np.mean(values), rel=1e-10)
    assert error == pytest.approx(np.std(values), rel=1e-8)


def test_large_draws_of_one_set_approach_zero_and_repeat_themselves(sides):
    small, large = (w1m(sides[0], sides[0], events=n, batches=4).value for n in (100, 40_000))
    assert large < small / 5
    assert w1p(*sides, events=50) == w1p(*sides, events=50)


def test_empty_jets_count_as_masses_and_not_as_particles(sides):
    emptied = pc.concat([sides[0], pc.make(sides[0].pos[:0], [0], weight=sides[0].weight[:0])])
    assert w1m(emptied, emptied, events=10, batches=1).value >= 0
    alone = pc.select(emptied, [400])
    assert np.isnan([s.value for s in w1p(alone, sides[0], events=10, batches=1)]).all()


def test_bad_jets_and_arguments_are_refused(sides):
    bad = pc.replace(sides[0], weight=sides[0].weight.clone().index_fill(0, torch.tensor([2]), -1))
    for score in (w1m, w1p, w1efp):
        with pytest.raises(DataError, match="weight of event"):
            score(sides[0], bad)
        with pytest.raises(ArgumentError, match="batches: got"):
            score(*sides, batches=0)
