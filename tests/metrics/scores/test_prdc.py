"""Precision, recall, density, coverage: brute force, and the statements of the paper."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.scores import prdc
from pcgen.metrics.scores.fidelity import PRDC, prdc_of_distances


def brute_force(real, generated, k):
    """The definitions over full matrices."""
    reach = [np.sort(cdist(x, x), 1)[:, k] for x in (real, generated)]
    between = cdist(real, generated)
    inside = between < reach[0][:, None]
    return PRDC(
        precision=inside.any(0).mean(),
        recall=(between < reach[1]).any(1).mean(),
        density=inside.sum() / (k * len(generated)),
        coverage=inside.any(1).mean(),
    )


@given(
    st.integers(1, 5), st.integers(0, 20), st.integers(0, 20), st.integers(1, 4), st.integers(0, 99)
)
def test_equals_brute_force(k, rows, columns, dimensions, seed):
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(rows + k + 1, dimensions))
    generated = rng.normal(size=(columns + k + 1, dimensions)) + rng.normal()
    found = prdc(torch.from_numpy(real), torch.from_numpy(generated), k=k)
    expected = pytest.approx(brute_force(real, generated, k))
    assert found == expected
    pairs = ((real, real), (generated, generated), (real, generated))
    assert prdc_of_distances(*(torch.from_numpy(cdist(*pair)) for pair in pairs), k=k) == expected


def test_equals_brute_force_where_blocks_end(monkeypatch):
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(40, 3)), rng.normal(size=(33, 3))
    # The package's attribute of this name is the function.
    monkeypatch.setattr(import_module("pcgen.metrics.scores.fidelity"), "_BLOCK", 7 * 40)
    found = prdc(torch.from_numpy(real), torch.from_numpy(generated))
    assert found == pytest.approx(brute_force(real, generated, 5))


@given(st.integers(1, 6), st.integers(0, 99))
def test_a_set_agrees_with_itself(k, seed):
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(seed))
    assert prdc(points, points, k=k) == pytest.approx(PRDC(1.0, 1.0, 1.0, 1.0))


def test_disjoint_sets_share_nothing():
    points = torch.randn(30, 4)
    assert prdc(points, points + 1e3) == PRDC(0.0, 0.0, 0.0, 0.0)


def test_an_outlier_moves_precision_and_hardly_density():
    """The paper's case: the ball of one real outlier holds generated points that are wrong."""
    real = torch.cat([torch.randn(200, 2), torch.tensor([[100.0, 0.0]])])
    wrong = torch.tensor([50.0, 0.0]) + torch.randn(100, 2)
    clean, spoilt = prdc(real[:-1], wrong), prdc(real, wrong)
    assert clean == PRDC(0.0, 0.0, 0.0, 0.0)
    assert (spoilt.precision, spoilt.density) == (1.0, 1 / 5)


def test_dropped_modes_lower_recall_and_coverage_only():
    real = torch.cat([torch.randn(200, 2), torch.randn(200, 2) + 50])
    found = prdc(real, torch.randn(400, 2))
    assert found.precision > 0.9
    assert found.recall < 0.6
    assert found.coverage <= 0.5


def test_equal_distributions_have_the_expected_density_and_coverage():
    """Only the order of the neighbours matters: all orders of real and generated are equal.

    So a ball holds none of m generated points if the nearest k of all the others are real.
    """
    n, m, k, repeats = 60, 90, 5, 60
    scores = [prdc(torch.randn(n, 3), torch.randn(m, 3), k=k) for _ in range(repeats)]
    expected = 1 - math.comb(n - 1, k) / math.comb(n + m - 1, k)
    for name, value in (("density", 1.0), ("coverage", expected)):
        found = [getattr(score, name) for score in scores]
        error = np.std(found) / math.sqrt(repeats)
        assert np.mean(found) == pytest.approx(value, abs=4 * error)


@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_scale_and_translation_change_nothing(scale, shift):
    real, generated = torch.randn(30, 3).double(), torch.randn(30, 3).double()
    moved = prdc(scale * (real + shift), scale * (generated + shift))
    assert moved == pytest.approx(prdc(real, generated))


def test_what_cannot_be_used_is_refused():
    points = torch.zeros(6, 2)
    with pytest.raises(ArgumentError, match=r"generated: got shape \(5, 2\) and k = 5"):
        prdc(points, points[:5])
    with pytest.raises(ArgumentError, match="generated: got 1 features, expected 2"):
        prdc(points, points[:, :1])
    points[3, 1] = torch.inf
    with pytest.raises(DataError, match="real: row 3 holds a value that is not finite"):
        prdc(points, torch.zeros(6, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_on_a_gpu():
    real, generated = torch.randn(50, 4), torch.randn(40, 4)
    assert prdc(real.cuda(), generated.cuda()) == pytest.approx(prdc(real, generated))
