r"""Outliers: which generated events make a score, and what it is without them.

Scores built of moments are at the mercy of single events: one jet has turned a Fréchet distance of
0.002 into 646,050. Events are ordered by their squared Mahalanobis distance to the real ones,

    d² = (x - μ)ᵀ Σ⁻¹ (x - μ),

μ and Σ of the real events, in units of each feature's spread. Directions in which real events do
not vary at all weigh as if they varied by 1e-5 of that spread, so that leaving them is an outlier.
The influence of an event is the score minus the score without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.metrics.samples import check_rows
from pcgen.metrics.trust.memorisation import standardised

# Least variance of a direction, where each feature has variance 1.
FLAT = 1e-10


@dataclass(frozen=True)
class OutlierReport:
    """A score with and without the worst events.

    Attributes:
        score: With all events.
        trimmed: Without the events listed.
        events: Generated events farthest from the real ones, the farthest first.
        distances: Their Mahalanobis distances.
        influences: How much each of them alone adds to the score.
        farthest_real: Largest Mahalanobis distance of a real event.
        beyond: Generated events farther than that.
    """

    score: float
    trimmed: float
    events: tuple[int, ...]
    distances: tuple[float, ...]
    influences: tuple[float, ...]
    farthest_real: float
    beyond: int


def outlier_report(
    real: Tensor, generated: Tensor, score: Callable[[Tensor, Tensor], float], *, worst: int = 10
) -> OutlierReport:
    """Score two sets with and without the generated events farthest from the real ones.

    Args:
        real: Features [N, F], N ≥ 2.
        generated: Features [M, F], M > ``worst``.
        score: Takes features of real [N, F] and generated events [M, F]; called ``worst`` + 2
            times.
        worst: Events to list and to leave out; 10 or 0.1 % of the events are plenty.

    Raises:
        ArgumentError: ``worst`` is not between 1 and M - 1, or shapes do not fit.
        DataError: features that are not finite, naming the events.

    >>> def shift(a, b): return (a.mean(0) - b.mean(0)).square().sum().item()
    >>> real = torch.tensor([[-1.0], [1.0]])
    >>> report = outlier_report(real, torch.tensor([[-1.0], [1.0], [30.0]]), shift, worst=1)
    >>> report.events, report.score, report.trimmed
    ((2,), 100.0, 0.0)
    """
    real, generated = check_rows(least=2, real=real, generated=generated)
    if not 1 <= worst < len(generated):
        raise ArgumentError(f"worst: got {worst}, expected 1 to {len(generated) - 1}")
    distance = mahalanobis(generated, real)
    farthest = mahalanobis(real, real).max().item()
    events = distance.argsort(descending=True, stable=True)[:worst]
    value = score(real, generated)
    alone = (score(real, _without(generated, event[None])) for event in events)
    return OutlierReport(
        score=value,
        trimmed=score(real, _without(generated, events)),
        events=tuple(events.tolist()),
        distances=tuple(distance[events].tolist()),
        influences=tuple(value - rest for rest in alone),
        farthest_real=farthest,
        beyond=int((distance > farthest).sum()),
    )


def mahalanobis(x: Tensor, reference: Tensor) -> Tensor:
    """Mahalanobis distance of each row of x [M, F] to the mean of the reference [N, F]: [M]."""
    x, reference = standardised(reference, *check_rows(x=x, reference=reference))
    variance, axes = torch.linalg.eigh(reference.T @ reference / len(reference))
    scale = variance.clamp(min=FLAT).sqrt()
    z = (x @ axes) / scale
    # In units of the largest component: far out, squares overflow.
    largest = z.abs().amax(1, keepdim=True).clamp(min=1.0)
    return (z / largest).norm(dim=1) * largest.squeeze(1)


def _without(rows: Tensor, events: Tensor) -> Tensor:
    keep = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    keep[events] = False
    return rows[keep]
