"""What a rulebook is: rules, and their order for gathering, multiplying and adding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen.ops.ragged import owners

RULES = 4096
"""Rules of a block on the CPU: what is gathered and multiplied for them stays in its cache."""

SPARE = 256
"""Rows that may be multiplied for nothing in each tap, so that all taps are one product."""


class Block(NamedTuple):
    """The rules to consecutive output sites, tap after tap, in rows.

    Attributes:
        first: First output site.
        last: The one after the last.
        source: Input site of each row [r].
        target: Output site of each row [r].
        counts: Number of rows of each tap [K].
        even: All taps have equally many rows; those in ``spare`` stand for no rule.
        spare: Rows that stand for no rule.
        order: The other rows by output site, then by tap.
        ptr: First of each output site in this order, and their number [last - first + 1].
    """

    first: int
    last: int
    source: Tensor
    target: Tensor
    counts: list[int]
    even: bool
    spare: Tensor
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
            there is none. With a centre, the rules of a tap are those of the mirrored tap
            (counted from the other end) with source and target exchanged.
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
        if number == 1:
            return [_block(0, self.outputs, self.source, self.target, list(self.counts))]
        size, taps = -(-self.outputs // number), len(self.counts)
        place = self.target // size * taps + _taps(self.counts, self.source)
        counts = torch.bincount(place, minlength=number * taps).view(number, taps).tolist()
        place = place.argsort(stable=True)
        source, target = self.source[place], self.target[place]
        blocks, begin = [], 0
        for each in range(number):
            first, last = (min(e * size, self.outputs) for e in (each, each + 1))
            end = begin + sum(counts[each])
            blocks.append(_block(first, last, source[begin:end], target[begin:end], counts[each]))
            begin = end
        return blocks


def _block(first: int, last: int, source: Tensor, target: Tensor, counts: list[int]) -> Block:
    """A block of these rules, its taps filled up to the longest where that costs little."""
    even = len(counts) * max(counts) - len(source) <= SPARE * len(counts)
    rows = [max(counts)] * len(counts) if even else counts
    begins = list(accumulate(rows, initial=0))
    lay = _lay_out_compiled if source.device.type == "cpu" else lay_out
    placed = lay(source, target, counts, begins, first, last)
    return Block(first, last, *placed[:2], rows, even, *placed[2:])


Layout = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""``source``, ``target``, ``spare``, ``order`` and ``ptr`` of a block."""


def lay_out(
    source: Tensor, target: Tensor, counts: list[int], begins: list[int], first: int, last: int
) -> Layout:
    """Put the rules of tap k into rows from ``begins[k]`` on."""
    rules, total = len(source), begins[-1]
    starts = accumulate(counts, initial=0)
    shift = source.new_tensor([b - s for b, s in zip(begins, starts, strict=True)])
    place = torch.arange(rules, device=source.device) + shift[_taps(counts, source)]
    rows = source.new_zeros(total).index_copy(0, place, source)
    others = source.new_full((total,), first).index_copy(0, place, target)
    empty = torch.ones_like(rows, dtype=torch.bool).index_fill(0, place, False)
    number = torch.bincount(target - first, minlength=last - first)
    ptr = torch.nn.functional.pad(number.cumsum(0), (1, 0))
    return rows, others, empty.nonzero()[:, 0], place[target.argsort(stable=True)], ptr


def _lay_out_compiled(
    source: Tensor, target: Tensor, counts: list[int], begins: list[int], first: int, last: int
) -> Layout:
    from pcgen.ops._kernels.rulebooks_compiled import lay_out

    rules, total = len(source), begins[-1]
    lengths = (total, total, total - rules, rules, last - first + 1)
    arrays = [np.empty(length, dtype=np.int64) for length in lengths]
    given = (source.numpy(), target.numpy(), np.array(counts), np.array(begins))
    lay_out(*given, first, *arrays)
    rows, others, spare, order, ptr = map(torch.from_numpy, arrays)
    return rows, others, spare, order, ptr


def _taps(counts: Sequence[int], rules: Tensor) -> Tensor:
    """Tap of each rule [R]."""
    return owners(rules.new_tensor(list(accumulate(counts, initial=0))), len(rules))
