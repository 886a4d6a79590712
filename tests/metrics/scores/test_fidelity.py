"""Precision, recall, density and coverage of samples of a pool, and their p-values."""

from __future__ import annotations

import pytest
import torch

from pcgen.metrics.scores import prdc
from pcgen.metrics.scores.fidelity import Fidelity


def test_scores_are_those_of_the_samples_alone():
    features = torch.randn(60, 3)
    a, b = torch.randperm(60)[:48].view(2, 24), torch.randperm(60)[:40].view(2, 20)
    found = Fidelity(features, k=3).compare(a, b)
    for p in range(2):
        expected = prdc(features[a[p]], features[b[p]], k=3)
        assert found[:, p].tolist() == pytest.approx(list(expected))


def test_a_dropped_mode_is_missed_by_recall_and_coverage_and_not_by_precision():
    generator = torch.Generator().manual_seed(0)
    modes = torch.tensor([[0.0, 0.0], [9.0, 0.0]]).repeat(40, 1)
    real, generated = modes + torch.randn(80, 2), torch.randn(80, 2)
    comparison = Fidelity(torch.cat([real, generated]))
    assert [m.name for m in comparison.measures] == ["precision", "recall", "density", "coverage"]
    p = comparison.p_values(torch.arange(80), torch.arange(80, 160), 99, generator)
    assert p[1].item() == p[3].item() == 0.01
    assert p[0].item() > 0.05


def test_p_values_of_equal_samples_are_not_small_too_often():
    generator, features = torch.Generator().manual_seed(0), torch.randn(80, 2)
    comparison = Fidelity(features)
    cuts = [torch.randperm(80, generator=generator).split(40) for _ in range(40)]
    p = torch.stack([comparison.p_values(*cut, 39, generator) for cut in cuts])
    # 40 uniform p-values: a fraction of 0.2 ± 0.063 is below 0.2.
    assert bool(((p < 0.2).double().mean(0) - 0.2 <= 3 * 0.063).all())


def test_rows_that_are_not_finite_are_not_usable():
    features = torch.randn(5, 2)
    features[3, 1] = torch.nan
    assert Fidelity(features).usable.tolist() == [True, True, True, False, True]
