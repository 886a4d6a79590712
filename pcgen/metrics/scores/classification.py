r"""How well a classifier names the classes of events: accuracy, AUC and background rejection.

From probabilities [N, C] and true classes [N]:

- accuracy: share of events whose class is the most probable one; its error is binomial;
- AUC of a class: probability that an event of the class has a larger score than one of the others
  (Mann-Whitney), with DeLong's interval;
- background rejection 1 / ε_B at a signal efficiency ε_S: the threshold is the score that a share
  ε_S of the signal reaches, and ε_B is the share of the other events that reach it too. Where none
  does, 1 / ε_B is infinite, and at least the number of the other events (at 63 % confidence).

Scores of a class against the others are its probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.metrics.significance import auc_interval, mann_whitney

EFFICIENCIES = (0.3, 0.5)
"""Signal efficiencies at which taggers are compared."""


class Accuracy(NamedTuple):
    """A share of events and its standard error."""

    value: float
    error: float


class ClassScore(NamedTuple):
    """How well one class is separated from the others; NaN where a side has too few events.

    Attributes:
        events: Of the class, and of the others.
        accuracy: Share of the events of the class whose class is the most probable one.
        auc: Area under the ROC curve.
        low, high: Its interval at a confidence level of 0.95.
        rejection: 1 / ε_B at each of the efficiencies.
    """

    events: tuple[int, int]
    accuracy: float
    auc: float
    low: float
    high: float
    rejection: tuple[float, ...]


def class_accuracy(probability: Tensor, label: Tensor) -> Accuracy:
    """Share of events [N] whose class is the most probable of [N, C].

    Raises:
        ArgumentError: shapes do not fit, or there is no event.

    >>> import torch
    >>> class_accuracy(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([0, 1])).value
    0.5
    """
    _check(probability, label)
    value = (probability.argmax(1) == label).double().mean().item()
    return Accuracy(value, math.sqrt(value * (1 - value) / len(label)))


def rejection(signal: Tensor, background: Tensor, efficiency: float) -> float:
    """Background rejection 1 / ε_B at a signal efficiency, from scores [n] and [m].

    Raises:
        ArgumentError: a side is empty, or the efficiency is not in (0, 1].

    >>> import torch
    >>> rejection(torch.arange(10.0), torch.arange(-15.0, 5.0), 0.5)  # none reaches 5
    inf
    >>> rejection(torch.arange(10.0), torch.arange(-10.0, 10.0), 0.5)  # 5 of 20 do
    4.0
    """
    if not 0 < efficiency <= 1:
        raise ArgumentError(f"efficiency: got {efficiency}, expected more than 0, up to 1")
    if not len(signal) or not len(background):
        raise ArgumentError(
            f"signal, background: got {len(signal)} and {len(background)} events, expected some"
        )
    # As many events of the signal as are needed for the efficiency pass, and those equal to them.
    needed = math.ceil(efficiency * len(signal) - 1e-9)
    threshold = signal.sort(descending=True).values[needed - 1]
    passing = int((background >= threshold).sum())
    return len(background) / passing if passing else math.inf


def class_scores(
    probability: Tensor, label: Tensor, *, efficiencies: Sequence[float] = EFFICIENCIES
) -> list[ClassScore]:
    """Each class against all others.

    Args:
        probability: Of each class [N, C].
        label: True classes [N].
        efficiencies: Of the signal.

    Raises:
        ArgumentError: shapes do not fit, or there is no event.
    """
    _check(probability, label)
    return [
        _against_others(column, label == number, probability.argmax(1) == number, efficiencies)
        for number, column in enumerate(probability.double().unbind(1))
    ]


def _against_others(
    score: Tensor, of_class: Tensor, named: Tensor, efficiencies: Sequence[float]
) -> ClassScore:
    signal, background = score[of_class], score[~of_class]
    events = (len(signal), len(background))
    if min(events) < 2:
        return ClassScore(events, *(math.nan,) * 4, (math.nan,) * len(efficiencies))
    low, high = auc_interval(background, signal)
    return ClassScore(
        events,
        named[of_class].double().mean().item(),
        mann_whitney(background, signal).auc,
        low,
        high,
        tuple(rejection(signal, background, each) for each in efficiencies),
    )


def _check(probability: Tensor, label: Tensor) -> None:
    fits = probability.dim() == 2 and label.shape == probability.shape[:1]
    if not fits or not len(label):
        raise ArgumentError(
            f"probability, label: got {list(probability.shape)} and {list(label.shape)}, "
            "expected [N, C] and [N] with an event or more"
        )
    if int(label.min()) < 0 or int(label.max()) >= probability.shape[1]:
        raise ArgumentError(
            f"label: got {int(label.min())} to {int(label.max())}, expected 0 to "
            f"{probability.shape[1] - 1}"
        )
