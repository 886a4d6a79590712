r"""Two cheap terms of a reconstruction loss, in what the histograms of the field are made of.

For generated and real clouds of as many points, with fractions f and standardised coordinates u:

    spectrum:  (1/n) Σ_i |l_(i) - l'_(i)|       of the logarithms of the fractions, each side sorted
    shape:     Σ_m |m - m'|,   m ∈ {Σ f u_a,  Σ f u_a u_b,  Σ f |u|,  Σ f²}

The spectrum is the earth mover's distance of the logarithms, in one dimension and so for the price
of sorting. The shape holds what a narrow jet's mass, girth and fragmentation are functions of
(m²/p_T² = Σ f |u|² - |Σ f u|² to second order in the angles): the earth mover's distance alone
draws soft points inwards, and all of these with them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.ops.segments import segment_mean, segment_sum


def spectrum(generated: Batch, real: Batch) -> Tensor:
    """Mean distance of the logarithms of the fractions, rank by rank [B].

    Args:
        generated: Standardised clouds, the logarithm of the fraction last in ``x``.
        real: As many points in each.

    Raises:
        ArgumentError: the clouds have different sizes.

    >>> x, y = torch.tensor([[1.0], [5.0]]), torch.tensor([[4.0], [1.0]])
    >>> spectrum(*(cl.make(torch.zeros(2, 2), [2], x=values) for values in (x, y))).tolist()
    [0.5]
    """
    if not torch.equal(generated.ptr, real.ptr):
        raise ArgumentError("spectrum: got clouds of different sizes, expected equal ones")
    away = (_sorted(generated) - _sorted(real)).abs()
    return segment_mean(away, real.ptr)


def _sorted(clouds: Batch) -> Tensor:
    """Last column of ``x``, ascending within each cloud [N]."""
    value = clouds.x[:, -1]
    order = value.detach().argsort(stable=True)
    order = order[clouds.batch[order].argsort(stable=True)]
    return value[order]


def shape(generated: Batch, real: Batch) -> Tensor:
    """Sum of the differences of the moments [B].

    >>> half = torch.ones(2) / 2
    >>> narrow, wide = (cl.make(s * torch.eye(2), [2], weight=half) for s in (1.0, 2.0))
    >>> shape(narrow, narrow).item(), round(shape(narrow, wide).item(), 3)
    (0.0, 5.0)
    """
    return (_moments(generated) - _moments(real)).abs().sum(1)


def _moments(clouds: Batch) -> Tensor:
    fraction, u = cl.weights(clouds)[:, None], clouds.pos
    first, second = torch.triu_indices(u.shape[1], u.shape[1], device=u.device)
    # The root's gradient at the origin is finite.
    radius = (u.square().sum(1, keepdim=True) + 1e-6).sqrt()
    each = torch.cat([u, u[:, first] * u[:, second], radius, fraction], 1)
    return segment_sum(fraction * each, clouds.ptr)
