r"""Cheap terms of a reconstruction loss, for clouds of as many points on both sides.

With the channels c of a point (standardised coordinates u and features, the logarithm of the
fraction among them) and its fraction f,

    sliced:  mean over directions d of (1/n) Σ_i |(c · d)_(i) - (c' · d)_(i)|,  each side sorted
    shape:   Σ_m |m - m'|,   m ∈ {Σ f u_a,  Σ f u_a u_b,  Σ f |u|,  Σ f²}
    spectrum: (1/n) Σ_i |l_(i) - l'_(i)|,  l = log f of all points of the batch, sorted together
    listed:  (1/n) Σ_i |c_i - c'_i|²,  point by point down the list

Sliced is the earth mover's distance of the points, each counting alike, seen along random lines and
so for the price of sorting (Rabin et al. 2011; for general weights :func:`pcgen.ops.sliced`). The
shape holds what a narrow jet's mass, girth and fragmentation are functions of (m²/p_T² =
Σ f |u|² - |Σ f u|² to second order in the angles): distances between sets alone draw soft points
inwards, and all of these with them. The spectrum is of the batch and not of a cloud: a decoder that
cannot know how soft the softest points of a cloud are draws their median, cloud by cloud, and
leaves the ends of the spectrum empty; here it may spread them as the data do. Listed is no distance
of sets: it is for decoders of lists, whose i-th point is to be the i-th hardest.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.ops.ragged import to_dense
from pcgen.ops.segments import segment_mean, segment_sum
from pcgen.standardize import channels


def sliced(generated: Batch, real: Batch, *, lines: int = 8) -> Tensor:
    """Mean distance of the points along random lines, rank by rank [B]; 0 for empty clouds.

    Args:
        generated: Standardised clouds.
        real: As many points in each.
        lines: Number of directions, drawn anew in each call.

    Raises:
        ArgumentError: the clouds have different sizes.

    >>> x, y = (cl.make(torch.tensor(values), [2]) for values in ([[1.0], [5.0]], [[4.0], [1.0]]))
    >>> sliced(x, y).tolist()
    [0.5]
    """
    if not torch.equal(generated.ptr, real.ptr):
        raise ArgumentError("sliced: got clouds of different sizes, expected equal ones")
    points = channels(real)
    direction = torch.randn(points.shape[1], lines, device=points.device, dtype=points.dtype)
    direction = normalize(direction, dim=0)
    # Padding is sorted to the end on both sides and cancels.
    first, second = (
        to_dense(side @ direction, real.ptr, fill=torch.finfo(points.dtype).max)[0].sort(1)[0]
        for side in (channels(generated).to(points.dtype), points)
    )
    return (first - second).abs().sum(1).mean(1) / cl.sizes(real).clamp(min=1)


def shape(generated: Batch, real: Batch) -> Tensor:
    """Sum of the differences of the moments [B].

    >>> half = torch.ones(2) / 2
    >>> narrow, wide = (cl.make(s * torch.eye(2), [2], weight=half) for s in (1.0, 2.0))
    >>> shape(narrow, narrow).item(), round(shape(narrow, wide).item(), 3)
    (0.0, 5.0)
    """
    return (_moments(generated) - _moments(real)).abs().sum(1)


def spectrum(generated: Batch, real: Batch) -> Tensor:
    """Distance of the logarithms of the fractions of all points of the batch, rank by rank [B].

    The difference at the rank of a real point counts for the cloud of that point, so the mean over
    the points is the earth mover's distance of the two spectra; 0 for empty clouds.

    Args:
        generated: Standardised clouds with the logarithm of the fraction last in ``x``.
        real: As many points in each.

    Raises:
        ArgumentError: the clouds have different sizes, or no ``x``.

    >>> generated = cl.make(torch.zeros(3, 1), [2, 1], x=torch.tensor([[1.0], [2.0], [6.0]]))
    >>> real = cl.make(torch.zeros(3, 1), [2, 1], x=torch.tensor([[5.0], [2.0], [1.0]]))
    >>> spectrum(generated, real).tolist()
    [0.5, 0.0]
    """
    if not torch.equal(generated.ptr, real.ptr):
        raise ArgumentError("spectrum: got clouds of different sizes, expected equal ones")
    if real.get("x") is None or generated.get("x") is None:
        raise ArgumentError(
            "x: got none, expected the logarithm of the fraction as its last column"
        )
    sorted_real, order = real.x[:, -1].sort()
    apart = (generated.x[:, -1].to(real.x.dtype).sort()[0] - sorted_real).abs()
    return segment_mean(torch.zeros_like(apart).index_put((order,), apart), real.ptr)


def listed(generated: Batch, real: Batch) -> Tensor:
    """Mean squared error of the points, hardest first, in the order of their generation [B].

    Args:
        generated: Standardised clouds, the hardest point first.
        real: As many points in each, in any order, with the logarithm of the fraction last in
            ``x``.

    Raises:
        ArgumentError: the clouds have different sizes, or no ``x`` to sort by.

    >>> generated = cl.make(torch.zeros(2, 1), [2], x=torch.tensor([[3.0], [1.0]]))
    >>> real = cl.make(torch.zeros(2, 1), [2], x=torch.tensor([[1.0], [5.0]]))
    >>> listed(generated, real).tolist()
    [2.0]
    """
    if not torch.equal(generated.ptr, real.ptr):
        raise ArgumentError("listed: got clouds of different sizes, expected equal ones")
    if real.get("x") is None:
        raise ArgumentError(
            "x: got none, expected the logarithm of the fraction as its last column"
        )
    points = channels(real)
    place = cl.ranks(real, points[:, -1]) + real.ptr[:-1][real.batch]
    return segment_mean((channels(generated)[place] - points).square().sum(1), real.ptr)


def _moments(clouds: Batch) -> Tensor:
    fraction, u = cl.weights(clouds)[:, None], clouds.pos
    first, second = torch.triu_indices(u.shape[1], u.shape[1], device=u.device)
    # The root's gradient at the origin is finite.
    radius = (u.square().sum(1, keepdim=True) + 1e-6).sqrt()
    each = torch.cat([u, u[:, first] * u[:, second], radius, fraction], 1)
    return segment_sum(fraction * each, clouds.ptr)
