"""Eigenvectors of small symmetric matrices, with gradients that are finite where values agree."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Eigh(torch.autograd.Function):
    """Eigenvalues and eigenvectors, with gradient 0 for rotations among equal eigenvalues."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(matrix)
        ctx.save_for_backward(values, vectors)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        of_values, of_vectors = gradients
        gap = values[:, None, :] - values[:, :, None]
        scale = values.detach().abs().amax(1)[:, None, None]
        apart = gap.detach().abs() > 8 * torch.finfo(values.dtype).eps * scale
        turn = torch.where(apart, vectors.mT @ of_vectors / torch.where(apart, gap, 1), 0)
        inner = turn + torch.diag_embed(of_values)
        gradient = vectors @ inner @ vectors.mT
        return (gradient + gradient.mT) / 2


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Ascending eigenvalues [B, D] and eigenvectors (columns) [B, D, D] of symmetric matrices.

    As ``torch.linalg.eigh``, but where two eigenvalues agree and the derivative of their vectors is
    infinite, the turn within the plane they span gets no gradient. Has second derivatives.
    """
    values, vectors = _Eigh.apply(matrix)
    return values, vectors
