"""Networks are evaluated for some events at a time, which changes nothing but the time."""

from __future__ import annotations

import torch

from pcgen import clouds as cl
from pcgen.models import paths
from pcgen.models.paths import in_parts
from pcgen.nn import EPiCField


def problem(sizes: list[int]) -> tuple[EPiCField, cl.Batch, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    field = EPiCField(3, condition_channels=2, hidden=8, global_channels=4, layers=2)
    rows = sum(sizes)
    event = cl.make(torch.randn(rows, 2), sizes, x=torch.randn(rows, 1))
    return field, event, torch.rand(len(sizes)), torch.randn(len(sizes), 2)


def test_parts_give_what_the_whole_gives(monkeypatch):
    monkeypatch.setattr(paths, "TOGETHER", 10)
    for sizes in ([0, 3, 9, 0, 25, 1, 1, 0, 7], [0, 0], [], [30], [5] * 20):
        field, event, time, condition = problem(sizes)
        seen: list[int] = []

        def listening(part, *of_event, field=field, seen=seen):
            seen.append(part.num_graphs)
            return field(part, *of_event)

        with torch.no_grad():
            found = in_parts(listening, event, time, condition)
            torch.testing.assert_close(found, field(event, time, condition))
        assert sum(seen) == len(sizes)
        assert len(seen) == 1 or max(seen) < len(sizes)


def test_with_a_gradient_it_is_one_piece(monkeypatch):
    monkeypatch.setattr(paths, "TOGETHER", 10)
    field, event, time, condition = problem([8] * 6)
    pieces = []
    found = in_parts(lambda *a: (pieces.append(1), field(*a))[1], event, time, condition)
    assert len(pieces) == 1
    assert found.requires_grad
