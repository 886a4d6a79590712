r"""Classifier two-sample test: can anything be learned that separates generated events from real?

A classifier learns on 60 % of the events of both sets, its best epoch is chosen on 20 %, and all
figures are those of the last 20 %, which it has never seen (Lopez-Paz and Oquab, arXiv 1610.06545).
If both sets are of one distribution, the area under the ROC curve is 1/2 whatever was learned.

The Jensen-Shannon divergence in bits is bounded from below by the output of the classifier,

    JSD ≥ 1 + ½ E_real[log₂ (1 - c)] + ½ E_generated[log₂ c],

with equality for the exact odds c; c is the classifier's output after isotonic calibration on the
validation part (the CaloChallenge's procedure, arXiv 2410.21611).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from pcgen.metrics.comparison import Comparison, Measure
from pcgen.metrics.samples import check_rows
from pcgen.metrics.scores.learners import BoostedTrees, Labelled, Learner
from pcgen.metrics.significance import auc_interval, mann_whitney

# Fractions for learning and for choosing the epoch; the rest is for the figures.
TRAINING, VALIDATION = 0.6, 0.2

# Events on each side, at least: of fewer a part has none or one.
_LEAST = 10


@dataclass(frozen=True)
class ClassifierTest:
    """How well a classifier separates two sets, on events that it has not seen.

    All figures are NaN, and the epoch 0, where the learner needs more events than it has.

    Attributes:
        auc: Area under the ROC curve; 0.5 where it separates nothing, 1 where everything.
        low, high: Confidence interval of the AUC (DeLong).
        level: Its confidence level.
        p: P-value against an AUC above 0.5 (Mann-Whitney, one-sided).
        calibrated_auc: The AUC after calibration, which merges neighbouring scores.
        jsd: Lower bound of the Jensen-Shannon divergence in bits, by the calibrated classifier; its
            estimate scatters below 0 where nothing can be separated.
        epoch: Best epoch (or number of trees) on the validation part.
        epochs: Epochs it could choose from. Where both agree, it had not learned all it could.
        events: Real and generated events that the figures are of.
        seed: Seed of the split and of the classifier.
    """

    auc: float
    low: float
    high: float
    level: float
    p: float
    calibrated_auc: float
    jsd: float
    epoch: int
    epochs: int
    events: tuple[int, int]
    seed: int


def events_needed(learner: Learner | None = None) -> int:
    """Events on each side from which on a classifier learns, both sides being as large.

    >>> events_needed(BoostedTrees(least=20))  # 0.6 * 34 events of a side, twice, make two leaves
    34
    """
    return next(n for n in count(_LEAST) if 2 * int(TRAINING * n) >= _need(learner))


def _need(learner: Learner | None) -> int:
    """Events to learn from, both sides together, below which a learner learns nothing."""
    need: int = getattr(learner or BoostedTrees(), "need", 0)
    return need


def classifier_test(
    real: Tensor,
    generated: Tensor,
    *,
    learner: Learner | None = None,
    seed: int = 0,
    level: float = 0.95,
    margin: float | None = None,
) -> ClassifierTest:
    """Train a classifier to separate two sets of events, and test what it has learned.

    Args:
        real: Features of the real events [N, F], N ≥ 10.
        generated: Features of the generated events [M, F], M ≥ 10. The sizes may differ.
        learner: The classifier: :class:`~pcgen.metrics.scores.BoostedTrees` by default,
            :class:`~pcgen.metrics.scores.Perceptron` or
            :func:`~pcgen.metrics.scores.learners.calochallenge_classifier`.
        seed: Seed of the split and of the classifier.
        level: Confidence level of the interval of the AUC.
        margin: Calibrated probabilities stay this far from 0 and 1. None: 1 / (2 + events of the
            validation part), which is as far as so many events reach; the CaloChallenge has 1e-6,
            with which one event in the wrong place outweighs hundreds.

    Raises:
        ArgumentError: fewer than 10 events on a side, or different widths.
        DataError: features that are not finite, naming the events.
    """
    real, generated = check_rows(least=_LEAST, real=real, generated=generated)
    parts = _split(real, generated, seed)
    if len(parts.training[1]) < _need(learner):
        held_out = int((~parts.test[1]).sum()), int(parts.test[1].sum())
        no = (math.nan,) * 3
        return ClassifierTest(*no, level, *no, epoch=0, epochs=0, events=held_out, seed=seed)
    learned = (learner or BoostedTrees()).fit(parts.training, parts.validation, seed)
    chosen, held = (
        _sides(learned.logit(x).double().cpu(), label.cpu())
        for x, label in (parts.validation, parts.test)
    )
    ranks, interval = mann_whitney(*held), auc_interval(*held, level=level)
    events = len(parts.validation[1])
    calibrated = _calibrate(chosen, held, 1 / (2 + events) if margin is None else margin)
    return ClassifierTest(
        auc=ranks.auc,
        low=interval[0],
        high=interval[1],
        level=level,
        p=ranks.p_greater,
        calibrated_auc=mann_whitney(*map(torch.from_numpy, calibrated)).auc,
        jsd=_divergence(*calibrated),
        epoch=learned.epoch,
        epochs=learned.epochs,
        events=(len(held[0]), len(held[1])),
        seed=seed,
    )


class _Parts(NamedTuple):
    training: Labelled
    validation: Labelled
    test: Labelled


def _split(real: Tensor, generated: Tensor, seed: int) -> _Parts:
    """Three disjoint parts with the same fractions of both sets."""
    generator = torch.Generator().manual_seed(seed)
    pieces = []
    for side in (real, generated):
        first, second = int(TRAINING * len(side)), int(VALIDATION * len(side))
        order = torch.randperm(len(side), generator=generator)
        sizes = [first, second, len(side) - first - second]
        pieces.append([side[index.to(side.device)] for index in order.split(sizes)])
    parts = []
    for a, b in zip(*pieces, strict=True):
        label = torch.arange(len(a) + len(b), device=a.device) >= len(a)
        parts.append((torch.cat([a, b]), label))
    return _Parts(*parts)


_Sides = tuple[Tensor, Tensor]


def _sides(score: Tensor, label: Tensor) -> _Sides:
    return score[~label], score[label]


def _calibrate(
    chosen: _Sides, held: _Sides, margin: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of being generated, isotonic in the score, as if both sets were as large."""
    label = np.concatenate([np.zeros(len(chosen[0])), np.ones(len(chosen[1]))])
    weight = np.concatenate([np.full(len(side), 1 / len(side)) for side in chosen])
    curve = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
    curve.fit(torch.cat(chosen).numpy(), label, sample_weight=weight)
    first, second = (curve.predict(side.numpy()).astype(np.float64) for side in held)
    return first, second


