"""Each search finds the rows of the reference, which is checked by brute force elsewhere."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged_clouds import Problem, pointer, problem, problems
from torch import Tensor

from pcgen.ops import threads as threads_module
from pcgen.ops._kernels import (
    neighbors_cluster,
    neighbors_numba,
    neighbors_torch,
    neighbors_tree,
    search,
)

PERIODS = (None, 2.5)


def lengths(case: Problem, period: float | None) -> list[float]:
    return [0.0] * (case.x.shape[1] - 1) + [period or 0.0]


def agree(method: Callable[..., Tensor], case: Problem, k: int, period: float | None) -> None:
    around = lengths(case, period)
    expected = neighbors_torch.search(*case, k, around)
    assert torch.equal(method(*case, k, around), expected)


# Widths that are unrolled, one that is filled up, and one that is too large to unroll.
dimensions = st.sampled_from([1, 2, 3, 6, 11])


@given(data=st.data(), k=st.sampled_from([1, 2, 5]), period=st.sampled_from(PERIODS))
def test_compiled_search(data, k, period):
    d = data.draw(dimensions)
    case = data.draw(problems(largest=70, dimensions=(d, d)))
    agree(neighbors_numba.search, case, k, period)


@given(data=st.data(), r=st.sampled_from([0.0, 0.7, 1.0]), period=st.sampled_from(PERIODS))
def test_compiled_radius(data, r, period):
    d = data.draw(dimensions)
    case = data.draw(problems(largest=70, dimensions=(d, d)))
    around = lengths(case, period)
    got = neighbors_numba.within(*case, r, around)
    for one, other in zip(got, neighbors_torch.within(*case, r, around), strict=True):
        assert torch.equal(one, other)


@given(data=st.data(), number=st.sampled_from([1, 7, 100]), period=st.sampled_from(PERIODS))
def test_compiled_farthest(data, number, period):
    d = data.draw(dimensions)
    case = data.draw(problems(largest=40, dimensions=(d, d)))
    sizes = (case.ptr_x[1:] - case.ptr_x[:-1]).clamp(max=number)
    ptr_out = torch.cat((case.ptr_x[:1], sizes.cumsum(0)))
    arguments = (case.x, case.ptr_x, case.ptr_x[:-1], ptr_out, lengths(case, period))
    expected = neighbors_torch.farthest(*arguments)
    assert torch.equal(neighbors_numba.farthest(*arguments), expected)


@given(case=problems(largest=40), k=st.sampled_from([1, 4]), period=st.sampled_from(PERIODS))
def test_tree_search(case, k, period):
    agree(neighbors_tree.search, case, k, period)


@pytest.mark.skipif(find_spec("torch_cluster") is None, reason="torch-cluster is not installed")
@given(case=problems(largest=40), k=st.sampled_from([1, 4]))
def test_cluster_search(case, k):
    agree(neighbors_cluster.search, case, k, None)


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("method", [neighbors_numba, neighbors_tree], ids=["numba", "tree"])
@pytest.mark.parametrize("k", [1, 16])
def test_larger_clouds(method, k, offset):
    """Many blocks and stages; at the offset float32 coordinates lie on a lattice and tie often."""
    case = problem([1500, 3], [2600, 1], scale=0.1, offset=offset)
    agree(method.search, case, k, None)


def test_boundary_of_the_radius_is_exact():
    """0.1 is not 0.1 in float32: what counts is the distance of the coordinates as they are."""
    x = torch.tensor([[0.0, 0.0]])
    y = torch.tensor([[0.1, 0.0], [0.0, 0.3], [0.1, 0.30000001192092896]])
    ptr = pointer([1]), pointer([3])
    for r, expected in ((0.1, []), (float(y[0, 0]), [0]), (float(y[1, 1]), [0, 1])):
        for method in (neighbors_numba, neighbors_torch):
            assert method.within(x, y, *ptr, r, [0.0, 0.0])[1].tolist() == expected


def _spied(module: ModuleType, used: list[str]) -> Callable[..., Tensor]:
    original = module.search

    def spy(*arguments) -> Tensor:
        used.append(module.__name__.split("_")[-1])
        return original(*arguments)

    return spy


def test_small_and_large_clouds_in_one_batch(monkeypatch):
    used = []
    for module in (neighbors_tree, neighbors_numba):
        monkeypatch.setattr(module, "search", _spied(module, used))
    monkeypatch.setattr(search, "TREE_POINTS", (50, 20))
    case = problem([60, 5, 70, 80, 0, 9], [55, 60, 3, 90, 4, 0])
    agree(search.search, case, 1, None)
    assert used == ["tree", "numba", "tree", "numba"]
    agree(search.search, problem([], []), 1, None)


def test_threads_do_not_change_the_result(monkeypatch):
    """Shares of very different clouds, from two Python threads at once."""
    monkeypatch.setattr(threads_module, "SMALL", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    case = problem([300, 0, 1, 40, 7], [500, 3, 0, 60, 9])
    expected = neighbors_torch.search(*case, 2, [0.0] * 3)
    results = []

    def work() -> None:
        results.extend(neighbors_numba.search(*case, 2, [0.0] * 3) for _ in range(10))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 20
    assert all(torch.equal(result, expected) for result in results)


@given(work=st.lists(st.integers(0, 9), max_size=12), workers=st.integers(1, 4))
def test_shares_cover_all_items_once(work, workers):
    seen = np.zeros(len(work), dtype=int)

    def kernel(first: int, last: int) -> None:
        seen[first:last] += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads_module, "SMALL", 1)
        patch.setattr(torch, "get_num_threads", lambda: workers)
        threads_module.run(kernel, np.array(work, dtype=int))
    assert (seen == 1).all()


def test_an_error_in_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr(threads_module, "SMALL", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)

    def kernel(first: int, last: int) -> None:
        if first:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        threads_module.run(kernel, np.ones(4))


def test_a_helper_who_comes_late_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(threads_module, "SMALL", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    busy, seen = threading.Event(), []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(busy.wait)
        monkeypatch.setattr(threads_module, "_pool", lambda *_: pool)
        threads_module.run(lambda first, last: seen.extend(range(first, last)), np.ones(9))
        busy.set()
    assert seen == list(range(9))


def test_a_forked_process_can_search():
    """Workers of a data loader are forked; threads of the parent are not there."""
    script = """
import os, torch
from pcgen.ops import threads
from pcgen.ops._kernels import neighbors_numba
threads.SMALL = 1
torch.get_num_threads = lambda: 2
x, ptr = torch.rand(100, 3), torch.tensor([0, 50, 100])
expected = neighbors_numba.search(x, x, ptr, ptr, 2, [0.0] * 3)
child = os.fork()
if child == 0:
    same = torch.equal(neighbors_numba.search(x, x, ptr, ptr, 2, [0.0] * 3), expected)
    os._exit(0 if same else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=120)
