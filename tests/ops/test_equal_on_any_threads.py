"""Distances between clouds do not depend on the number of threads, to the last bit."""

from __future__ import annotations

import pytest
import torch
from ragged_clouds import Problem, table

from pcgen.ops.chamfer_distance import chamfer
from pcgen.ops.sliced_transport import sliced
from pcgen.ops.transport import earth_mover


def clouds(largest, number):
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(largest // 4, largest, (number,), generator=generator)
    ptr = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
    x, y = (torch.randn(int(ptr[-1]), 3, generator=generator) for _ in range(2))
    return x, y, ptr, ptr


def with_gradient(distance):
    x, *others = clouds(400, 100)
    x.requires_grad_()
    value = distance(x, *others)
    return value.detach(), *torch.autograd.grad(value.sum(), x)


def mover(solver):
    x, y, ptr, _ = clouds(300, 2)
    if solver == "sinkhorn":
        x, y, ptr = x[:120], y[:120], torch.tensor([0, 50, 120])
    found = earth_mover(x, y, ptr, ptr, solver=solver)
    return found.cost, found.gap


CASES = {
    "chamfer": lambda: with_gradient(lambda *sides: chamfer(*sides, squared=False)),
    "sliced": lambda: with_gradient(lambda *sides: sliced(*sides, projections=8,
                                    generator=torch.Generator().manual_seed(1))),
    "exact": lambda: mover("exact"),
    "auction": lambda: mover("auction"),
    "sinkhorn": lambda: mover("sinkhorn"),
    "nearest": lambda: tuple(table(Problem(*clouds(400, 100)))),
    "knn": lambda: tuple(table(Problem(*clouds(400, 100)), 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_thread_and_two_give_the_same(name):
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(CASES[name]())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))
