"""Splits: disjoint, exhaustive, in blocks, frozen."""

from __future__ import annotations

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.datasets.splits import BLOCK, SPLITS, split_index
from pcgen.errors import ArgumentError

PARTS = SPLITS[:3]


@given(number=st.integers(0, 20_000), seed=st.integers(0, 2**32 - 1))
def test_the_three_splits_share_out_all_events(number: int, seed: int) -> None:
    parts = [split_index(number, split, seed=seed) for split in PARTS]
    assert torch.cat(parts).sort().values.tolist() == list(range(number))
    assert all(bool((part.diff() > 0).all()) for part in parts)
    if number >= 3:
        assert all(len(part) > 0 for part in parts)


@pytest.mark.parametrize("number", [1000, 6000, 9000, 1_000_000])
def test_the_fractions_are_70_15_15(number: int) -> None:
    fractions = [len(split_index(number, split)) / number for split in PARTS]
    assert fractions == pytest.approx([0.7, 0.15, 0.15], abs=0.01)


def test_large_files_are_split_in_blocks_of_neighbours() -> None:
    number = 100_000
    for split in PARTS:
        blocks = split_index(number, split).unique() // BLOCK
        assert bool((blocks.unique(return_counts=True)[1][:-1] == BLOCK).all())


def test_seeds_give_different_splits_and_the_same_seed_the_same() -> None:
    first, again = split_index(5000, "test", seed=1), split_index(5000, "test", seed=1)
    assert torch.equal(first, again)
    other = split_index(5000, "test", seed=2)
    # Two independent draws of 15 % share about 15 % of their events.
    assert torch.isin(first, other).double().mean() < 0.4


def test_the_split_of_today_is_the_split_of_ever() -> None:
    drawn = torch.cat([split_index(9000, split) for split in PARTS])
    digest = hashlib.sha256(drawn.numpy().tobytes()).hexdigest()
    assert digest[:16] == "55383057cab998d7"


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ArgumentError, match="split: got 'valid', expected one of train, val"):
        split_index(10, "valid")
    with pytest.raises(ArgumentError, match="seed: got -1"):
        split_index(10, "train", seed=-1)
