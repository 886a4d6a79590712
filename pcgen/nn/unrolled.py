r"""Solvers of sparse problems as networks: the steps are layers, and their matrices are learnt.

A step of iterative thresholding for y = A x is a layer

.. math:: x_{k+1} = h(\Psi_k x_k + \Gamma_k y), \qquad
          \Psi = 1 - \mu A^T A, \quad \Gamma = \mu A^T

with the threshold h (:mod:`pcgen.ops.sparse_recovery`). Learnt matrices recover sparse vectors
where columns of A are nearly parallel and the solvers fail; layers with matrices of their own do
better than one layer that is repeated (Xin et al., arXiv 1605.01636, section 4). The answer is
learnt as a classification, which entries are not zero (:mod:`pcgen.objectives.support`).

References:
    Gregor and LeCun, Learning fast approximations of sparse coding, ICML 2010 (LISTA).
    Xin, Wang, Gao and Wipf, Maximal sparsity with deep networks?, arXiv 1605.01636.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcgen.errors import at_least
from pcgen.ops.sparse_recovery import Matrix, hard_threshold, soft_threshold


class UnrolledThresholding(nn.Module):
    """Iterative thresholding of a few steps, whose matrices start as those of A and are learnt.

    Args:
        matrix: A [m, n].
        layers: Steps.
        tied: All steps have the same matrices and threshold.
        nonzeros: Keep so many entries in each step (unrolled IHT); None: soft thresholds of each
            entry, which are learnt (LISTA).
        strength: λ of the soft thresholds μ λ at first, as a fraction of the largest entry of
            |Aᵀ A|, which is 1 for columns of norm 1.

    Raises:
        ArgumentError: ``layers`` or ``nonzeros`` is not positive.
    """

    threshold: nn.Parameter | None

    def __init__(
        self,
        matrix: Tensor,
        *,
        layers: int = 16,
        tied: bool = False,
        nonzeros: int | None = None,
        strength: float = 0.1,
    ) -> None:
        super().__init__()
        at_least(1, layers=layers, nonzeros=nonzeros)
        self.layers, self.nonzeros = layers, nonzeros
        own, n = (1 if tied else layers), matrix.shape[1]
        step = 1.0 / max(Matrix(matrix).norm, 1e-12) ** 2
        gram = matrix.T @ matrix
        across = torch.eye(n, dtype=matrix.dtype) - step * gram
        self.across = nn.Parameter(across.repeat(own, 1, 1))
        self.into = nn.Parameter((step * matrix.T).repeat(own, 1, 1))
        start = float(step * strength * gram.abs().max()) if matrix.numel() else 0.0
        self.threshold = (
            nn.Parameter(torch.full((own, n), start, dtype=matrix.dtype))
            if nonzeros is None
            else None
        )
        self.scale = nn.Parameter(torch.tensor(10.0, dtype=matrix.dtype))

    def forward(self, y: Tensor) -> Tensor:
        """x [B, n] of measurements y [B, m]."""
        x = y.new_zeros(len(y), self.across.shape[1])
        for layer in range(self.layers):
            own = layer % len(self.across)  # the only one of tied layers
            x = x @ self.across[own].T + y @ self.into[own].T
            if self.nonzeros is not None:
                x = hard_threshold(x, self.nonzeros)
            elif self.threshold is not None:
                x = soft_threshold(x, self.threshold[own].clamp(min=0))
        return x

    def logits(self, y: Tensor) -> Tensor:
        """Logits [B, n] of which entries are not zero, of measurements y [B, m]."""
        return self.scale * self(y).abs()


class SupportClassifier(nn.Module):
    """A residual network from measurements to the logits of which entries are not zero.

    Blocks h ← h + W relu(norm(V relu(norm(h)))), with batch normalisation; it does not know A.

    Args:
        in_channels: m.
        out_channels: n.
        hidden: Channels of a block.
        blocks: Number of blocks.

    Raises:
        ArgumentError: a number is not positive.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, hidden: int = 256, blocks: int = 4
    ) -> None:
        super().__init__()
        at_least(
            1, in_channels=in_channels, out_channels=out_channels, hidden=hidden, blocks=blocks
        )
        self.first = nn.Linear(in_channels, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, hidden),
                nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, hidden),
            )
            for _ in range(blocks)
        )  # fmt: skip
        self.last = nn.Linear(hidden, out_channels)

    def logits(self, y: Tensor) -> Tensor:
        """Logits [B, n] of measurements y [B, m]."""
        h = self.first(y)
        for block in self.blocks:
            h = h + block(h)
        return self.last(h.relu())

    def forward(self, y: Tensor) -> Tensor:
        """See :meth:`logits`."""
        return self.logits(y)
