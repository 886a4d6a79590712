r"""Scores under many labellings of the same pooled events at once, for permutation tests.

What does not depend on the labels (the sorted values, the distances, the Gram matrix, the products
of features) is computed once; each labelling is then a row of a matrix product or of a cumulative
sum. Labels are [L, E], true for real; :func:`~pcgen.metrics.permutation.permuted_labels` makes them
and :func:`~pcgen.metrics.permutation.against_null` reads the results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.metrics.checks import check_rows

# Labels times rows handled at once (64 MB of float64).
CHUNK = 8_000_000


def relabelled_wasserstein(values: Tensor, labels: Tensor, owner: Tensor | None = None) -> Tensor:
    """W1 of each column between the two sides, for each labelling.

    Args:
        values: Pooled numbers [N, K], or [N].
        labels: [L, E].
        owner: Event of each row [N], where rows are points and events are relabelled; None where
            each row is an event (N = E).

    Returns:
        [L, K] float64; NaN where a side has no row.

    >>> labels = torch.tensor([[True, True, False], [False, True, True]])
    >>> relabelled_wasserstein(torch.tensor([0.0, 1.0, 5.0]), labels).flatten().tolist()
    [4.5, 3.0]
    """
    (values,) = check_rows(values=values)
    labels = _labels(labels, values.device, len(values) if owner is None else None)
    column, order = values.sort(0)
    if owner is not None:
        order = owner[order]
    rows = len(values)
    place = torch.arange(1, rows, device=values.device)
    result = values.new_empty(len(labels), values.shape[1])
    step = max(1, CHUNK // rows)
    for k in range(values.shape[1]):
        gap = column[:, k].diff()
        for part in range(0, len(labels), step):
            below = labels[part : part + step][:, order[:, k]].cumsum(1)
            n = below[:, -1:]
            # F_real - F_generated times n m, in integers: nothing is lost.
            difference = (below[:, :-1] * rows - place * n).abs().double()
            result[part : part + step, k] = difference @ gap / (n * (rows - n)).squeeze(1)
    return result.where(result.isfinite(), torch.nan)


class RelabelledNeighbours(NamedTuple):
    """Scores of all-pair distances for each labelling, each [L] float64.

    Attributes:
        accuracy: Leave-one-out 1-NN accuracy: large where the sides differ.
        coverage: Fraction of the real events nearest to a generated one: *small* where they differ.
        mmd: Mean distance of a real event to the nearest generated one.
    """

    accuracy: Tensor
    coverage: Tensor
    mmd: Tensor


def relabelled_neighbours(distances: Tensor, labels: Tensor) -> RelabelledNeighbours:
    """1-NNA, coverage and MMD for each labelling, from one matrix of distances of the union.

    Ties go to the lower index, as in :func:`~pcgen.metrics.nearest_neighbour_accuracy` and
    :func:`~pcgen.metrics.coverage`.

    Args:
        distances: Symmetric, all pairs of the pooled events [E, E].
        labels: [L, E], with events on both sides.
    """
    labels = _labels(labels, distances.device, len(distances))
    if distances.shape != (labels.shape[1],) * 2 or bool(distances.isnan().any()):
        raise ArgumentError(
            f"distances: got shape {tuple(distances.shape)} with "
            f"{int(distances.isnan().sum())} NaN, expected ({labels.shape[1]}, {labels.shape[1]}) "
            "numbers"
        )
    among = distances.double().clone().fill_diagonal_(torch.inf)
    nearest = among.argmin(1)
    accuracy = (labels[:, nearest] == labels).double().mean(1)
    coverage, mmd = torch.empty_like(accuracy), torch.empty_like(accuracy)
    for k, real in enumerate(labels):
        between = among[real][:, ~real]
        coverage[k] = len(between.argmin(0).unique()) / len(between)
        mmd[k] = between.min(1).values.mean()
    return RelabelledNeighbours(accuracy, coverage, mmd)


def relabelled_mmd(gram: Tensor, labels: Tensor) -> Tensor:
    r"""Unbiased squared maximum mean discrepancy (KPD's statistic) for each labelling [L].

        Σ_{i≠j real} k_ij / n(n-1) + Σ_{i≠j generated} k_ij / m(m-1) - 2 Σ_{mixed} k_ij / nm

    (Gretton et al., JMLR 13 (2012) 723, lemma 6), with the sums as one matrix product.

    Args:
        gram: Kernel of all pairs of the pooled events [E, E], symmetric.
        labels: [L, E], with at least 2 events on each side.
    """
    labels = _labels(labels, gram.device, len(gram), least=2)
    kernel = gram.double().clone().fill_diagonal_(0.0)
    sign = labels.double()
    n = sign.sum(1)
    m = labels.shape[1] - n
    product = sign @ kernel
    real = (product * sign).sum(1)
    mixed = product.sum(1) - real
    fake = kernel.sum() - real - 2 * mixed
    return real / (n * (n - 1)) + fake / (m * (m - 1)) - 2 * mixed / (n * m)


def relabelled_moments(
    features: Tensor, labels: Tensor, distance: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """A distance of two Gaussians (the Fréchet distance, say) for each labelling [L].

    Args:
        features: Pooled events [E, F]; F² numbers are kept for each.
        labels: [L, E], with at least 2 events on each side.
        distance: Takes means [F] and covariances [F, F] (divided by n - 1) of the real and of the
            generated side, (mean, covariance, mean, covariance), and returns a scalar.
    """
    (features,) = check_rows(features=features)
    labels = _labels(labels, features.device, len(features), least=2)
    # Centred and scaled, so that products lose nothing; undone for the caller.
    shift, scale = features.mean(0), features.std(0)
    scale = torch.where(scale > 0, scale, 1.0)
    x = (features - shift) / scale
    width = x.shape[1]
    square = (x[:, :, None] * x[:, None]).flatten(1)
    sums = []
    for side in (labels, ~labels):
        weight = side.double()
        n = weight.sum(1)[:, None]
        mean = weight @ x / n
        spread = (weight @ square).view(-1, width, width) / n[:, :, None]
        spread = (spread - mean[:, :, None] * mean[:, None]) * (n / (n - 1))[:, :, None]
        sums += [mean * scale + shift, spread * scale[:, None] * scale]
    return torch.stack([distance(*moments).double() for moments in zip(*sums, strict=True)])


def _labels(labels: Tensor, device: torch.device, events: int | None, least: int = 1) -> Tensor:
    """Labels on the device of the data, with ``least`` events on each side."""
    wrong = labels.dim() != 2 or labels.dtype != torch.bool
    wrong = wrong or (events is not None and labels.shape[1] != events)
    if wrong or bool((torch.minimum(labels.sum(1), (~labels).sum(1)) < least).any()):
        raise ArgumentError(
            f"labels: got {labels.dtype} {tuple(labels.shape)}, expected bool "
            f"[L, {'E' if events is None else events}] with {least} or more events on each side"
        )
    return labels.to(device)
