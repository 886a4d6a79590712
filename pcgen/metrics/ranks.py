r"""Ranks: the Mann-Whitney statistic, which is the area under a ROC curve, and its uncertainty.

    AUC = P(b > a) + P(b = a) / 2

for a drawn from one sample and b from another. Its variance under the null hypothesis that both
are one distribution is known exactly (ties included), its variance otherwise is estimated from
the placements of each event among those of the other side (DeLong, DeLong and Clarke-Pearson,
Biometrics 44 (1988) 837), found from ranks as in Sun and Xu (IEEE SPL 21 (2014) 1389).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata
from torch import Tensor

from pcgen.metrics.checks import check_rows


class RankTest(NamedTuple):
    """Mann-Whitney test of two samples.

    Attributes:
        auc: Probability that one of b is larger than one of a, ties counted half.
        z: Its distance from 1/2 in standard deviations under the null hypothesis; 0 where all
            values are the same.
    """

    auc: float
    z: float

    @property
    def p_greater(self) -> float:
        """P-value against b being larger than a."""
        return float(ndtr(-self.z))

    @property
    def p_less(self) -> float:
        """P-value against b being smaller than a."""
        return float(ndtr(self.z))


def mann_whitney(a: Tensor, b: Tensor) -> RankTest:
    """Compare two samples of numbers by ranks (normal approximation, corrected for ties).

    Args:
        a: [n].
        b: [m].

    Raises:
        ArgumentError: a sample is empty.
        DataError: values that are not finite.

    >>> import torch
    >>> mann_whitney(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0])).auc
    1.0
    """
    (x, y), (n, m) = _samples(a, b)
    rank = rankdata(np.concatenate([x, y]))
    u = rank[n:].sum() - m * (m + 1) / 2
    number = n + m
    _, ties = np.unique(rank, return_counts=True)
    # Σ (t³ - t) over the groups of t equal values.
    tied = (ties.astype(float) ** 3 - ties).sum() / (number * (number - 1))
    variance = n * m / 12 * (number + 1 - tied)
    return RankTest(float(u / (n * m)), float((u - n * m / 2) / variance**0.5) if variance else 0.0)


def auc_interval(a: Tensor, b: Tensor, *, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the AUC by DeLong's variance, inside [0, 1].

    Where b and a do not overlap that variance is 0. An AUC below α^(1/k), with k the smaller
    sample, separates k disjoint pairs with a probability below α, so this is the lower limit then.

    Args:
        a: Scores of the first sample [n], n ≥ 2.
        b: Scores of the second sample [m], m ≥ 2.
        level: Probability of holding the true value.
    """
    (x, y), (n, m) = _samples(a, b, least=2)
    both = rankdata(np.concatenate([x, y]))
    below = (both[n:] - rankdata(y)) / n  # of each b: the fraction of a below it
    above = 1.0 - (both[:n] - rankdata(x)) / m  # of each a: the fraction of b above it
    auc = float(below.mean())
    tail = (1.0 - level) / 2
    if auc in (0.0, 1.0):
        limit = tail ** (1.0 / min(n, m))
        return (limit, 1.0) if auc == 1.0 else (0.0, 1.0 - limit)
    spread = -float(ndtri(tail)) * float(below.var(ddof=1) / m + above.var(ddof=1) / n) ** 0.5
    return max(auc - spread, 0.0), min(auc + spread, 1.0)


def _samples(
    a: Tensor, b: Tensor, least: int = 1
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[int, int]]:
    rows = check_rows(least=least, a=a, b=b)
    x, y = (sample.flatten().cpu().numpy() for sample in rows)
    return (x, y), (len(x), len(y))
