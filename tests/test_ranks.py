from __future__ import annotations

import datetime
import random

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing, nn

from pcgen.training import ranks

CPU = torch.device("cpu")


def _work(rank: int, file: str) -> None:
    """What each of two processes does; an assertion that fails there fails the test."""
    patience = datetime.timedelta(seconds=120)
    distributed.init_process_group("gloo", f"file://{file}", patience, world_size=2, rank=rank)
    both, one, none, double = (nn.Parameter(torch.zeros(2, 3)) for _ in range(4))
    double.data = double.data.double()
    double.grad = torch.full((2, 3), 1e-9 + rank, dtype=torch.float64)
    both.grad = torch.full((2, 3), 1.0 + 2 * rank)
    one.grad = torch.ones(2, 3) if rank == 1 else None
    values = ranks.mean_gradients([both, one, none, double], torch.tensor([rank, 4.0]))
    assert values.tolist() == [0.5, 4.0]
    assert torch.equal(both.grad, torch.full((2, 3), 2.0))
    assert torch.equal(one.grad, torch.full((2, 3), 0.5))
    assert none.grad is None
    assert double.grad.dtype == torch.float64
    assert torch.allclose(double.grad - 0.5, torch.tensor(1e-9).double(), rtol=1e-6)

    # A value that is not finite in one process is seen by both.
    assert ranks.mean_gradients([none], torch.tensor([float("nan") if rank else 1.0])).isnan().all()

    tensors = [torch.full((3,), float(rank)), torch.tensor(2**40 + rank), torch.tensor([rank == 0])]
    ranks.follow_first(tensors)
    assert [tensor.tolist() for tensor in tensors] == [[0.0] * 3, 2**40, [True]]

    assert ranks.gather({"rank": rank}) == [{"rank": 0}, {"rank": 1}]
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_agree(tmp_path):
    multiprocessing.spawn(_work, (str(tmp_path / "meet"),), nprocs=2)


def test_one_process_agrees_with_itself():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    values = torch.tensor([1.0, 2.0])
    assert ranks.mean_gradients([parameter], values) is values
    assert torch.equal(parameter.grad, torch.ones(2))
    assert ranks.gather("x") == ["x"]
    assert ranks.first_process()


def _draw() -> list[float]:
    # An odd number of normal draws: NumPy and Python keep the other half of a pair.
    normal = [np.random.standard_normal(), random.gauss(0, 1)]
    return [*normal, np.random.random_sample(), random.random(), *torch.randn(3).tolist()]


def test_random_states_go_through_a_file(tmp_path):
    ranks.seed_all(3)
    _draw()
    state = ranks.random_state(CPU)
    expected = _draw()
    torch.save(state, tmp_path / "state")
    assert _draw() != expected
    ranks.set_random_state(torch.load(tmp_path / "state", weights_only=True), CPU)
    assert _draw() == expected


def test_seeds_are_mixed_and_not_added():
    drawn = set()
    for seed in [(0, 1, 1), (1, 1, 0), (0, 2, 1), (1, 1, 1), (0, 1, 2)]:
        ranks.seed_all(*seed)
        drawn.add(tuple(_draw()))
    assert len(drawn) == 5
    ranks.seed_all(0, 1, 1)
    assert tuple(_draw()) in drawn


def _fails(expected: list[float]) -> None:
    assert _draw() == expected
    raise ZeroDivisionError


def test_own_randomness_leaves_no_trace():
    ranks.seed_all(7)
    expected = _draw()
    ranks.seed_all(7)
    with ranks.own_randomness(CPU, 1, 2):
        inside = _draw()
    after = ranks.random_state(CPU)
    assert _draw() == expected
    ranks.set_random_state(after, CPU)
    with pytest.raises(ZeroDivisionError), ranks.own_randomness(CPU, 1, 2):
        _fails(inside)
    assert _draw() == expected
