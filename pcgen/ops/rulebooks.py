r"""Rulebooks: which input site speaks to which output site through which tap of a kernel.

A kernel of :math:`K_1 \times \dots \times K_D` taps k, numbered row-major, with stride s and
padding p, as in :mod:`torch.nn.functional` (which calls it convolution):

==============  ==========================================  ========================================
kind            input site i speaks to output site o        output sites
==============  ==========================================  ========================================
submanifold     i = o + k - (K - 1) / 2                     the input sites
strided         i = s o - p + k                             all that an input site speaks to
transposed      o = s i - p + k                             all that an input site speaks to
inverse         i and o of a strided one exchanged          the input sites of the strided one
==============  ==========================================  ========================================

Graham, "Spatially-sparse convolutional neural networks", arXiv:1409.6070; Graham and van der
Maaten, "Submanifold sparse convolutional networks", arXiv:1706.01307. Rules are found on the device
by sorting and searching the keys of :mod:`pcgen.ops.lattice`, and kept with the sites.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from operator import mul
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops import threads
from pcgen.ops.lattice import Sites, check_size, sites_of_keys
from pcgen.ops.rules import Rulebook

Window = int | Sequence[int]
"""One number for all axes, or one for each."""


class Step(NamedTuple):
    """A layer's way from its input sites to others.

    Attributes:
        sites: The output sites.
        rules: Rules to them.
    """

    sites: Sites
    rules: Rulebook


def submanifold(sites: Sites, kernel: Window) -> Rulebook:
    """Rules from the sites to themselves, for a kernel of odd sizes; its centre has no rules.

    Raises:
        ArgumentError: a size of the kernel is even or not positive.
    """
    sizes = window("kernel", kernel, sites, 1)
    if any(size % 2 == 0 for size in sizes):
        raise ArgumentError(f"kernel: got {sizes}, expected odd sizes, which have a centre")
    key = ("submanifold", sizes)
    if key not in sites.rulebooks:
        sites.rulebooks[key] = _submanifold(sites, sizes)
    return sites.rulebooks[key]


def strided(sites: Sites, kernel: Window, stride: Window = 1, padding: Window = 0) -> Step:
    """Rules to every site whose window holds an active one.

    Raises:
        ArgumentError: the window does not fit the lattice.
    """
    sizes, steps = window("kernel", kernel, sites, 1), window("stride", stride, sites, 1)
    margins = window("padding", padding, sites, 0)
    key = ("strided", sizes, steps, margins)
    if key not in sites.rulebooks:
        rooms = zip(sites.shape, sizes, steps, margins, strict=True)
        shape = _shape([(s + 2 * p - k) // d + 1 for s, k, d, p in rooms], sizes)

        def reach(axis: int, cell: Tensor) -> tuple[Tensor, Tensor]:
            size, step = sizes[axis], steps[axis]
            back = torch.arange(-(-size // step), device=cell.device)[:, None]
            place = cell + margins[axis]
            target = torch.div(place, step, rounding_mode="floor") - back
            return target, place - target * step

        sites.rulebooks[key] = _step(sites, sizes, shape, reach)
    return sites.rulebooks[key]


def transposed(
    sites: Sites,
    kernel: Window,
    stride: Window = 1,
    padding: Window = 0,
    output_padding: Window = 0,
) -> Step:
    """Rules to every site that an active one reaches in a transposed convolution.

    Raises:
        ArgumentError: the window does not fit the lattice.
    """
    sizes, steps = window("kernel", kernel, sites, 1), window("stride", stride, sites, 1)
    margins = window("padding", padding, sites, 0)
    extra = window("output_padding", output_padding, sites, 0)
    key = ("transposed", sizes, steps, margins, extra)
    if key not in sites.rulebooks:
        rooms = zip(sites.shape, sizes, steps, margins, extra, strict=True)
        shape = _shape([(s - 1) * d - 2 * p + k + e for s, k, d, p, e in rooms], sizes)

        def reach(axis: int, cell: Tensor) -> tuple[Tensor, Tensor]:
            tap = torch.arange(sizes[axis], device=cell.device)[:, None].expand(-1, len(cell))
            return cell * steps[axis] - margins[axis] + tap, tap

        sites.rulebooks[key] = _step(sites, sizes, shape, reach)
    return sites.rulebooks[key]


def window(name: str, value: Window, sites: Sites, least: int) -> tuple[int, ...]:
    """One number for each axis.

    Raises:
        ArgumentError: there are too few or too many, or one is below ``least``.
    """
    dimensions = len(sites.shape)
    numbers = (value,) * dimensions if isinstance(value, int) else tuple(value)
    if len(numbers) != dimensions or min(numbers) < least:
        raise ArgumentError(
            f"{name}: got {value}, expected a number >= {least}, or {dimensions} of them"
        )
    return numbers


def _shape(shape: list[int], kernel: tuple[int, ...]) -> tuple[int, ...]:
    if min(shape) < 1:
        raise ArgumentError(
            f"kernel: got {kernel}, which leaves {tuple(shape)} cells, expected >= 1"
        )
    return tuple(shape)


def _submanifold(sites: Sites, kernel: tuple[int, ...]) -> Rulebook:
    """i speaks to o through tap k if, and only if, o speaks to i through the mirrored tap."""
    reach = [size // 2 for size in kernel]
    sizes = [s + r for s, r in zip(sites.shape, reach, strict=True)]
    strides = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    steps = product(*(range(-r, r + 1) for r in reach))
    shifts = [sum(map(mul, step, strides)) for step in steps]
    centre, number, key = len(shifts) // 2, len(sites), sites.keys(reach)
    search = _search_compiled if key.device.type == "cpu" else search_mirrored
    source, target, counts = search(key, key.new_tensor(shifts[centre + 1 :]))
    return Rulebook(source, target, (*counts[::-1], 0, *counts), number, number, centre)


def search_mirrored(key: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Rules of the taps behind the centre, and of those before it, which mirror them.

    Args:
        key: Ascending keys of the sites [N].
        shift: What each tap behind the centre adds to a key [H].

    Returns:
        Sources and targets [2 R] of the rules of all taps, and the number of each tap behind the
        centre.
    """
    wanted = key + shift[:, None]
    at = torch.searchsorted(key, wanted)
    hit = torch.cat((key, key[-1:])).take(at) == wanted
    found = torch.where(hit, at, -1)
    behind, before = (_hits(table) for table in (found, found.flip(0)))
    source, target = torch.cat((before[0], behind[1])), torch.cat((before[1], behind[0]))
    return source, target, hit.sum(1).tolist()


