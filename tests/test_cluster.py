"""Work on a cluster: every call once, in order, errors come through; workers in this process."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from pcgen import cluster as module
from pcgen.cluster import Cluster, connected
from pcgen.errors import ClusterError, DataError

distributed = pytest.importorskip("distributed", reason="the extra dask brings clusters")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a scheduler with one worker of two threads."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def cluster(address: str) -> Iterator[Cluster]:
    with connected(address) as found:
        yield found


def test_every_call_gives_its_result(cluster: Cluster) -> None:
    calls = [(float(k), 2.0) for k in range(25)]
    expected = [k * k for k in range(25)]
    assert dict(cluster.as_ready(math.pow, calls)) == dict(enumerate(expected))
    assert list(cluster.in_order(math.pow, calls)) == expected
    assert list(cluster.in_order(math.pow, [(2.0,)] * 3, shared=(3.0,))) == [9.0] * 3
    assert dict(cluster.as_ready(math.pow, [])) == {}
    assert list(cluster.in_order(math.pow, [])) == []


def _slow_first(number: int) -> int:
    time.sleep(0.2 if number == 0 else 0)
    return number


def test_results_come_as_they_get_ready_or_in_order(cluster: Cluster) -> None:
    calls = [(k,) for k in range(4)]
    assert next(iter(cluster.as_ready(_slow_first, calls)))[0] != 0
    assert list(cluster.in_order(_slow_first, calls)) == [0, 1, 2, 3]


def test_workers_are_a_few_calls_ahead(cluster: Cluster) -> None:
    taken: list[int] = []

    def calls() -> Iterator[tuple[int]]:
        for number in range(100):
            taken.append(number)
            yield (number,)

    results = cluster.in_order(abs, calls())
    assert [next(results), next(results)] == [0, 1]
    results.close()
    assert len(taken) <= 2 + 2 * module.AHEAD


def _identity(shared: list[int], number: int) -> int:
    return id(shared)


def test_what_is_shared_is_one_object_in_a_worker(cluster: Cluster) -> None:
    assert len(set(cluster.in_order(_identity, [(k,) for k in range(6)], shared=([1],)))) == 1


def _threads(number: int) -> int:
    return torch.get_num_threads()


def test_torch_has_the_threads_of_the_worker_or_those_that_are_given(cluster: Cluster) -> None:
    before = torch.get_num_threads()
    try:
        assert set(cluster.in_order(_threads, [(k,) for k in range(3)])) == {2}
        assert set(cluster.in_order(_threads, [(k,) for k in range(3)], threads=1)) == {1}
    finally:
        torch.set_num_threads(before)


class _Alone:
    """Counts how many calls are made at once."""

    running = most = 0

    @classmethod
    def call(cls, number: int) -> None:
        cls.running += 1
        cls.most = max(cls.most, cls.running)
        time.sleep(0.01)
        cls.running -= 1


def test_calls_that_use_torch_have_a_worker_for_themselves(cluster: Cluster) -> None:
    list(cluster.in_order(_Alone.call, [(k,) for k in range(8)]))
    assert _Alone.most == 1
    list(cluster.as_ready(_Alone.call, [(k,) for k in range(8)]))
    assert _Alone.most == 2


def _refused(number: int) -> int:
    if number == 3:
        raise DataError("event 3: got nothing, expected something")
    return number


def _of_a_package(number: int) -> None:
    raise ModuleNotFoundError("No module named 'mine'")


def test_errors_come_through(cluster: Cluster) -> None:
    found = []
    with pytest.raises(DataError, match=r"^event 3: got nothing"):
        found += cluster.in_order(_refused, [(k,) for k in range(9)])
    with pytest.raises(DataError, match=r"^event 3: got nothing"):
        list(cluster.as_ready(_refused, [(k,) for k in range(9)]))
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(cluster.in_order(math.sqrt, [(-1.0,)]))
    with pytest.raises(ClusterError, match=r"dask: a worker could not .*\(ModuleNotFoundError: No"):
        list(cluster.in_order(_of_a_package, [(1,)]))


def test_workers_of_another_version_are_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(["0.0.1", "0.0.2"])  # of the one who submits, then of the worker
    monkeypatch.setattr(module, "_version", lambda: next(versions, "0.0.2"))
    with pytest.raises(ClusterError, match=r"a worker has pcgen 0\.0\.2, expected 0\.0\.1, as her"):
        list(cluster.as_ready(abs, [(1,)]))


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_one_line() -> None:
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as machines,
        connected(machines.scheduler_address) as cluster,
    ):
        results: Iterator[Any] = cluster.in_order(_slow_first, [(k % 2,) for k in range(50)])
        assert next(results) == 0
        machines.close()
        with pytest.raises(ClusterError, match="a scheduler that stays") as caught:
            list(results)
    assert "\n" not in str(caught.value)
