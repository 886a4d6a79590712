"""Eigenvectors: torch's gradients where values differ, finite ones where they agree."""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.ops.symmetric_eigen import eigh


def test_eigenvectors_as_torch_has_them_and_finite_where_values_agree() -> None:
    half = torch.randn(4, 3, 3, dtype=torch.float64)
    matrix = (half @ half.mT).requires_grad_()

    def projections(matrix: Tensor) -> tuple[Tensor, Tensor]:
        # Signs of eigenvectors are arbitrary: outer products have none.
        values, vectors = eigh((matrix + matrix.mT) / 2)
        return values, torch.einsum("bik,bjk->bkij", vectors, vectors)

    assert torch.autograd.gradcheck(projections, matrix)
    assert torch.autograd.gradgradcheck(projections, matrix)
    same = torch.eye(3, dtype=torch.float64)[None].requires_grad_()
    values, vectors = eigh(same)
    (values.sum() + vectors.sum()).backward()
    assert torch.equal(same.grad, torch.eye(3).double()[None])
