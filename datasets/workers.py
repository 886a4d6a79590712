"""Worker processes that start from nothing, stay silent and never outlive their parent.

This module imports neither torch nor the rest of pcgen, so that a worker starts at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

T = TypeVar("T")


def run(
    function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], processes: int
) -> Generator[tuple[int, T], None, None]:
    """Call a function for each tuple of arguments, in worker processes.

    Args:
        function: Importable by name; it should need nothing that is slow to import.
        arguments: One tuple per call.
        processes: Number of workers; 1 works in this process.

    Yields:
        Number of the call and its result, as they get ready.
    """
    processes = min(processes, len(arguments))
    if processes <= 1:
        for number, given in enumerate(arguments):
            yield number, function(*given)
        return
    # Spawned, not forked: a fork would copy torch's threads in whatever state they are.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start)
    try:
        futures = {pool.submit(function, *given): n for n, given in enumerate(arguments)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries in C++ print banners there
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
