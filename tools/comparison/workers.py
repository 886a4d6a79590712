"""Rows in processes of their own, on this machine or on the workers of a Dask cluster.

A row has its memory, its threads and its crash for itself: ``python -m
pcgen.tools.comparison.workers`` reads a pickled :class:`Job` from its standard input, which stays
open: where it is closed, the parent is gone, and so is the row. What it has learnt by then is in
its checkpoints, and the next process that is given the row goes on from there.

A worker of Dask starts such a process for each row, and sees the folder of the comparison under the
same path. Dask gives the row of a worker that is lost to another one.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pcgen.cluster import connected
from pcgen.tools.comparison.folder import write_json
from pcgen.tools.comparison.study import Row, use_modules

_WAIT = 0.2  # seconds between looks at the processes


@dataclass(frozen=True)
class Job:
    """A row to be done.

    Attributes:
        row: What.
        files: Its events.
        digests: Of the files that the study names.
        folder: Of the comparison.
        home: Of the study, whose modules the row may name.
    """

    row: Row
    files: tuple[str, ...]
    digests: tuple[str, ...]
    folder: Path
    home: Path

    @property
    def result(self) -> Path:
        """The row is done where this file exists."""
        return self.folder / "rows" / f"{self.row.name}.json"

    @property
    def run(self) -> Path:
        """The run of the row."""
        return self.folder / "runs" / self.row.name

    @property
    def log(self) -> Path:
        """What the process of the row prints."""
        return self.run.with_name(f"{self.row.name}.log")


def run(
    jobs: Sequence[Job], *, processes: int, dask: str | None = None, progress: bool = True
) -> None:
    """Do the rows that have no result yet.

    Args:
        jobs: Rows; their folder is seen by all machines that take part.
        processes: Rows at a time on this machine.
        dask: Address of a Dask scheduler, whose workers do the rows instead; or ``local:N``.
        progress: Draw a progress bar on the standard error stream.

    Raises:
        MissingExtraError: a cluster is given and Dask is not installed.
        ArgumentError: its scheduler does not answer.
        ClusterError: a row has lost several workers.
    """
    left = [job for job in jobs if not job.result.exists()]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # Rows take long and differ: the remaining time needs more than the last seconds.
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not progress,
        speed_estimate_period=7200,
    ) as bar:  # fmt: skip
        task = bar.add_task("rows", total=len(jobs), completed=len(jobs) - len(left))
        done = _here(left, processes) if dask is None else _on_dask(left, dask)
        for job in done:
            bar.update(task, advance=1, description=job.row.name)


def _here(jobs: Sequence[Job], processes: int) -> Iterator[Job]:
    """Rows as they get ready; processes end with this one, whatever ends it."""
    waiting, running = list(jobs), list[tuple[Job, subprocess.Popen[bytes]]]()
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.pop(0)
                running.append((job, start(job)))
            for job, process in [each for each in running if each[1].poll() is not None]:
                running.remove((job, process))
                finish(job, process)
                yield job
            time.sleep(_WAIT)
    finally:
        for _, process in running:
            process.kill()
            process.wait()


def _on_dask(jobs: Sequence[Job], address: str) -> Iterator[Job]:
    """Rows as they get ready on the workers of a cluster."""
    with connected(address) as cluster:
        for number, _ in cluster.as_ready(one, [(job,) for job in jobs]):
            yield jobs[number]


def one(job: Job) -> None:
    """A row on a worker of Dask, in a fresh process."""
    if not job.result.exists():
        finish(job, start(job))


def start(job: Job) -> subprocess.Popen[bytes]:
    """A process that does the row, with one thread; its messages go to a log beside the run."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environment = {**os.environ, **threads, "PYTHONPATH": paths}
    command = [sys.executable, "-m", "pcgen.tools.comparison.workers"]
    with job.log.open("ab") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment
        )
    assert process.stdin is not None
    try:
        pickle.dump(job, process.stdin)
        process.stdin.flush()
    except BrokenPipeError:  # it has died already, which its exit status shows
        pass
    return process


def finish(job: Job, process: subprocess.Popen[bytes]) -> None:
    """Wait for the process of a row, and note that it has failed where there is no result."""
    status = process.wait()
    if process.stdin is not None:
        process.stdin.close()
    if not job.result.exists():
        lines = job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines and status > 0 else ""
        store(job, {"status": "failed", "reason": f"its process ended with {status}{last}"})


def work(job: Job) -> None:
    """Do a row in this process; whatever goes wrong becomes its result."""
    from pcgen.tools.comparison import trial

    try:
        use_modules(job.home)
        found = trial.run(job.row, job.files, job.digests, job.run)
    except Exception as error:  # a row that crashes must not take the others with it
        traceback.print_exc()
        reason = " ".join(str(error).split())
        found = {"status": "failed", "reason": f"{type(error).__name__}: {reason}"}
    store(job, found)


def store(job: Job, found: dict[str, Any]) -> None:
    """Write the result of a row; numbers that are not finite become null."""
    row = {**job.row.factors, "seed": job.row.seed}
    values = {**row, **found, "settings": job.row.settings(job.digests)}
    write_json(job.result, plain(values))


def plain(value: Any) -> Any:
    """What JSON has a word for; numbers that are not finite are null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _follow_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Do the row that the standard input holds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    job = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_follow_parent, daemon=True).start()
    work(job)
    # The thread that waits for the parent holds the standard input.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
