"""Is a difference more than chance? Permutation tests of any statistic, and tests of ranks.

**Permutations.** Under the null hypothesis the n + m events of both sets are exchangeable, so the
distance found is one more draw beside those of P random relabellings of the pooled events, and

    p = (1 + #{null ≥ value}) / (1 + P)

satisfies P(p ≤ α) ≤ α exactly, for any statistic and any P (Phipson and Smyth, arXiv 1603.05766;
Lehmann and Romano, Testing Statistical Hypotheses, theorem 15.2.1). Ties make this p too large;
``p_random`` draws the rank of the value among its ties, and is exactly uniform on
{1, ..., 1 + P} / (1 + P). The first row of every array is the two sets themselves, then comes the
null: labels [1 + P, E] hold true where an event counts as real, and what is vectorised over labels
returns [1 + P].

**Ranks.** The Mann-Whitney statistic is the area under a ROC curve,

    AUC = P(b > a) + P(b = a) / 2

for a drawn from one sample and b from another. Its variance under the null hypothesis that both
are one distribution is known exactly (ties included), its variance otherwise is estimated from
the placements of each event among those of the other side (DeLong, DeLong and Clarke-Pearson,
Biometrics 44 (1988) 837), found from ranks as in Sun and Xu (IEEE SPL 21 (2014) 1389).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.metrics.samples import check_rows

# Values closer than this fraction of the largest are ties: sums in another order, not a difference.
_ROUNDING = 1e-12
QUANTILES = (0.05, 0.16, 0.5, 0.84, 0.95, 0.99)


@dataclass(frozen=True)
class PermutationTest:
    """A statistic beside its distribution under the null hypothesis.

    Attributes:
        value: The statistic of the two sets.
        p: Fraction of relabellings with at least this value, the two sets themselves included;
            ties count against the difference (conservative).
        p_random: The same with ties broken at random: exactly uniform under the null hypothesis.
        mean: Mean of the statistic under the null hypothesis.
        std: Its standard deviation.
        quantiles: Pairs (probability, value) of the null distribution.
        permutations: Random relabellings P.
    """

    value: float
    p: float
    p_random: float
    mean: float
    std: float
    quantiles: tuple[tuple[float, float], ...]
    permutations: int


def permutation_test(
    statistic: Callable[[Tensor, Tensor], float],
    n: int,
    m: int,
    *,
    permutations: int = 200,
    generator: torch.Generator,
) -> PermutationTest:
    """Test whether n real and m generated events differ by any statistic that measures how much.

    Args:
        statistic: Takes the indices of two sets within the pooled events (0 to n - 1 are real) and
            returns their distance, large where they differ. Give -COV for the coverage.
        n: Real events.
        m: Generated events.
        permutations: Random relabellings P; the least p-value is 1 / (1 + P).
        generator: Source of the relabellings.

    Raises:
        ArgumentError: a set is empty, P < 1, or the statistic is NaN.

    >>> x = torch.tensor([0.0, 1.0, 2.0, 9.0, 8.0, 7.0])
    >>> def shift(a, b): return abs(x[a].mean() - x[b].mean()).item()
    >>> permutation_test(shift, 3, 3, generator=torch.Generator().manual_seed(0)).value
    7.0
    """
    labels = permuted_labels(n, m, permutations=permutations, generator=generator)
    sides = ((real.nonzero().flatten(), (~real).nonzero().flatten()) for real in labels)
    values = torch.tensor([float(statistic(a, b)) for a, b in sides], dtype=torch.float64)
    return against_null(values, generator=generator)


def permuted_labels(n: int, m: int, *, permutations: int, generator: torch.Generator) -> Tensor:
    """Labels [1 + P, n + m], true for real: the true ones first, then P random ones.

    Share them between statistics: their p-values are then of one draw, and can be compared.
    """
    if n < 1 or m < 1 or permutations < 1:
        raise ArgumentError(
            f"n, m, permutations: got {n}, {m}, {permutations}, expected at least 1 of each"
        )
    keys = torch.rand(permutations, n + m, generator=generator, device=generator.device)
    chosen = keys.argsort(1)[:, :n]
    labels = torch.zeros(1 + permutations, n + m, dtype=torch.bool, device=generator.device)
    labels[0, :n] = True
    labels[1:].scatter_(1, chosen, True)
    return labels


def against_null(values: Tensor, *, generator: torch.Generator) -> PermutationTest:
    """The test of one statistic from its values [1 + P], that of the two sets first.

    Raises:
        ArgumentError: a value is NaN, or there is no null.
    """
    if values.dim() != 1 or len(values) < 2 or bool(values.isnan().any()):
        raise ArgumentError(
            f"values: got shape {tuple(values.shape)} with {int(values.isnan().sum())} NaN, "
            "expected [1 + P] numbers with P ≥ 1"
        )
    values = values.detach().double().cpu()
    value, null = values[0], values[1:]
    margin = _ROUNDING * values.abs().max()
    above, ties = int((null > value + margin).sum()), int(((null - value).abs() <= margin).sum())
    rank = int(torch.randint(1, ties + 2, (), generator=generator, device=generator.device))
    points = torch.tensor(QUANTILES, dtype=torch.float64)
    return PermutationTest(
        value=value.item(),
        p=(1 + above + ties) / len(values),
        p_random=(above + rank) / len(values),
        mean=null.mean().item(),
        std=null.std().item() if len(null) > 1 else 0.0,
        quantiles=tuple(zip(QUANTILES, null.quantile(points).tolist(), strict=True)),
        permutations=len(null),
    )


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
