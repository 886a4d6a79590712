"""What a rulebook is: rules, and their order for gathering, multiplying and adding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.ops.segments import owners

RULES = 8192
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
            rules = (self.source, self.target, list(self.counts), self.ptr)
            return [_block(0, self.outputs, *rules)]
        size, taps = -(-self.outputs // number), len(self.counts)
        place = self.target // size * taps + _taps(self.counts, self.source)
        counts = torch.bincount(place, minlength=number * taps).view(number, taps).tolist()
        place = place.argsort(stable=True)
        source, target = self.source[place], self.target[place]
        blocks, begin = [], 0
        for each in range(number):
            first, last = (min(e * size, self.outputs) for e in (each, each + 1))
            end = begin + sum(counts[each])
            ptr = self.ptr[first : last + 1] - begin
            rules = (source[begin:end], target[begin:end], counts[each], ptr)
            blocks.append(_block(first, last, *rules))
            begin = end
        return blocks


def _block(
    first: int, last: int, source: Tensor, target: Tensor, counts: list[int], ptr: Tensor
) -> Block:
    """A block of these rules, its taps filled up to the longest where that costs little."""
    taps, width = len(counts), max(counts)
    order, row = target.argsort(stable=True), torch.arange(taps * width, device=source.device)
    if taps * width - len(source) > SPARE * taps:
        return Block(first, last, source, target, counts, False, row[:0], order, ptr)
    begins = list(accumulate(counts, initial=0))
    shift = source.new_tensor([tap * width - begins[tap] for tap in range(taps)])
    place = row[: len(source)] + shift[_taps(counts, source)]
    rows = torch.zeros_like(row).index_copy(0, place, source)
    others = torch.full_like(row, first).index_copy(0, place, target)
    spare = torch.ones_like(row, dtype=torch.bool).index_fill(0, place, False).nonzero()[:, 0]
    return Block(first, last, rows, others, [width] * taps, True, spare, place[order], ptr)


def _taps(counts: Sequence[int], rules: Tensor) -> Tensor:
    """Tap of each rule [R]."""
    return owners(rules.new_tensor(list(accumulate(counts, initial=0))), len(rules))
