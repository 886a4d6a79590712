"""Rows on the workers of a Dask cluster; the one module that imports Dask.

A worker gives each row a process of its own, as on one machine, and needs to see the folder of the
comparison under the same path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pcgen.errors import ArgumentError, require
from pcgen.tools.comparison import worker
from pcgen.tools.comparison.worker import Job


def run(jobs: Sequence[Job], scheduler: str) -> Iterator[Job]:
    """Rows as they get ready.

    Args:
        jobs: Rows that have no result yet.
        scheduler: Address, ``tcp://10.0.0.1:8786`` say.

    Raises:
        MissingExtraError: Dask is not installed.
        ArgumentError: the scheduler does not answer.
    """
    distributed = require("distributed", "dask")
    try:
        client = distributed.Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ArgumentError(
            f"scheduler: got {scheduler!r}, expected the address of one that answers ({reason})"
        ) from error
    with client:
        # A row may crash its process for good: it must not be tried again and again.
        futures = {client.submit(one, job, pure=False, retries=0): job for job in jobs}
        for future in distributed.as_completed(list(futures)):
            job = futures[future]
            if future.status != "finished":
                worker.store(job, {"status": "failed", "reason": str(future.exception())})
            yield job


def one(job: Job) -> None:
    """A row on a worker, in a fresh process."""
    if not job.result.exists():
        worker.finish(job, worker.start(job))
