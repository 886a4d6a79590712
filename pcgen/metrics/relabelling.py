r"""Scores under many labellings of the same pooled events at once, for permutation tests.

What does not depend on the labels (the Gram matrix, the products of features) is computed once;
each labelling is then a row of a matrix product. Labels are [L, E], true for real;
:func:`~pcgen.metrics.permutation.permuted_labels` makes them and
:func:`~pcgen.metrics.permutation.against_null` reads the results.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.metrics.checks import check_rows


def relabelled_mmd(gram: Tensor, labels: Tensor) -> Tensor:
    r"""Unbiased squared maximum mean discrepancy (KPD's statistic) for each labelling [L].

        Σ_{i≠j real} k_ij / n(n-1) + Σ_{i≠j generated} k_ij / m(m-1) - 2 Σ_{mixed} k_ij / nm

    (Gretton et al., JMLR 13 (2012) 723, lemma 6), with the sums as one matrix product.

    Args:
        gram: Kernel of all pairs of the pooled events [E, E], symmetric.
        labels: [L, E], with at least 2 events on each side.
    """
    labels = _labels(labels, gram.device, len(gram))
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
    labels = _labels(labels, features.device, len(features))
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


def _labels(labels: Tensor, device: torch.device, events: int) -> Tensor:
    """Labels on the device of the data, with 2 or more events on each side."""
    wrong = labels.dim() != 2 or labels.dtype != torch.bool or labels.shape[1] != events
    if wrong or bool((torch.minimum(labels.sum(1), (~labels).sum(1)) < 2).any()):
        raise ArgumentError(
            f"labels: got {labels.dtype} {tuple(labels.shape)}, expected bool [L, {events}] with 2 "
            "or more events on each side"
        )
    return labels.to(device)
