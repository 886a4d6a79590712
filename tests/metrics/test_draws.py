"""Batches: disjoint where they must be, of the right side, reproducible."""

from __future__ import annotations

import pytest
import torch

from pcgen.errors import DataError
from pcgen.metrics.evaluation import Draws

REAL, FAKE = 41, 30


def draws(usable=None, seed=0):
    usable = torch.ones(REAL + FAKE, dtype=torch.bool) if usable is None else usable
    return Draws(usable, REAL, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("how", ["halvings", "disjoint", "resampled"])
def test_score_and_floor_never_share_an_event_besides_a(how):
    batches = draws().batches(how, 3, 6)
    for a, b, g in zip(*batches, strict=True):
        assert len(a) == len(b) == len(g) == 3
        assert not set(a.tolist()) & set(b.tolist())
        assert max(a.max(), b.max()) < REAL <= g.min()
    again = draws().batches(how, 3, 6)
    assert all(torch.equal(x, y) for x, y in zip(batches, again, strict=True))


def test_halvings_draw_every_event_at_most_once_and_as_many_as_there_are():
    batches = draws().batches("halvings", None, 4)
    assert batches.a.shape == (4, 20)
    for a, b, g in zip(*batches, strict=True):
        assert len({*a.tolist(), *b.tolist()}) == 40
        assert len(set(g.tolist())) == 20


def test_disjoint_batches_share_no_generated_event():
    batches = draws().batches("disjoint", None, 4)
    assert batches.generated.shape == (4, 7)
    assert len(batches.generated.unique()) == 28


def test_resampling_draws_more_events_than_there_are_from_two_halves():
    batches = draws().batches("resampled", 500, 2)
    assert batches.a.shape == (2, 500)
    assert not set(batches.a.flatten().tolist()) & set(batches.b.flatten().tolist())
    assert len(batches.generated.unique()) == FAKE


def test_only_usable_events_are_drawn():
    usable = torch.rand(REAL + FAKE, generator=torch.Generator().manual_seed(1)) < 0.7
    some = draws(usable)
    for side in some.batches("halvings", None, 3):
        assert bool(usable[side].all())
    assert all(bool(usable[side].all()) for side in some.pair(5))


def test_too_few_events_are_refused():
    usable = torch.zeros(REAL + FAKE, dtype=torch.bool)
    usable[:10] = True
    with pytest.raises(DataError, match="got 10 real and 0 generated that can be compared"):
        draws(usable)
