r"""Local dimension: how many directions events vary in, seen from one of them.

Both notions are participation ratios of the eigenvalues λ of a local covariance C,

    d = (Σ λ)² / Σ λ² = (tr C)² / tr C²,

which is k where k directions have the same variance and the others none. For a set of events C is
that of the nearest neighbours (local principal component analysis, Fukunaga and Olsen, IEEE Trans.
Comput. C-20 (1971) 176); for a generator it is J Jᵀ, with J the Jacobian by its code: the
directions it can move an event in. k neighbours in d isotropic dimensions have about d k / (k + d),
so compare at equal k and equal numbers of events only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from pcgen.errors import ArgumentError
from pcgen.metrics.checks import check_rows
from pcgen.ops import nearest_neighbors


def local_dimension(x: Tensor, *, neighbours: int = 12) -> Tensor:
    """Local dimension of a set of events around each of them [N], float64.

    Args:
        x: Features [N, F] in units that make them comparable; N > ``neighbours``.
        neighbours: Nearest events, besides the event itself, whose spread is looked at (k ≥ 2).

    Returns:
        From 1 to min(k, F); 0 where all neighbours are at one place.

    >>> t = torch.linspace(0, 1, 50)[:, None]
    >>> bool((local_dimension(torch.cat([t, 2 * t, -t], 1)) - 1 < 1e-6).all())
    True
    """
    (x,) = check_rows(x=x)
    if not 2 <= neighbours < len(x):
        raise ArgumentError(f"neighbours: got {neighbours}, expected 2 to {len(x) - 1}")
    near = x[nearest_neighbors(x, x, neighbours + 1).row]
    return participation_ratio(near - near.mean(1, keepdim=True))


def jacobian_dimension(generator: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    """Dimension that a generator spans around each of its codes [B].

    Args:
        generator: Takes one code [Z] and returns one event, of any shape; differentiable.
        codes: [B, Z].
    """
    if codes.dim() != 2:
        raise ArgumentError(f"codes: got shape {tuple(codes.shape)}, expected [B, Z]")

    def flat(code: Tensor) -> Tensor:
        return generator(code).flatten()

    jacobian = vmap(jacrev(flat))(codes)
    return participation_ratio(jacobian.detach().double().transpose(1, 2))


def participation_ratio(rows: Tensor) -> Tensor:
    """(Σ λ)² / Σ λ² of the eigenvalues of RᵀR for each R in rows [..., k, F]; 0 where R is 0."""
    size = torch.linalg.vector_norm(rows, dim=(-2, -1), keepdim=True)
    rows = rows / torch.where(size > 0, size, 1.0)
    # The trace is 1 now, and tr (RRᵀ)² that of the smaller of the two products.
    wide = rows.shape[-2] < rows.shape[-1]
    product = rows @ rows.mT if wide else rows.mT @ rows
    square = product.square().sum((-2, -1))
    return torch.where(square > 0, 1.0 / square.clamp(min=torch.finfo(square.dtype).tiny), 0.0)
