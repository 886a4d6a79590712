"""Sparse lattices of 1 to 4 dimensions for the tests, and dense layers by brute force."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pcgen.ops.lattice import Sites, active_sites


class Lattice(NamedTuple):
    """Active cells [B, *shape] of B events, as sites too."""

    active: Tensor
    sites: Sites

    def scatter(self, x: Tensor) -> Tensor:
        """Rows [N, C] -> dense images [B, C, *shape], zero in inactive cells."""
        image = x.new_zeros(*self.active.shape, x.shape[1])
        return image.index_put(self.active.nonzero().unbind(1), x).movedim(-1, 1)


def lattice(active: Tensor) -> Lattice:
    ptr = F.pad(active.flatten(1).sum(1).cumsum(0), (1, 0))
    return Lattice(active, active_sites(active.nonzero()[:, 1:], ptr, active.shape[1:]))


def random_lattice(
    shape: tuple[int, ...], occupancy: float, events: int = 3, seed: int = 0
) -> Lattice:
    generator = torch.Generator().manual_seed(seed)
    active = torch.rand(events, *shape, generator=generator) < occupancy
    active[0] = False  # an empty event in front, so that rows and events are not the same
    return lattice(active)


@st.composite
def lattices(draw: st.DrawFn, dimensions: tuple[int, int] = (1, 4)) -> Lattice:
    number = draw(st.integers(*dimensions))
    size = st.integers(1, 7 if number < 3 else 4)
    shape = tuple(draw(st.lists(size, min_size=number, max_size=number)))
    occupancy = draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))
    return random_lattice(shape, occupancy, draw(st.integers(1, 4)), draw(st.integers(0, 2**31)))


def gather(image: Tensor, sites: Sites) -> Tensor:
    """Dense images [B, C, *shape] at the sites [N, C]."""
    return image.movedim(1, -1)[(sites.owner, *sites.cell.unbind(1))]


def dense_conv(image: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    """Convolution tap by tap, in any dimension: [B, C, *shape] by [C', C, *kernel]."""
    kernel = weight.shape[2:]
    padded = F.pad(image, [p for size in reversed(padding) for p in (size, size)])
    room = zip(padded.shape[2:], kernel, stride, strict=True)
    shape = [(size - k) // s + 1 for size, k, s in room]
    total = image.new_zeros(len(image), weight.shape[0], *shape)
    for tap in itertools.product(*map(range, kernel)):
        ends = zip(tap, shape, stride, strict=True)
        window = [slice(t, t + (n - 1) * s + 1, s) for t, n, s in ends]
        part = padded[(slice(None), slice(None), *window)]
        total = total + torch.einsum("bi...,oi->bo...", part, weight[(..., *tap)])
    return total


def dense_transpose(
    image: Tensor, weight: Tensor, stride: list[int], padding: list[int], extra: list[int]
) -> Tensor:
    """Transposed convolution [C, C', *kernel], as what adds to the gradient of a convolution."""
    sizes = zip(image.shape[2:], weight.shape[2:], stride, padding, extra, strict=True)
    shape = [(n - 1) * s - 2 * p + k + e for n, k, s, p, e in sizes]
    canvas = image.new_zeros(len(image), weight.shape[1], *shape).requires_grad_()
    result = dense_conv(canvas, weight, stride, padding)
    # With output padding the convolution may have more windows than there are images cells.
    result = result[(..., *(slice(n) for n in image.shape[2:]))]
    return torch.autograd.grad(result, canvas, image)[0]
