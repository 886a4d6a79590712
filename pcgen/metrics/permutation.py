r"""Permutation tests: is a distance between two sets larger than between random halves of both?

Under the null hypothesis the n + m events of both sets are exchangeable, so the distance found is
one more draw beside those of P random relabellings of the pooled events, and

    p = (1 + #{null ≥ value}) / (1 + P)

satisfies P(p ≤ α) ≤ α exactly, for any statistic and any P (Phipson and Smyth, arXiv 1603.05766;
Lehmann and Romano, Testing Statistical Hypotheses, theorem 15.2.1). Ties make this p too large;
``p_random`` draws the rank of the value among its ties, and is exactly uniform on
{1, ..., 1 + P} / (1 + P).

The first row of every array here is the two sets themselves, then comes the null: labels [1 + P, E]
hold true where an event counts as real, and what is vectorised over labels returns [1 + P].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pcgen.errors import ArgumentError

# Values closer than this fraction of the largest are ties: sums in another order, not a difference.
ROUNDING = 1e-12
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
    """Test whether n real and m generated events differ by any statistic that says how much.

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
    margin = ROUNDING * values.abs().max()
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