def _hits(found: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and values of a table [H, N] where it is not negative, row after row."""
    flat = found.reshape(-1)
    place = (flat >= 0).nonzero()[:, 0]
    return place % max(found.shape[1], 1), flat.index_select(0, place)


def _search_compiled(key: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    from pcgen.ops._kernels.rulebooks_compiled import collect, find

    found = np.empty((len(shift), len(key)), dtype=np.int64)
    keys, shifts = key.numpy(), shift.numpy()
    if found.size < threads.SMALL:
        find(keys, shifts, 0, len(keys), found)
    else:
        work = np.full(len(keys), len(shifts))
        threads.run(lambda first, last: find(keys, shifts, first, last, found), work)
    source, target, counts = collect(found)
    return torch.from_numpy(source), torch.from_numpy(target), counts.tolist()


Reach = Callable[[int, Tensor], tuple[Tensor, Tensor]]
"""Along an axis, from coordinates [N] to the output coordinates that may be reached [J, N], and
through which tap [J, N]."""


def _step(sites: Sites, kernel: tuple[int, ...], shape: tuple[int, ...], reach: Reach) -> Step:
    """All sites that are reached, and the rules to them."""
    check_size(sites.events, shape)
    key, tap = sites.owner, torch.zeros_like(sites.owner)
    inside = torch.ones_like(key, dtype=torch.bool)
    for axis, (size, width) in enumerate(zip(shape, kernel, strict=True)):
        cell, through = reach(axis, sites.cell[:, axis])
        key = key[..., None, :] * size + cell
        tap = tap[..., None, :] * width + through
        inside = inside[..., None, :] & (cell >= 0) & (cell < size) & (through < width)
    rules = inside.reshape(-1).nonzero()[:, 0]
    key, tap = key.reshape(-1)[rules], tap.reshape(-1)[rules]
    found, target = key.unique(return_inverse=True)
    order = (tap * len(found) + target).argsort()
    counts = torch.bincount(tap, minlength=math.prod(kernel)).tolist()
    source = (rules % max(len(sites), 1))[order]
    book = Rulebook(source, target[order], tuple(counts), len(sites), len(found))
    return Step(sites_of_keys(found, sites.events, shape), book)
