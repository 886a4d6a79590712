"""``--dask``: two worker processes, one of them killed in the middle, and the same bytes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pcgen import cluster as module
from pcgen.tools import cli

distributed = pytest.importorskip("distributed", reason="the extra dask brings clusters")
pytestmark = pytest.mark.usefixtures("tiny_recipe")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Any]:
    """A cluster of two worker processes; one that dies is replaced."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


@pytest.fixture
def killed(two_workers: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Once the first result is there, a worker that is at work is killed; which ones were."""
    done: list[int] = []
    take: Callable[[Any], Any] = module._result

    with distributed.Client(two_workers, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        processes = client.run(os.getpid)

        def result(future: Any) -> Any:
            value = take(future)
            busy = [address for address, tasks in client.processing().items() if tasks]
            if busy and not done:
                done.append(processes[busy[0]])
                os.kill(done[0], signal.SIGKILL)
            return value

        monkeypatch.setattr(module, "_result", result)
        yield done


def call(*words: str) -> None:
    assert cli.main(list(words)) == 0


def test_sampling_survives_a_worker(
    run: Path, few: Path, two_workers: Any, killed: list[int], tmp_path: Path
) -> None:
    words = ["sample", str(run), "a.h5", "--number", "100", "--batch-size", "8", "--seed", "3"]
    words += ["--recipe", "toy_recipes:tiny", "--device", "cpu"]
    files = []
    for more in ([], ["--dask", two_workers.scheduler_address]):
        call(*words[:2], str(tmp_path / "a.h5"), *words[3:], *more)
        files.append((tmp_path / "a.h5").read_bytes())
    assert len(killed) == 1
    assert files[0] == files[1]
