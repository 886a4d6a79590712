"""Outlier report: the planted event is found, and the score is what it is without it."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.trust.outliers import mahalanobis, outlier_report


def frechet(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.numpy(), b.numpy()
    first, second = np.cov(a.T), np.cov(b.T)
    mean = a.mean(0) - b.mean(0)
    return float(mean @ mean + np.trace(first + second - 2 * sqrtm(first @ second).real))


def normal(number: int, columns: int = 3) -> torch.Tensor:
    return (
        torch.randn(number, columns).double()
        @ torch.tensor([[1.0, 0.9, 0], [0, 0.4, 0], [0, 0, 1e-3]]).double()
    )


def test_one_event_that_ruins_a_frechet_distance():
    real, generated = normal(2000), normal(1000)
    honest = frechet(real, generated)
    generated[123] = torch.tensor([0.0, 0.0, 1e3])
    report = outlier_report(real, generated, frechet, worst=3)
    assert report.events[0] == 123
    assert report.score > 100
    assert report.trimmed == pytest.approx(honest, abs=0.01)
    assert report.influences[0] == pytest.approx(report.score - honest, abs=0.01)
    assert max(map(abs, report.influences[1:])) < 0.01 * report.influences[0]
    assert report.distances[0] > 1e5 > 10 > report.farthest_real
    assert report.beyond >= 1
    assert json.loads(json.dumps(asdict(report)))["events"][0] == 123


def test_an_event_out_of_line_with_the_correlations_only():
    """Neither feature is unusual alone; their difference is 10 standard deviations out."""
    x = torch.randn(3000).double()
    real = torch.stack([x, x + 0.1 * torch.randn(3000)], 1)
    generated = real.flip(0)[:500].clone()
    generated[7] = torch.tensor([0.5, -0.5])
    report = outlier_report(real, generated, frechet, worst=1)
    assert report.events == (7,)
    assert report.beyond == 1


def test_without_outliers_nothing_changes():
    real, generated = normal(2000), normal(1000)
    report = outlier_report(real, generated, frechet, worst=5)
    assert abs(report.score - report.trimmed) < 0.01
    # The farthest of 3,000 events is one of the 1,000 with probability 1/3.
    assert report.beyond < 10


def test_the_score_is_called_on_what_is_left():
    real, generated = torch.arange(6.0)[:, None], torch.tensor([[0.0], [99], [1], [-50]])
    seen = []

    def score(a, b):
        seen.append(b.flatten().tolist())
        return float(len(b))

    report = outlier_report(real, generated, score, worst=2)
    assert report.events == (1, 3)
    assert seen == [[0, 99, 1, -50], [0, 1], [0, 1, -50], [0, 99, 1]]
    assert (report.score, report.trimmed, report.influences) == (4.0, 2.0, (1.0, 1.0))


def test_distances_against_scipy():
    x, reference = normal(20) + 5, normal(300) + 5
    inverse = np.linalg.inv(np.cov(reference.T.numpy(), ddof=0))
    mean = reference.mean(0).numpy()
    expected = [scipy_mahalanobis(row, mean, inverse) for row in x.numpy()]
    np.testing.assert_allclose(mahalanobis(x, reference).numpy(), expected, rtol=1e-8)


def test_distances_do_not_depend_on_units_or_mixing():
    x, reference = torch.randn(20, 3).double(), torch.randn(300, 3).double()
    mix = torch.tensor([[1e3, 1.0, 0], [0, 1e-1, 2], [5, 0, 1]]).double()
    torch.testing.assert_close(
        mahalanobis(x @ mix + 7, reference @ mix + 7), mahalanobis(x, reference), rtol=1e-6, atol=0
    )


def test_leaving_a_direction_without_spread_is_an_outlier():
    """The third feature is the sum of the others for real events, and a constant fourth."""
    plane = torch.randn(200, 2).double()
    real = torch.cat([plane, plane.sum(1, keepdim=True), torch.full((200, 1), 3.0)], 1)
    assert mahalanobis(real, real).max() < 6
    off = real[:3].clone()
    off[1, 2] += 0.01
    off[2, 3] += 1e9
    found = mahalanobis(off, real)
    assert found[0] < 6
    assert found[1] > 100
    assert found[2] > 1e8
    assert mahalanobis(torch.full((1, 4), 1e200, dtype=torch.double), real).isfinite().all()


def test_what_cannot_be_reported_is_refused():
    real, generated = normal(10), normal(5)
    for worst in (0, 5):
        with pytest.raises(ArgumentError, match=f"worst: got {worst}, expected 1 to 4"):
            outlier_report(real, generated, frechet, worst=worst)
    generated[2] = torch.inf
    with pytest.raises(DataError, match=r"generated: .* in 1 of 5 events \(2\)"):
        outlier_report(real, generated, frechet)
