"""The Mann-Whitney test against SciPy; DeLong's interval against the bootstrap and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.significance import auc_interval, mann_whitney

# Few values, so that most samples have ties.
samples = st.lists(st.integers(-3, 3), min_size=2, max_size=30).map(
    lambda v: torch.tensor(v).double() / 2
)


@given(samples, samples)
def test_against_scipy_and_sklearn_with_ties(a, b):
    found = mann_whitney(a, b)
    label = np.r_[np.zeros(len(a)), np.ones(len(b))]
    assert found.auc == pytest.approx(roc_auc_score(label, torch.cat([a, b]).numpy()), abs=1e-12)
    if len(torch.cat([a, b]).unique()) == 1:
        assert found.z == 0
        return
    for tail, p in (("greater", found.p_greater), ("less", found.p_less)):
        test = mannwhitneyu(
            b.numpy(), a.numpy(), alternative=tail, method="asymptotic", use_continuity=False
        )
        assert p == pytest.approx(test.pvalue, rel=1e-9)


@given(samples, samples)
def test_swapping_the_samples_mirrors_the_result(a, b):
    there, back = mann_whitney(a, b), mann_whitney(b, a)
    assert there.auc == pytest.approx(1 - back.auc)
    assert there.z == pytest.approx(-back.z)
    assert auc_interval(a, b) == pytest.approx(tuple(1 - x for x in auc_interval(b, a)[::-1]))


def test_ranks_ignore_the_scale():
    a, b = torch.randn(50), torch.randn(60) + 0.3
    assert mann_whitney(a, b) == mann_whitney(a.double().exp() * 1e200, b.double().exp() * 1e200)


def test_interval_is_that_of_the_bootstrap():
    a, b = torch.randn(400).double(), (torch.randn(300) + 0.7).double()
    low, high = auc_interval(a, b)
    draws = [
        mann_whitney(a[torch.randint(400, (400,))], b[torch.randint(300, (300,))]).auc
        for _ in range(1000)
    ]
    expected = np.quantile(draws, [0.025, 0.975])
    # The quantiles of 1,000 draws scatter by about 5 % of the interval's width.
    assert np.abs(np.array([low, high]) - expected).max() < 0.12 * (expected[1] - expected[0])


def test_interval_by_its_definition():
    """The variance written with the kernel ψ(a, b) of all pairs, equations 3 to 6 of DeLong."""
    a, b = torch.tensor([0.0, 1, 1, 4]).double(), torch.tensor([1.0, 2, 5]).double()
    psi = (b > a[:, None]).double() + 0.5 * (b == a[:, None]).double()
    variance = psi.mean(1).var() / 4 + psi.mean(0).var() / 3
    low, high = auc_interval(a, b, level=0.6826894921370859)
    assert high == pytest.approx(min(1.0, psi.mean().item() + variance.sqrt().item()))
    assert low == pytest.approx(psi.mean().item() - variance.sqrt().item())


def test_interval_covers_the_true_value():
    """AUC of two unit normals a distance d apart is Φ(d/√2)."""
    inside = 0
    for _ in range(400):
        low, high = auc_interval(torch.randn(100), torch.randn(150) + 1.0)
        inside += low < 0.7602499389065233 < high
    assert 0.95 * 400 - 4 * 4.4 < inside < 0.95 * 400 + 4 * 4.4


def test_separated_samples_leave_room_for_doubt():
    low, high = auc_interval(torch.zeros(10), torch.ones(20))
    assert high == 1.0
    assert low == pytest.approx(0.025**0.1)
    assert auc_interval(torch.ones(20), torch.zeros(10)) == pytest.approx((0.0, 1 - 0.025**0.1))


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(ArgumentError, match="a: got shape"):
        mann_whitney(torch.zeros(0), torch.zeros(1))
    with pytest.raises(DataError, match=r"b: got values that are not finite in 2 of 3 events \(0"):
        mann_whitney(torch.zeros(1), torch.tensor([torch.nan, 1.0, torch.inf]))
