"""The classifier as a score: near 1/2 and an honest p-value where nothing differs."""

from __future__ import annotations

import torch

from pcgen.metrics.scores.classifier import TwoSample


def test_finds_what_differs_and_not_what_does_not():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(600, 3, generator=generator, dtype=torch.double)
    features[400:, 1] += 1.0
    scores = TwoSample(features, "toy")
    assert [m.name for m in scores.measures] == ["AUC toy", "JSD toy"]
    a = torch.arange(200)[None].expand(2, -1)
    b = torch.stack([torch.arange(200, 400), torch.arange(400, 600)])
    auc = scores.compare(a, b)[0]
    assert abs(auc[0] - 0.5) < 0.15
    assert auc[1] > 0.65
    p = [scores.p_values(a[0], row, 10, generator)[0].item() for row in b]
    assert p[0] > 0.01
    assert p[1] < 0.01
    assert torch.equal(scores.compare(a, b), scores.compare(a, b))


def test_events_with_broken_features_are_not_usable():
    features = torch.zeros(4, 2)
    features[2, 1] = torch.nan
    assert TwoSample(features).usable.tolist() == [True, True, False, True]
