"""Two processes under torchrun, as on two machines, and under SLURM: one model, exactly resumed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from toy_runs import differences, last

from pcgen.datasets.jets import sample_jets
from pcgen.io import JETS, write_clouds

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
TORCHRUN = str(Path(sys.executable).with_name("torchrun"))
STEPS = 6
FAST = (
    "--batch-size 8 --max-points 8 --validate-events 16 --validate-every 3 --checkpoint-every 3 "
    "--log-every 1 --samples 0 --schedule constant --accelerator cpu --progress false "
    "--strategy ddp --seed 5"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 200 jets; nobody writes into it."""
    file = tmp_path_factory.mktemp("data") / "few.h5"
    write_clouds(file, sample_jets("all", max_points=8).read(0, 200), JETS)
    return file


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that torchrun has started."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    by_torchrun(run, data, STEPS)
    return run


def words(run: Path, data: Path, steps: int, machine: str) -> list[str]:
    """Arguments of ``python -m``."""
    line = f"pcgen.tools train toy_ranks:recorded --data {data} --output {run} --steps {steps}"
    return [*line.split(), *FAST.split(), *machine.split()]


def finish(run: Path, commands: list[list[str]], more: list[dict[str, str]]) -> None:
    """Run commands side by side, with these environments; all of them succeed."""
    ranks = run.with_name(f"{run.name}-ranks")
    ranks.mkdir(exist_ok=True)
    kept = {n: v for n, v in os.environ.items() if not n.startswith("SLURM")}
    path = os.pathsep.join([str(TESTS), *filter(None, [kept.get("PYTHONPATH")])])
    shared = {**kept, "PYTHONPATH": path, "RANKS": str(ranks), "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command, env={**shared, **own}, stderr=subprocess.PIPE, text=True)
        for command, own in zip(commands, more, strict=True)
    ]
    try:
        errors = [process.communicate(timeout=600)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * len(running), errors


def by_torchrun(run: Path, data: Path, steps: int) -> None:
    start = [TORCHRUN, "--standalone", "--nproc-per-node", "2", "-m"]
    finish(run, [[*start, *words(run, data, steps, "--devices 2")]], [{}])


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def check(run: Path, whole: Path) -> None:
    """The two processes held one model and saw different events; the run ends as the other."""
    first, second = (
        [
            line.split()
            for line in (run.with_name(f"{run.name}-ranks") / f"{k}.txt").read_text().splitlines()
        ]
        for k in (0, 1)
    )
    assert len(first) == len(second) == STEPS
    assert [parameters for parameters, _ in first] == [parameters for parameters, _ in second]
    assert len({parameters for parameters, _ in first}) == STEPS
    assert all(ours != theirs for (_, ours), (_, theirs) in zip(first, second, strict=True))
    one, other = last(whole), last(run)
    assert one.step == other.step == STEPS
    for part in ("model", "phases", "random"):
        assert list(differences(getattr(one, part), getattr(other, part))) == [], part


def test_a_run_of_torchrun_is_resumed_exactly(data: Path, whole: Path, tmp_path: Path) -> None:
    by_torchrun(tmp_path / "pieces", data, 3)
    assert last(tmp_path / "pieces").step == 3
    by_torchrun(tmp_path / "pieces", data, STEPS)
    check(tmp_path / "pieces", whole)
    check(whole, whole)


def test_two_machines_train_as_two_processes_of_one(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    start = [TORCHRUN, "--nnodes", "2", "--nproc-per-node", "1"]
    start += ["--master-addr", "127.0.0.1", "--master-port", free_port()]
    commands = [
        [*start, "--node-rank", str(k), "-m", *words(run, data, STEPS, "--devices 1 --nodes 2")]
        for k in (0, 1)
    ]
    finish(run, commands, [{}, {}])
    check(run, whole)


def test_processes_of_srun_find_each_other(data: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", *words(run, data, STEPS, "--devices 1 --nodes 2")]
    job = {
        "SLURM_JOB_ID": "1",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NNODES": "2",
        "SLURM_STEP_NODELIST": "127.0.0.1",
        "SLURM_NODELIST": "127.0.0.1",
        "MASTER_PORT": free_port(),
    }
    tasks = [{"SLURM_PROCID": str(k), "SLURM_NODEID": str(k), "SLURM_LOCALID": "0"} for k in (0, 1)]
    finish(run, [command] * 2, [{**job, **task} for task in tasks])
    check(run, whole)
