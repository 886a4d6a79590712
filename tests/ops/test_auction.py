"""The compiled loops of the CPU solvers, also run as the Python that they are written in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transport_problems import seeds

from pcgen.ops._kernels import assignment, auction, exact, simplex, workspace
from pcgen.ops.transport import Transport, earth_mover


def equal_clouds(n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(n, 2, generator=random, dtype=torch.float64) for _ in range(2))
    return x, y, torch.tensor([0, n]), torch.tensor([0, n])


def same(one: Transport, two: Transport) -> None:
    torch.testing.assert_close(one.cost, two.cost, rtol=1e-14, atol=0)
    torch.testing.assert_close(one.gap, two.gap, rtol=1e-9, atol=1e-14)
    assert torch.equal(one.flow.source, two.flow.source)
    assert torch.equal(one.flow.target, two.flow.target)


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Python in the place of everything compiled."""
    for module, names in (
        (workspace, ["row"]),
        (auction, ["look", "remembered", "assign", "offers", "largest", "bid"]),
    ):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, f"_{name}"))
    monkeypatch.setattr(auction, "row", workspace._row)
    for module in (exact, simplex, assignment):
        for name, function in list(vars(module).items()):
            if hasattr(function, "py_func"):
                monkeypatch.setattr(module, name, function.py_func)
    return monkeypatch


OPTIONS = [
    {"solver": "auction", "tolerance": 0.01},
    {"solver": "exact"},
    {"solver": "exact", "p": 2, "period": (None, 2.0)},
    {"solver": "exact", "unbalanced": 0.7, "weight_x": torch.linspace(0, 1, 14).double()},
    {"solver": "exact", "unbalanced": 0.7, "weight_y": torch.linspace(0, 1, 14).double()},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_compiled_loops_do_what_the_python_does(
    options: dict[str, object], interpreted: pytest.MonkeyPatch
) -> None:
    clouds = equal_clouds(14)
    slow = earth_mover(*clouds, **options)
    interpreted.undo()
    same(slow, earth_mover(*clouds, **options))


@pytest.mark.parametrize("candidates", [2, 3, 14])
def test_what_is_remembered_changes_no_bid(
    candidates: int, interpreted: pytest.MonkeyPatch
) -> None:
    clouds = equal_clouds(14)
    interpreted.setattr(auction, "CANDIDATES", candidates)
    remembered = earth_mover(*clouds, solver="auction", tolerance=0.001)
    interpreted.undo()
    same(remembered, earth_mover(*clouds, solver="auction", tolerance=0.001))


def test_an_auction_without_patience_gives_up(interpreted: pytest.MonkeyPatch) -> None:
    clouds = equal_clouds(14)
    interpreted.setattr(auction, "PATIENCE", 1)
    result = earth_mover(*clouds, solver="auction")
    assert result.refined.all()
    torch.testing.assert_close(result.cost, earth_mover(*clouds, solver="exact").cost)


@settings(max_examples=25)
@given(seeds, st.integers(1, 40), st.sampled_from([0.3, 0.01]), st.sampled_from([1, 2]))
def test_prices_are_feasible_and_the_gap_is_as_promised(
    seed: int, n: int, tolerance: float, p: int
) -> None:
    x, y = (z.T.contiguous().numpy() for z in equal_clouds(n, seed)[:2])
    target, price_x, price_y = auction.bid(x, y, p, np.zeros(2), tolerance)
    cost = np.sqrt(((x[:, :, None] - y[:, None]) ** 2).sum(0)) ** p
    assert sorted(target.tolist()) == list(range(n))
    assert (cost - price_x[:, None] - price_y >= -1e-12).all()
    bound = price_x.sum() + price_y.sum()
    assert bound <= cost[np.arange(n), target].sum() + 1e-12
    assert cost[np.arange(n), target].sum() <= (1 + tolerance) * bound + 1e-12


@settings(max_examples=25)
@given(seeds, st.integers(1, 30))
def test_assignment_prices_prove_scipys_optimum(seed: int, n: int) -> None:
    result = earth_mover(*equal_clouds(n, seed), solver="exact")
    assert result.gap.item() <= 1e-12
