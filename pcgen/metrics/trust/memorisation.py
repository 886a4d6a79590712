"""Memorisation: do generated events lie nearer to the training events than fresh real ones do?

With d the distance to the nearest training event, the three-sample test of Meehan, Chaudhuri and
Dasgupta (arXiv 2004.05675) ranks generated among test events by d,

    C_T = Σ_π P(π) Z(π) / Σ_π P(π),

Z(π) the Mann-Whitney z-score of d(generated) over d(test) within the cell π of a partition of space
and P(π) the fraction of the test events in it. C_T ≪ 0: data are copied; C_T ≫ 0: they are not
reached. Within one cell a generator that merely prefers dense regions looks like a copier; more
cells are the remedy, and :func:`~pcgen.metrics.trust.diagnosis.overfitting` does not need any.

Events that two sets have in common, number for number, are found by a hash of the points of each
event, so that the time goes with the number of points and not with the pairs of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr
from sklearn.cluster import KMeans
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.samples import check_rows
from pcgen.metrics.significance import mann_whitney
from pcgen.ops.neighbors import nearest

# Events that a cell needs on each side; others do not enter C_T (the paper's threshold).
_LEAST = 20


@dataclass(frozen=True)
class Memorisation:
    """Nearest training distances of generated events beside those of test events.

    Attributes:
        score: C_T. With one cell it is a unit normal for fresh events: far below 0 training events
            are copied, far above they are not reached.
        p: P-value against copying (one-sided).
        near: Fraction of the generated events that are nearer to a training event than all but a
            fraction ``quantile`` of the test events.
        quantile: What ``near`` is for fresh events.
        suspicious: Generated events nearer than *every* test event, the nearest first.
        chance: How many of them fresh events would have on average.
        copies: Generated events at no distance at all from a training event.
    """

    score: float
    p: float
    near: float
    quantile: float
    suspicious: tuple[int, ...]
    chance: float
    copies: tuple[int, ...]


def memorisation(
    test: Tensor,
    generated: Tensor,
    *,
    cells: tuple[Tensor, Tensor] | None = None,
    quantile: float = 0.01,
) -> Memorisation:
    """Compare nearest training distances, whatever the distance.

    Args:
        test: Distance of each test event to its nearest training event [T]; the rows' minimum of
            :func:`~pcgen.metrics.pairwise`, for example.
        generated: The same for each generated event [G].
        cells: Cell of each test and of each generated event [T] and [G], int64; None: one cell.
        quantile: Of the test distances, below which events count as near.

    Raises:
        ArgumentError: no events, a quantile outside (0, 1), cells that do not fit, or none with
            enough events of both.
        DataError: distances that are not finite.

    >>> near = memorisation(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.5, 3.0]))
    >>> near.suspicious, near.copies
    ((0, 1), (0,))
    """
    test, generated = (d.flatten().cpu() for d in check_rows(test=test, generated=generated))
    if not 0 < quantile < 1:
        raise ArgumentError(f"quantile: got {quantile}, expected a number between 0 and 1")
    score, p = _three_sample(test, generated, cells)
    below = (generated < test.min()).nonzero().flatten()
    return Memorisation(
        score=score,
        p=p,
        near=(generated < test.quantile(quantile)).double().mean().item(),
        quantile=quantile,
        suspicious=tuple(below[generated[below].argsort(stable=True)].tolist()),
        chance=len(generated) / (len(test) + 1),
        copies=tuple((generated == 0).nonzero().flatten().tolist()),
    )


def memorisation_of_features(
    training: Tensor,
    test: Tensor,
    generated: Tensor,
    *,
    cells: int = 1,
    quantile: float = 0.01,
    seed: int = 0,
) -> Memorisation:
    """The same from features, by Euclidean distance in units of the training events' spread.

    Args:
        training: Features of the events that the generator was trained on [N, F].
        test: Features of real events that it has not seen [T, F].
        generated: Features of generated events [G, F].
        cells: Cells, found by k-means among the training events.
        quantile: See :func:`memorisation`.
        seed: Seed of k-means.
    """
    if cells < 1:
        raise ArgumentError(f"cells: got {cells}, expected at least 1")
    rows = check_rows(training=training, test=test, generated=generated)
    training, test, generated = standardised(rows[0], *rows)
    distances = [nearest_distances(side, training) for side in (test, generated)]
    parts = None
    if cells > 1:
        means = KMeans(cells, n_init=4, random_state=seed).fit(training.cpu().numpy())
        first, second = (
            torch.from_numpy(means.predict(side.cpu().numpy())).long() for side in (test, generated)
        )
        parts = (first, second)
    return memorisation(*distances, cells=parts, quantile=quantile)


def nearest_distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of each row of x [N, F] to the nearest row of y [M, F]: [N]."""
    ends = [torch.tensor([0, len(rows)], device=rows.device) for rows in (x, y)]
    return nearest(x, y, *ends).squared.sqrt()


