"""``--dask``: two worker processes, one of them killed in the middle, and the same bytes."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcgen import cluster as module
from pcgen.datasets import showers, tracks
from pcgen.errors import ClusterError
from pcgen.io import CloudFile
from pcgen.metrics import nearest_clouds
from pcgen.metrics.scores import neighbours
from pcgen.tools import cli

distributed = pytest.importorskip("distributed", reason="the extra dask brings clusters")
pytestmark = pytest.mark.usefixtures("tiny_recipe")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Any]:
    """A cluster of two worker processes; one that dies is replaced."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
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


def both(path: Path, words: str, two_workers: Any) -> list[dict[str, bytes]]:
    """What a command writes into the folder by itself, and on the cluster."""
    files = []
    for more in ([], ["--dask", two_workers.scheduler_address]):
        assert cli.main([*words.split(), *more]) == 0
        files.append({f.name: f.read_bytes() for f in path.rglob("*") if f.is_file()})
        assert files[-1]
        for name in files[-1]:
            next(path.rglob(name)).unlink()
    return files


@pytest.mark.slow
@pytest.mark.parametrize(
    ("simulation", "words", "files"),
    [
        (showers, "showers OUT/a.hdf5 --number 60 --energy 1:20", 1),
        (tracks, "tracks OUT/a.h5 --number 60 --tracks 3 --dead 0.1", 2),  # hits, and the truth
    ],
    ids=["showers", "tracks"],
)
def test_a_simulation_survives_a_worker(
    simulation: Any, words: str, files: int, two_workers: Any, killed: list[int], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(simulation, "CHUNK", 3)
    words = f"simulate {words.replace('OUT', str(tmp_path))} --processes 1 --progress false"
    alone, shared = both(tmp_path, words, two_workers)
    assert len(killed) == 1
    assert alone == shared
    assert len(alone) == files


@pytest.mark.slow
def test_sampling_survives_a_worker(
    run: Path, two_workers: Any, killed: list[int], tmp_path: Path
) -> None:
    words = f"sample {run} {tmp_path}/a.h5 --number 100 --batch-size 8 --seed 3 --device cpu"
    alone, shared = both(tmp_path, f"{words} --recipe toy_recipes:tiny", two_workers)
    assert len(killed) == 1
    assert alone == shared


@pytest.fixture(scope="module")
def images(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of the jets; nobody writes into it."""
    file = tmp_path_factory.mktemp("images") / "images.npz"
    grid = ["--grid", "eta_rel:-0.4:0.4:9,phi_rel:-0.4:0.4:9:rad", "--outside", "drop"]
    assert cli.main(["convert", str(few), str(file), *grid]) == 0
    return file


@pytest.mark.slow
def test_converting_survives_a_worker(
    images: Path, two_workers: Any, killed: list[int], tmp_path: Path
) -> None:
    # Random numbers go on from block to block, wherever the blocks are read.
    words = f"convert {images} {tmp_path}/a.h5 --block 7 --jitter --seed 4 --max-points 3"
    alone, shared = both(tmp_path, words, two_workers)
    assert len(killed) == 1
    assert alone == shared


@pytest.mark.slow
def test_every_kind_of_target_is_the_same(
    few: Path, images: Path, two_workers: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    energy = tmp_path / "energy.npy"
    np.save(energy, np.linspace(1.0, 2.0, 200))
    for words in (
        f"{few} OUT/a.npz --grid eta_rel:-0.2:0.2:5,phi_rel:-0.2:0.2:5:rad --outside clip",
        f"{images} OUT/a.hdf5 --label g --threshold 1",  # counts the points first
        f"{images} OUT/a.npz --to arrays --condition E[GeV]={energy} --dtype float64",
        f"{few} OUT/event_%03d.ply --missing drop",
    ):
        command = f"convert {words.replace('OUT', str(tmp_path / 'out'))} --block 30"
        capsys.readouterr()
        alone, shared = both(tmp_path / "out", command, two_workers)
        assert alone == shared, words
        printed = capsys.readouterr().out.splitlines()
        assert printed[: len(printed) // 2] == printed[len(printed) // 2 :]


@pytest.mark.slow
def test_scores_over_all_pairs_survive_a_worker(
    few: Path, two_workers: Any, killed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (nearest_clouds, neighbours):
        monkeypatch.setattr(place, "SHARED", 60)
    words = f"evaluate {few} {few} --output {tmp_path}/out --split all --repeats 2 --subset 20"
    alone, shared = both(tmp_path / "out", f"{words} --permutations 25", two_workers)
    assert len(killed) == 1
    scores = {row["name"] for row in json.loads(alone["evaluation.json"])["few"]["scores"]}
    assert {"COV-CD", "MMD-CD", "1-NNA-CD", "COV-EMD", "MMD-EMD", "1-NNA-EMD"} <= scores
    for name in ("evaluation.json", "table.txt", "table.md", "table.tex"):
        assert alone[name] == shared[name]


@pytest.mark.slow
def test_work_that_kills_its_workers_ends_with_one_line(
    two_workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_workers.scheduler, "allowed_failures", 0)
    with (
        module.connected(two_workers.scheduler_address) as workers,
        pytest.raises(ClusterError, match=r"dask: a worker could not .* \(KilledWorker:") as caught,
    ):
        list(workers.in_order(os._exit, [(1,)]))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_cluster_of_this_machine(run: Path, tmp_path: Path) -> None:
    with module.connected("local:2") as workers:
        pids = set(workers.in_order(os.getpid, [()] * 8))
    assert os.getpid() not in pids
    words = f"sample {run} {tmp_path}/a.h5 --number 9 --recipe toy_recipes:tiny --dask local:1"
    assert cli.main(words.split()) == 0
    with CloudFile(tmp_path / "a.h5") as file:
        assert len(file) == 9
        # Where it was drawn is not part of what it is.
        assert "local:1" not in json.dumps(file.attrs)


COMMANDS = {
    "simulate showers": "OUT/a.h5 --number 2 --energy 1 --progress false",
    "sample": "RUN OUT/a.h5 --number 2",
    "convert": "FEW OUT/a.npz --to arrays",
    "evaluate": "FEW FEW --output OUT/a --split all --repeats 2 --subset 4 --permutations 0",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_dask_or_a_scheduler_there_is_one_line_and_no_file(
    command: str,
    run: Path,
    few: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    words = COMMANDS[command].replace("RUN", str(run)).replace("FEW", str(few))
    words = f"{command} {words.replace('OUT', str(tmp_path))} --dask"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for address in (f"tcp://127.0.0.1:{port}", "tcp://127.0.0.1:1", "nowhere", "local:none"):
            assert cli.main([*words.split(), address]) == 1
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith(f"pcgen: dask: got '{address}', expected local"), line
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        assert cli.main([*words.split(), "tcp://127.0.0.1:1"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "pcgen's extra 'dask'" in line
    assert list(tmp_path.iterdir()) == []
