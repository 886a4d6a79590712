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
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.lattice import Sites, check_size, sites_of_keys
from pcgen.ops.segments import owners

Window = int | Sequence[int]
"""One number for all axes, or one for each."""


RULES = 8192
"""Rules of a block on the CPU: what is gathered and multiplied for them stays in its cache."""


class Block(NamedTuple):
    """The r rules to consecutive output sites, tap after tap.

    Attributes:
        first: First output site.
        last: The one after the last.
        source: Input site of each rule [r].
        target: Output site of each rule [r].
        counts: Number of rules of each tap [K].
        order: The rules by output site, then by tap [r].
        ptr: First of each output site in this order, and r [last - first + 1].
    """

    first: int
    last: int
    source: Tensor
    target: Tensor
    counts: list[int]
    order: Tensor
    ptr: Tensor


@dataclass(frozen=True, eq=False)
class Rulebook:
    """R rules, tap after tap.

    Attributes:
        source: Input site of each rule [R].
        target: Output site of each rule [R].
        counts: Number of rules of each tap [K].
        inputs: Number of input sites N.
        outputs: Number of output sites M.
        centre: The tap through which every site speaks to itself, which has no rules; None where
            there is none.
    """

    source: Tensor
    target: Tensor
    counts: tuple[int, ...]
    inputs: int
    outputs: int
    centre: int | None = None

    @cached_property
    def reverse(self) -> Rulebook:
        """The same rules from the output sites to the input sites."""
        return Rulebook(
            self.target, self.source, self.counts, self.outputs, self.inputs, self.centre
        )

    @cached_property
    def ptr(self) -> Tensor:
        """First rule of each output site in the order of the output sites, and R [M+1]."""
        number = torch.bincount(self.target, minlength=self.outputs)
        return torch.nn.functional.pad(number.cumsum(0), (1, 0))

    @cached_property
    def members(self) -> Tensor:
        """Input site of each rule, the rules in the order of the output sites, then taps [R]."""
        return self.source[self.target.argsort(stable=True)]

    @cached_property
    def blocks(self) -> list[Block]:
        """All rules, in as many blocks as the caches of a CPU ask for; in one on other devices."""
        number = len(self.source) // RULES + 1 if self.source.device.type == "cpu" else 1
        size, taps = -(-self.outputs // number), len(self.counts)
        if number == 1:
            order = self.target.argsort(stable=True)
            block = (self.source, self.target, list(self.counts), order, self.ptr)
            return [Block(0, self.outputs, *block)]
        of_tap = self.source.new_tensor([0, *self.counts]).cumsum(0)
        place = self.target // size * taps + owners(of_tap, len(self.source))
        counts = torch.bincount(place, minlength=number * taps).view(number, taps).tolist()
        place = place.argsort(stable=True)
        source, target = self.source[place], self.target[place]
        order = target.argsort(stable=True)
        blocks, begin = [], 0
        for each in range(number):
            first, last = (min(e * size, self.outputs) for e in (each, each + 1))
            end = begin + sum(counts[each])
            part, ptr = slice(begin, end), self.ptr[first : last + 1] - begin
            rules = (source[part], target[part], counts[each], order[part] - begin, ptr)
            blocks.append(Block(first, last, *rules))
            begin = end
        return blocks


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
    r"""Search once per row of the kernel: the keys of its taps are consecutive.

    i speaks to o through tap k if, and only if, o speaks to i through the mirrored tap, so one half
    of the taps is searched.
    """
    reach = [(size - 1) // 2 for size in kernel]
    number, width, taps = len(sites), kernel[-1], math.prod(kernel)
    key = sites.keys(reach)
    known = torch.cat((key, key.new_full((1,), torch.iinfo(torch.long).max)))
    row = torch.arange(number, device=key.device)
    # Input site of each tap and output site; what is in the last column is nobody's.
    table = key.new_full((taps, number + 1), -1)
    middle = taps // width // 2
    for line, shift in enumerate(product(*(range(-r, r + 1) for r in reach[:-1]))):
        if line < middle:
            continue
        first = reach[-1] + 1 if line == middle else 0
        wanted = key + (_shift(sites, reach, shift) + first - reach[-1])
        at = row + 1 if line == middle else torch.searchsorted(known, wanted)
        for tap in range(line * width + first, (line + 1) * width):
            hit = known.index_select(0, at) == wanted
            table[tap, :number] = torch.where(hit, at, -1)
            table[taps - 1 - tap].scatter_(0, torch.where(hit, at, number), row)
            at, wanted = at + hit, wanted + 1
    table[:, number] = -1
    rules = (table >= 0).view(-1).nonzero()[:, 0]
    counts = (table >= 0).sum(1).tolist()
    source, target = table.view(-1).index_select(0, rules), rules % (number + 1)
    return Rulebook(source, target, tuple(counts), number, number, taps // 2)


def _shift(sites: Sites, reach: Sequence[int], shift: Sequence[int]) -> int:
    """Difference of keys along all axes but the last."""
    total = 0
    for size, gap, step in zip(sites.shape, reach, (*shift, 0), strict=True):
        total = total * (size + gap) + step
    return total


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
