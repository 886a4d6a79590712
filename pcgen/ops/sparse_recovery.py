r"""Sparse vectors from few measurements: y = A x with most entries of x zero.

========= ======================================================================================
ista      x ← S(x + μ Aᵀ(y - A x), μ λ), which minimises |y - A x|²/2 + λ |x|₁ (the LASSO)
fista     the same from a point ahead of x; the error falls as 1/k² and not 1/k
iht       x ← H(x + μ Aᵀ(y - A x), k), keeps the k largest entries
omp       takes the column that fits what is left best, k times, and fits all taken ones again
========= ======================================================================================

with the step μ = 1/|A|², the soft threshold S(x, t) = sign(x) max(|x| - t, 0), and the hard one H.
Everything is batched, and the rows of a batch do not depend on each other: the number of steps is
fixed. scikit-learn solves the same problems one by one and exactly; these run on any device, take
operators that are no matrix, and are what networks unroll (:mod:`pcgen.nn.unrolled`).

References:
    Daubechies, Defrise and De Mol, Comm. Pure Appl. Math. 57 (2004) 1413, arXiv math/0307152.
    Beck and Teboulle, SIAM J. Imaging Sci. 2 (2009) 183.
    Blumensath and Davies, Appl. Comput. Harmon. Anal. 27 (2009) 265, arXiv 0805.0510.
    Pati, Rezaiifar and Krishnaprasad, Asilomar 1993.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, at_least

Threshold = Callable[[Tensor], Tensor]


class Linear(Protocol):
    """A linear operator A on batches [B, ...]."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """A x of each row [B, m]."""
        ...

    def adjoint(self, y: Tensor, /) -> Tensor:
        """Aᵀ y of each row, of the shape of x."""
        ...

    @property
    def norm(self) -> float:
        """Largest singular value |A|, or a number above it."""
        ...


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix as an operator on rows.

    Attributes:
        values: A [m, n].

    >>> Matrix(torch.tensor([[2.0, 0.0, 1.0]]))(torch.ones(1, 3))
    tensor([[3.]])
    """

    values: Tensor

    def __post_init__(self) -> None:
        if self.values.dim() != 2 or not self.values.is_floating_point():
            raise ArgumentError(
                f"values: got {self.values.dtype} {tuple(self.values.shape)}, expected a float "
                "tensor [m, n]"
            )

    def __call__(self, x: Tensor) -> Tensor:
        """A x [B, m] of rows x [B, n]."""
        return x @ self.values.T

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y [B, n] of rows y [B, m]."""
        return y @ self.values

    @cached_property
    def norm(self) -> float:
        """Largest singular value."""
        return (
            float(torch.linalg.matrix_norm(self.values.detach(), 2)) if self.values.numel() else 0.0
        )


def soft_threshold(x: Tensor, strength: Tensor | float, *, nonnegative: bool = False) -> Tensor:
    """sign(x) max(|x| - strength, 0), or max(x - strength, 0): what minimises |u - x|²/2 + t |u|.

    >>> soft_threshold(torch.tensor([-3.0, 0.5, 2.0]), 1.0)
    tensor([-2.,  0.,  1.])
    """
    if nonnegative:
        return (x - strength).clamp(min=0)
    return x.sign() * (x.abs() - strength).clamp(min=0)


def hard_threshold(x: Tensor, nonzeros: int) -> Tensor:
    """The entries of largest magnitude of each row [B, n], and zeros; ties: those that topk takes.

    >>> hard_threshold(torch.tensor([[-3.0, 0.5, 2.0]]), 2)
    tensor([[-3.,  0.,  2.]])
    """
    kept = x.abs().topk(min(nonzeros, x.shape[1]), dim=1).indices
    return torch.zeros_like(x).scatter(1, kept, x.gather(1, kept))


def ista(
    operator: Linear,
    y: Tensor,
    strength: Tensor | float,
    *,
    steps: int = 1000,
    nonnegative: bool = False,
    start: Tensor | None = None,
) -> Tensor:
    """The LASSO by iterative soft thresholding: argmin |y - A x|²/2 + λ |x|₁ of each row.

    Args:
        operator: A; of a matrix :class:`Matrix`.
        y: Measurements [B, m].
        strength: λ ≥ 0, or one for each row [B].
        steps: Steps.
        nonnegative: Only x ≥ 0.
        start: The first x; None: 0.

    Returns:
        x, of the shape that the operator takes.

    Raises:
        ArgumentError: λ is negative or the number of steps not positive.
    """
    x = _start(operator, y, start, steps)
    shrink, step = _shrinkage(operator, x, strength, nonnegative)
    for _ in range(steps):
        x = shrink(x + step * operator.adjoint(y - operator(x)))
    return x


def fista(
    operator: Linear,
    y: Tensor,
    strength: Tensor | float,
    *,
    steps: int = 1000,
    nonnegative: bool = False,
    start: Tensor | None = None,
) -> Tensor:
    """The LASSO by accelerated soft thresholding; arguments and result are those of :func:`ista`.

    With strength 0 and without a start: the solution of least norm of the least squares.

    Raises:
        ArgumentError: λ is negative or the number of steps not positive.
    """
    x = _start(operator, y, start, steps)
    shrink, step = _shrinkage(operator, x, strength, nonnegative)
    ahead, pace = x, 1.0
    for _ in range(steps):
        before, x = x, shrink(ahead + step * operator.adjoint(y - operator(ahead)))
        faster = 0.5 * (1 + (1 + 4 * pace**2) ** 0.5)
        ahead, pace = x + (pace - 1) / faster * (x - before), faster
    return x


def iht(operator: Linear, y: Tensor, nonzeros: int, *, steps: int = 1000) -> Tensor:
    """Iterative hard thresholding: rows x [B, n] of at most ``nonzeros`` entries with A x near y.

    Args:
        operator: A, of rows.
        y: Measurements [B, m].
        nonzeros: k ≥ 1.
        steps: Steps.

    Raises:
        ArgumentError: ``nonzeros`` or ``steps`` is not positive.
    """
    at_least(1, nonzeros=nonzeros)
    x = _start(operator, y, None, steps)
    step = _step(operator)
    for _ in range(steps):
        x = hard_threshold(x + step * operator.adjoint(y - operator(x)), nonzeros)
    return x


def omp(matrix: Tensor, y: Tensor, nonzeros: int) -> Tensor:
    """Orthogonal matching pursuit: rows x [B, n] of at most ``nonzeros`` entries.

    Columns are compared by their directions, whatever their norms. A row whose rest is zero takes
    no further column.

    Args:
        matrix: A [m, n].
        y: Measurements [B, m].
        nonzeros: k, from 1 to m.

    Raises:
        ArgumentError: ``nonzeros`` is out of range.
    """
    m, n = matrix.shape
    if not 1 <= nonzeros <= min(m, n):
        raise ArgumentError(f"nonzeros: got {nonzeros}, expected 1 to {min(m, n)}")
    small = torch.finfo(matrix.dtype).eps ** 0.75
    length = matrix.norm(dim=0)
    direction = matrix / torch.where(length > 0, length, 1.0)
    rest, size = y, y.norm(dim=1, keepdim=True)
    basis = y.new_zeros(len(y), m, nonzeros)
    triangle = torch.eye(nonzeros, dtype=y.dtype, device=y.device).repeat(len(y), 1, 1)
    taken = torch.zeros(len(y), nonzeros, dtype=torch.long, device=y.device)
    free = torch.ones(len(y), n, dtype=torch.bool, device=y.device)
    for k in range(nonzeros):
        fit = torch.where(free, (rest @ direction).abs(), -1.0)
        best = fit.argmax(1, keepdim=True)
        column = direction.T[best[:, 0]]
        along = torch.einsum("bmk,bm->bk", basis, column)
        new = column - torch.einsum("bmk,bk->bm", basis, along)
        norm = new.norm(dim=1, keepdim=True)
        # A column that the taken ones span, or a rest of zero, adds nothing.
        useful = (norm > small) & (rest.norm(dim=1, keepdim=True) > small * size)
        new = torch.where(useful, new / torch.where(useful, norm, 1.0), 0.0)
        basis[:, :, k] = new
        triangle[:, :k, k] = torch.where(useful, along[:, :k], 0.0)
        triangle[:, k, k] = torch.where(useful, norm, 1.0)[:, 0]
        taken[:, k] = best[:, 0]
        free = free.scatter(1, best, False)
        rest = rest - new * (new * rest).sum(1, keepdim=True)
    right = torch.einsum("bmk,bm->bk", basis, y)[..., None]
    found = torch.linalg.solve_triangular(triangle, right, upper=True)[..., 0]
    found = found / torch.where(length > 0, length, 1.0)[taken]
    return y.new_zeros(len(y), n).scatter(1, taken, found)


def _start(operator: Linear, y: Tensor, start: Tensor | None, steps: int) -> Tensor:
    at_least(1, steps=steps)
    return torch.zeros_like(operator.adjoint(y)) if start is None else start


def _step(operator: Linear) -> float:
    norm = operator.norm
    return 1.0 / norm**2 if norm > 0 else 1.0


def _shrinkage(
    operator: Linear, x: Tensor, strength: Tensor | float, nonnegative: bool
) -> tuple[Threshold, float]:
    """The soft threshold of a step, and the step."""
    value = torch.as_tensor(strength, dtype=x.dtype, device=x.device)
    if not bool((value >= 0).all()):
        raise ArgumentError(f"strength: got {float(value.min())}, expected numbers >= 0")
    step = _step(operator)
    if value.dim():
        value = value.view(-1, *[1] * (x.dim() - 1))

    def shrink(moved: Tensor) -> Tensor:
        return soft_threshold(moved, step * value, nonnegative=nonnegative)

    return shrink, step
