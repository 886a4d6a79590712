"""Batches: pure in (seed, step, rank), disjoint between ranks, read contiguously."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.datasets import batches as module
from pcgen.datasets.batches import PASS, Batches
from pcgen.errors import ArgumentError


class Numbered:
    """Event i has i % 3 points and the number i as its condition; remembers what was read."""

    in_memory = False

    def __init__(self, number: int) -> None:
        self.number = number
        self.reads: list[Tensor] = []

    def __len__(self) -> int:
        return self.number

    def sizes(self) -> Tensor:
        return torch.arange(self.number) % 3

    def gather(self, items: Tensor) -> Batch:
        self.reads.append(items)
        sizes = items % 3
        points = torch.repeat_interleave(items, sizes).double()[:, None]
        return convention.make(points, sizes, y=items.double()[:, None])


def events(clouds: Batch) -> list[int]:
    numbers = clouds.y[:, 0].long()
    assert torch.equal(convention.sizes(clouds), numbers % 3)
    assert torch.equal(clouds.pos[:, 0].long(), numbers[clouds.batch])
    return numbers.tolist()


@pytest.fixture(params=[module.WINDOW, 100], ids=["one window", "many windows"])
def _window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", request.param)


@pytest.mark.usefixtures("_window")
class TestLaws:
    def test_a_batch_does_not_depend_on_earlier_calls(self) -> None:
        forward, backward = Batches(Numbered(1000), 16, seed=3), Batches(Numbered(1000), 16, seed=3)
        steps = range(0, 200, 7)
        ahead = [events(forward(step)) for step in steps]
        back = [events(backward(step)) for step in reversed(steps)]
        assert ahead == back[::-1]

    @pytest.mark.parametrize("world", [1, 2, 3])
    def test_an_epoch_shows_no_event_twice_whatever_the_rank(self, world: int) -> None:
        batches = Batches(Numbered(1003), 16, seed=1)
        steps = batches.per_epoch(world)
        assert steps == 1003 // world // 16
        for epoch in range(2):
            seen = Counter(
                event
                for rank in range(world)
                for step in range(epoch * steps, (epoch + 1) * steps)
                for event in events(batches(step, rank, world))
            )
            assert set(seen.values()) == {1}
            assert len(seen) == steps * 16 * world

    def test_every_event_comes_in_time(self) -> None:
        batches = Batches(Numbered(205), 16)  # an epoch leaves 13 events out
        seen = {event for step in range(20 * 12) for event in events(batches(step))}
        assert seen == set(range(205))

    def test_epochs_and_seeds_differ_and_are_mixed(self) -> None:
        batches, other = Batches(Numbered(4000), 100), Batches(Numbered(4000), 100, seed=1)
        epoch = batches.per_epoch()
        first = events(batches(0))
        assert first != events(batches(epoch))
        assert first != events(other(0))
        # Far apart in the file, and not in its order.
        assert max(first) - min(first) > 2000
        assert first != sorted(first)

    def test_one_pass_is_in_order_and_complete(self) -> None:
        passed = [events(clouds) for clouds in Batches(Numbered(1230), 16).all()]
        assert list(chain(*passed)) == list(range(1230))
        # They are large whatever those of a step, and end with a window.
        assert max(map(len, passed)) in (96, PASS)


@given(
    number=st.integers(1, 60),
    size=st.integers(1, 20),
    world=st.integers(1, 4),
    step=st.integers(0, 10**9),
)
def test_any_size_gives_disjoint_batches(number: int, size: int, world: int, step: int) -> None:
    batches = Batches(Numbered(number), size)
    if number < world:
        with pytest.raises(ArgumentError, match=f"got {world} processes for {number} clouds"):
            batches(step, 0, world)
        return
    shares = [events(batches(step, rank, world)) for rank in range(world)]
    together = list(chain(*shares))
    assert len(set(together)) == len(together)
    assert {len(share) for share in shares} == {min(size, number // world)}


def test_windows_are_read_stretch_by_stretch_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 6400)  # about one point per event: stretches of 100
    dataset = Numbered(64_000)
    batches = Batches(dataset, 64)
    for step in range(batches.per_epoch()):
        batches(step)
    assert len(dataset.reads) == 10
    for read in dataset.reads:
        gaps = int((read.sort().values.diff() != 1).sum())
        assert gaps <= 66  # 6400 events in 64 stretches, the first and last cut


def test_a_split_of_one_window_is_read_once_an_epoch() -> None:
    dataset = Numbered(500)
    batches = Batches(dataset, 32)
    for step in range(3 * batches.per_epoch()):
        batches(step)
    assert [len(read) for read in dataset.reads] == [500] * 3


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ArgumentError, match="batch_size: got 0"):
        Batches(Numbered(5), 0)
    with pytest.raises(ArgumentError, match="seed: got -1"):
        Batches(Numbered(5), 1, seed=-1)
    batches = Batches(Numbered(5), 1)
    for wrong in ((-1, 0, 1), (0, 1, 1), (0, -1, 2)):
        with pytest.raises(ArgumentError, match="expected step >= 0 and 0 <= rank < world"):
            batches(*wrong)


def test_events_in_memory_come_in_the_order_of_those_from_files(monkeypatch):
    monkeypatch.setattr(module, "AHEAD", 100)
    held, read = Numbered(1000), Numbered(1000)
    held.in_memory = True
    pairs = Batches(held, 7, seed=3), Batches(read, 7, seed=3)
    for step in (0, 1, 141, 142, 500):
        first, second = (events(each(step, rank=1, world=2)) for each in pairs)
        assert first == second
    assert max(map(len, held.reads)) == 98  # no window of the file's size was filled