def standardised(reference: Tensor, *sets: Tensor) -> tuple[Tensor, ...]:
    """Sets [N, F] shifted and scaled by the mean and standard deviation of ``reference``.

    A column that does not vary in the reference is shifted only.
    """
    shift, scale = reference.mean(0), reference.std(0, correction=0)
    scale = torch.where(scale > 1e-12 * shift.abs(), scale, 1.0)
    return tuple((rows - shift) / scale for rows in sets)


def _three_sample(
    test: Tensor, generated: Tensor, cells: tuple[Tensor, Tensor] | None
) -> tuple[float, float]:
    """C_T and its one-sided p-value against copying."""
    if cells is None:
        result = mann_whitney(test, generated)
        return result.z, result.p_less
    owner, other = (cell.cpu() for cell in cells)
    if owner.shape != test.shape or other.shape != generated.shape:
        raise ArgumentError(
            f"cells: got {tuple(owner.shape)} and {tuple(other.shape)}, expected "
            f"{tuple(test.shape)} and {tuple(generated.shape)}"
        )
    weight, z = [], []
    for cell in owner.unique():
        sides = test[owner == cell], generated[other == cell]
        if min(map(len, sides)) >= _LEAST:
            weight.append(len(sides[0]))
            z.append(mann_whitney(*sides).z)
    if not z:
        raise ArgumentError(
            f"cells: got none with {_LEAST} test and generated events, expected one"
        )
    total = sum(w * value for w, value in zip(weight, z, strict=True))
    # The z of different cells are independent, so their weighted sum has variance Σ w².
    return total / sum(weight), float(ndtr(total / sum(w * w for w in weight) ** 0.5))


def shared(a: Batch, b: Batch) -> Tensor:
    """Which clouds of ``b`` are also in ``a``: the same points and weights, in any order.

    Empty clouds, which are all the same, do not count.

    Args:
        a: Clouds.
        b: Clouds of the same floating-point type.

    Returns:
        [B] bool.
    """
    known, others = _prints(a), _prints(b)
    filled = pc.sizes(b).cpu().numpy() > 0
    return torch.from_numpy(np.isin(others, known) & filled)


def _prints(clouds: Batch) -> np.ndarray[Any, Any]:
    """A number of 64 bits for each cloud [B] that is the same for the same points in any order."""
    columns = [clouds.pos] + ([] if clouds.get("weight") is None else [clouds.weight[:, None]])
    # + 0 turns -0, which is equal, into 0.
    rows = (torch.cat(columns, 1).detach().cpu().double() + 0.0).numpy().view(np.uint64)
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        mixed = _mixed(mixed + column)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    ends = clouds.ptr.cpu().numpy()
    return _mixed(sums[ends[1:]] - sums[ends[:-1]] + np.diff(ends).astype(np.uint64))


def _mixed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A bijection of 64-bit numbers that spreads each bit over all: splitmix64 of G. Steele."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
