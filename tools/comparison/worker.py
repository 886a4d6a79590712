"""One row in a process of its own: its memory, its threads, its crash.

``python -m pcgen.tools.comparison.worker`` reads a pickled :class:`Job` from its standard input,
which stays open: where it is closed, the parent is gone, and so is the row.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcgen.io.atomic import atomic
from pcgen.tools.comparison.rows import Row
from pcgen.tools.comparison.study import Study

Run = Callable[[Row, Study, Path], dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """A row to be done.

    Attributes:
        row: What.
        study: The settings that all rows share.
        folder: Of the comparison.
        run: Function that does it; importable by name.
    """

    row: Row
    study: Study
    folder: Path
    run: Run

    @property
    def result(self) -> Path:
        """The row is done where this file exists."""
        return self.folder / "rows" / f"{self.row.name}.json"


def work(job: Job) -> None:
    """Do a row in this process; whatever goes wrong becomes its result."""
    try:
        found = job.run(job.row, job.study, job.folder / "runs" / job.row.name)
    except Exception as error:  # a row that crashes must not take the others with it
        traceback.print_exc()
        reason = " ".join(str(error).split())
        found = {"status": "failed", "reason": f"{type(error).__name__}: {reason}"}
    store(job, found)


def store(job: Job, found: dict[str, Any]) -> None:
    """Write the result of a row; numbers that are not finite become null."""
    with atomic(job.result) as temporary:
        content = json.dumps(_plain({**job.row.to_dict(), **found}), indent=1)
        temporary.write_text(content + "\n", encoding="utf-8")


def start(job: Job) -> subprocess.Popen[bytes]:
    """A process that does the row, with one thread; its messages go to a log beside the run."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environment = {**os.environ, **threads, "PYTHONPATH": paths}
    command = [sys.executable, "-m", "pcgen.tools.comparison.worker"]
    log = job.folder / "runs" / f"{job.row.name}.log"
    with log.open("ab") as file:
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
        log = job.folder / "runs" / f"{job.row.name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines and status > 0 else ""
        store(job, {"status": "failed", "reason": f"its process ended with {status}{last}"})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _follow_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Do the row that the standard input gives."""
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