def _divergence(real: NDArray[np.float64], generated: NDArray[np.float64]) -> float:
    """Lower bound of the Jensen-Shannon divergence in bits."""
    return float(1 + 0.5 * np.log2(1 - real).mean() + 0.5 * np.log2(generated).mean())


class TwoSample(Comparison):
    """AUC of a classifier between samples, and the divergence that it proves.

    Its p-value is that of the held-out events (Mann-Whitney): no permutation, which would train
    a classifier each time, is needed.

    Args:
        features: What the classifier takes of the N events [N, F].
        name: What the features are, for the names of the measures.
        learner: The classifier; boosted trees by default.
    """

    def __init__(self, features: Tensor, name: str = "", learner: Learner | None = None) -> None:
        self._features, self._learner = features, learner
        words = f" {name}" if name else ""
        self._need = events_needed(learner)
        self.measures = (
            Measure(f"AUC{words}", need=self._need),
            Measure(f"JSD{words}", "bit", need=self._need),
        )
        self.usable = torch.isfinite(features).all(1).cpu()

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """AUC and divergence [2, P] of the samples a [P, n] and b [P, m]; NaN of too few events."""
        if min(a.shape[1], b.shape[1]) < self._need:
            return torch.full((2, len(a)), torch.nan, dtype=torch.double)
        tests = [self._test(x, y, seed) for seed, (x, y) in enumerate(zip(a, b, strict=True))]
        return torch.tensor([[t.auc for t in tests], [t.jsd for t in tests]], dtype=torch.double)

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """That of the AUC; the divergence has none of its own [2]."""
        if min(len(a), len(b)) < self._need:
            return torch.full((2,), torch.nan, dtype=torch.double)
        seed = int(torch.randint(2**31, (), generator=generator))
        return torch.tensor([self._test(a, b, seed).p, torch.nan], dtype=torch.double)

    def _test(self, a: Tensor, b: Tensor, seed: int) -> ClassifierTest:
        device = self._features.device
        sides = (self._features[events.to(device)] for events in (a, b))
        return classifier_test(*sides, learner=self._learner, seed=seed)
