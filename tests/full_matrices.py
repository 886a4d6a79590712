"""Coverage, MMD and 1-NNA from full matrices of distances, written down from their definitions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor


class Scores(NamedTuple):
    """The three numbers, in the order of the protocols."""

    coverage: float
    mmd: float
    accuracy: float


def scores_of_matrices(between: Tensor, real: Tensor, generated: Tensor) -> Scores:
    """Of distances between [R, G] and among [R, R], [G, G]: the lowest number wins a tie."""
    rs, rr, ss = (matrix.numpy() for matrix in (between, real, generated))
    rows, columns = rs.shape
    union = np.block([[rr, rs], [rs.T, ss]])
    np.fill_diagonal(union, np.inf)
    is_real = np.arange(rows + columns) < rows
    return Scores(
        coverage=len(set(rs.argmin(0))) / rows,
        mmd=rs.min(1).mean(),
        accuracy=(is_real[union.argmin(1)] == is_real).mean(),
    )
