"""The classifier two-sample test as a score of samples of one pool."""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.metrics.classifier import ClassifierTest, classifier_test, events_needed
from pcgen.metrics.comparisons.comparison import Measure
from pcgen.metrics.learners import Learner


class TwoSample:
    """AUC of a classifier between samples, and the divergence that it proves.

    Its p-value is that of the held-out events (Mann-Whitney): no permutation, which would teach a
    classifier each time, is needed.

    Args:
        features: What the classifier sees of the N events [N, F].
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
