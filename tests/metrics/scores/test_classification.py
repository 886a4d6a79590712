"""Scores of classifiers: closed forms, scikit-learn's ROC curve, and what has too few events."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from pcgen.errors import ArgumentError
from pcgen.metrics.scores.classification import class_accuracy, class_scores, rejection


def table(number: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    label = torch.randint(3, (number,), generator=draw)
    logit = torch.randn(number, 3, generator=draw) + 1.5 * torch.eye(3)[label]
    return logit.softmax(1), label


def test_accuracy_and_its_error() -> None:
    probability, label = table()
    found = class_accuracy(probability, label)
    share = float((probability.argmax(1) == label).float().mean())
    assert found.value == pytest.approx(share)
    assert found.error == pytest.approx(math.sqrt(share * (1 - share) / 400))


def test_each_class_agrees_with_the_curve_of_scikit_learn() -> None:
    probability, label = table()
    for number, score in enumerate(class_scores(probability, label)):
        truth, column = (label == number).numpy(), probability[:, number].double().numpy()
        assert score.auc == pytest.approx(roc_auc_score(truth, column))
        assert score.low < score.auc < score.high
        fpr, tpr, _ = roc_curve(truth, column, drop_intermediate=False)
        for efficiency, value in zip((0.3, 0.5), score.rejection, strict=True):
            first = fpr[(tpr >= efficiency - 1e-9).argmax()]
            assert value == pytest.approx(1 / first if first else math.inf)
        of_class = probability[label == number].argmax(1) == number
        assert score.accuracy == pytest.approx(float(of_class.float().mean()))
        assert score.events == (int(truth.sum()), int((~truth).sum()))


def test_rejection_of_equal_scores_and_of_nothing() -> None:
    same = torch.zeros(10)
    assert rejection(same, same, 0.3) == 1
    assert rejection(same + 1, same, 0.5) == math.inf
    # Three tenths of ten are three, whatever floats make of it.
    assert rejection(torch.arange(10.0), torch.tensor([7.0, 6.9]), 0.3) == 2
    assert rejection(torch.arange(10.0), torch.arange(10.0), 1.0) == 1


def test_a_class_without_events_has_no_scores() -> None:
    scores = class_scores(torch.eye(3)[[0, 0, 1, 1]], torch.tensor([0, 0, 1, 1]))
    assert math.isnan(scores[2].auc)
    assert scores[0].auc == 1
    assert scores[0].rejection == (math.inf, math.inf)


def test_refusals() -> None:
    probability, label = table(5)
    with pytest.raises(ArgumentError, match=r"got \[5, 3\] and \[4\]"):
        class_accuracy(probability, label[:4])
    with pytest.raises(ArgumentError, match="with an event or more"):
        class_scores(probability[:0], label[:0])
    with pytest.raises(ArgumentError, match="label: got 0 to 3, expected 0 to 2"):
        class_accuracy(probability, torch.tensor([0, 1, 2, 3, 0]))
    with pytest.raises(ArgumentError, match="efficiency: got 0"):
        rejection(label, label, 0)
    with pytest.raises(ArgumentError, match="got 0 and 5 events"):
        rejection(label[:0], label, 0.5)
