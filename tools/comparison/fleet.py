"""Many rows, each in a process of its own, some at a time; none is done twice."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pcgen.tools.comparison import cluster, worker
from pcgen.tools.comparison.worker import Job

_WAIT = 0.2  # seconds between looks at the processes


def run(
    jobs: Sequence[Job], *, processes: int, scheduler: str | None = None, progress: bool = True
) -> None:
    """Do the rows that have no result yet.

    Args:
        jobs: Rows; their folder is seen by all machines that take part.
        processes: Rows at a time on this machine.
        scheduler: Address of a Dask scheduler, whose workers do the rows instead.
        progress: Draw a progress bar on the standard error stream.

    Raises:
        MissingExtraError: a scheduler is given and Dask is not installed.
        ArgumentError: the scheduler does not answer.
    """
    left = [job for job in jobs if not job.result.exists()]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    # Rows take long and differ: the remaining time needs more than the last seconds.
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not progress,
        speed_estimate_period=7200,
    ) as bar:  # fmt: skip
        task = bar.add_task("rows", total=len(jobs), completed=len(jobs) - len(left))
        done = _here(left, processes) if scheduler is None else cluster.run(left, scheduler)
        for job in done:
            bar.update(task, advance=1, description=job.row.name)


def _here(jobs: Sequence[Job], processes: int) -> Iterator[Job]:
    """Rows as they get ready; processes end with this one, whatever ends it."""
    waiting, running = list(jobs), list[tuple[Job, subprocess.Popen[bytes]]]()
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.pop(0)
                running.append((job, worker.start(job)))
            for job, process in [each for each in running if each[1].poll() is not None]:
                running.remove((job, process))
                worker.finish(job, process)
                yield job
            time.sleep(_WAIT)
    finally:
        for _, process in running:
            process.kill()
            process.wait()
