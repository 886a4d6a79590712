"""Coverage, minimum matching distance and nearest-neighbour accuracy, from matrices of distances.

Definitions of Achlioptas et al. (Learning Representations and Generative Models for 3D Point
Clouds, section 5) and, for 1-NNA, of Lopez-Paz and Oquab as used by PointFlow (Yang et al., section
5.1). ``between`` is [R, G]: distance of each of R real clouds to each of G generated ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


def coverage(between: Tensor) -> float:
    """Fraction of the real clouds that are the nearest real cloud of at least one generated cloud.

    Blind to quality: even two real sets of equal size reach only about 0.6. Print it beside that.

    >>> coverage(torch.tensor([[0.0, 0.1], [1.0, 1.0]]))
    0.5
    """
    _check(between)
    return len(between.argmin(0).unique()) / between.shape[0]


def minimum_matching_distance(between: Tensor) -> float:
    """Mean over the real clouds of the distance to the nearest generated cloud.

    Blind to bad clouds beside good ones, and it falls as the sets grow: compare equal sizes only.
    """
    _check(between)
    return between.min(1).values.mean().item()


def nearest_neighbour_accuracy(real: Tensor, generated: Tensor, between: Tensor) -> float:
    """Leave-one-out 1-NN two-sample accuracy (1-NNA): 0.5 is ideal, 1 is told apart at sight.

    Args:
        real: [R, R] distances among the real clouds.
        generated: [G, G] distances among the generated clouds.
        between: [R, G].
    """
    _check(between)
    rows, columns = between.shape
    if real.shape != (rows, rows) or generated.shape != (columns, columns):
        raise ArgumentError(
            f"real, generated: got {tuple(real.shape)} and {tuple(generated.shape)}, "
            f"expected ({rows}, {rows}) and ({columns}, {columns})"
        )
    union = torch.cat([torch.cat([real, between], 1), torch.cat([between.T, generated], 1)])
    union = union.clone().fill_diagonal_(torch.inf)
    is_real = torch.arange(rows + columns) < rows
    return (is_real[union.argmin(1).cpu()] == is_real).double().mean().item()


def _check(between: Tensor) -> None:
    if between.dim() != 2 or not between.numel() or bool(between.isnan().any()):
        raise ArgumentError(
            f"between: got shape {tuple(between.shape)} with {int(between.isnan().sum())} NaN, "
            "expected a matrix [R, G] of numbers with R, G ≥ 1"
        )
