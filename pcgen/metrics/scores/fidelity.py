r"""Precision, recall, density and coverage: do two sets of points lie in the same places?

With B(x) the ball about x that reaches to its k-th nearest neighbour in its own set,

    precision = fraction of the generated points in some B(real)
    recall    = fraction of the real points in some B(generated)
    density   = mean over the generated points of the number of B(real) that hold it, over k
    coverage  = fraction of the B(real) that hold some generated point

Points on the border of a ball are outside, as in the authors' code.

References:
    Naeem, Oh, Uh, Choi, Yoo, Reliable Fidelity and Diversity Metrics for Generative Models, ICML
    2020, arXiv:2002.09797; Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing
    Generative Models, 2019, for the first two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.comparison import Comparison, Measure, p_of_values
from pcgen.metrics.significance import permuted_labels

_BLOCK = 1 << 24  # distances held at once


class PRDC(NamedTuple):
    """Fidelity (precision, density) and diversity (recall, coverage) of a generated set.

    Attributes:
        precision: 0 to 1.
        recall: 0 to 1.
        density: ≥ 0, with mean 1 for sets of one distribution; unlike precision hardly moved by
            outliers among the real points.
        coverage: 0 to 1; about 1 - 2^-k for large equal sets of one distribution.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: Tensor, generated: Tensor, *, k: int = 5) -> PRDC:
    """Precision, recall, density and coverage in Euclidean space.

    Time and memory: all pairs of distances are computed in float64, a block at a time, so that
    memory is that of the features and about 0.5 GB.

    Args:
        real: Features [N, F], N > k.
        generated: Features [M, F], M > k.
        k: Which neighbour a ball reaches to.

    Raises:
        ArgumentError: shapes do not fit, or a set has no k-th neighbour.
        DataError: a value is not finite, naming the row.

    >>> prdc(torch.eye(8), torch.eye(8) + 100.0)
    PRDC(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    real, generated = _features("real", real, k), _features("generated", generated, k)
    if real.shape[1] != generated.shape[1]:
        raise ArgumentError(
            f"generated: got {generated.shape[1]} features, expected {real.shape[1]} as in real"
        )
    # Distances are differences of squares: near the origin these lose least.
    centre = real.mean(0)
    real, generated = real - centre, generated - centre
    reach_real, reach_generated = _reach(real, k), _reach(generated, k)
    holders = torch.zeros(len(generated), dtype=torch.long, device=real.device)
    recalled, covered = 0, 0
    for rows, distance in _blocks(real, generated):
        within = distance < reach_real[rows, None]
        holders += within.sum(0)
        covered += int(within.any(1).sum())
        recalled += int((distance < reach_generated).any(1).sum())
    return PRDC(
        precision=(holders > 0).double().mean().item(),
        recall=recalled / len(real),
        density=holders.double().mean().item() / k,
        coverage=covered / len(real),
    )


def prdc_of_distances(real: Tensor, generated: Tensor, between: Tensor, *, k: int = 5) -> PRDC:
    """The same from distances that are known.

    Args:
        real: [N, N] among the real points, N > k.
        generated: [M, M] among the generated points, M > k.
        between: [N, M].
        k: Which neighbour a ball reaches to.
    """
    # The nearest of a point's own row is itself, at 0.
    reach = [each.kthvalue(k + 1, dim=1).values for each in (real, generated)]
    within = between < reach[0][:, None]
    return PRDC(
        precision=within.any(0).double().mean().item(),
        recall=(between < reach[1]).any(1).double().mean().item(),
        density=within.double().sum(0).mean().item() / k,
        coverage=within.any(1).double().mean().item(),
    )


def _reach(points: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th nearest other point [N]."""
    reach = torch.empty_like(points[:, 0])
    for rows, distance in _blocks(points, points):
        number = torch.arange(rows.start, rows.stop, device=points.device)
        distance[number - rows.start, number] = torch.inf
        reach[rows] = distance.kthvalue(k, dim=1).values
    return reach


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Distances of some rows of ``x`` to all of ``y``, block after block."""
    size = max(1, _BLOCK // len(y))
    for start in range(0, len(x), size):
        rows = slice(start, min(start + size, len(x)))
        yield rows, torch.cdist(x[rows], y)


def _features(name: str, value: Tensor, k: int) -> Tensor:
    if value.dim() != 2 or k < 1 or len(value) <= k:
        raise ArgumentError(
            f"{name}: got shape {tuple(value.shape)} and k = {k}, "
            "expected [N, F] with more than k ≥ 1 rows"
        )
    bad = ~torch.isfinite(value).all(1)
    if bool(bad.any()):
        raise DataError(f"{name}: row {int(bad.nonzero()[0])} holds a value that is not finite")
    return value.double()


class Fidelity(Comparison):
    """Precision, recall, density and coverage of rows of features.

    Events whose features are not finite are not usable. Density may exceed 1, where generated
    points crowd among the real ones; only less is counted as worse.

    Args:
        features: [N, F]; of showers, those of :func:`~pcgen.metrics.showers.log_voxels`.
        k: Which neighbour a ball reaches to.
    """

    def __init__(self, features: Tensor, *, k: int = 5) -> None:
        self._features, self._k = features, k
        self.measures = tuple(Measure(name, worse="lower") for name in PRDC._fields)
        self.usable = torch.isfinite(features).all(1).cpu()

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """The scores [4, P] of the samples a [P, n] and b [P, m]; a are the real ones."""
        rows = [
            prdc(self._taken(real), self._taken(generated), k=self._k)
            for real, generated in zip(a, b, strict=True)
        ]
        return torch.tensor(rows, dtype=torch.double).T

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Permutation test of each score [4]; all permutations share one table of distances."""
        labels = permuted_labels(len(a), len(b), permutations=permutations, generator=generator)
        union = self._taken(torch.cat([a, b])).double()
        table = torch.cdist(union, union).fill_diagonal_(0)
        rows = []
        for first in labels.to(table.device):
            real, generated = table[first], table[~first]
            parts = (real[:, first], generated[:, ~first], real[:, ~first])
            rows.append(prdc_of_distances(*parts, k=self._k))
        return p_of_values(self.measures, torch.tensor(rows, dtype=torch.double).T, generator)

    def _taken(self, events: Tensor) -> Tensor:
        return self._features[events.to(self._features.device)]
