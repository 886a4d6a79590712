"""Worker processes that start from nothing, stay silent and never outlive their parent.

This module imports neither torch nor what stands on it, so that a worker starts at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

from pcgen.errors import ArgumentError, require

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
            with _silent():
                result = function(*given)
            yield number, result
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


def on_cluster(
    function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], scheduler: str
) -> Generator[tuple[int, T], None, None]:
    """As :func:`run`, on the workers of a Dask cluster, on which pcgen must be installed.

    Args:
        function: Importable by name.
        arguments: One tuple per call.
        scheduler: Address, ``tcp://10.0.0.1:8786`` say.

    Yields:
        Number of the call and its result, as they get ready.

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
            f"dask: got {scheduler!r}, expected the address of a scheduler that answers ({reason})"
        ) from error
    with client:
        futures = {
            client.submit(function, *given, pure=False): n for n, given in enumerate(arguments)
        }
        for future in distributed.as_completed(list(futures)):
            yield futures[future], future.result()


def in_order(
    function: Callable[..., T], arguments: Iterable[tuple[Any, ...]], processes: int
) -> Generator[T, None, None]:
    """Results of a function for each tuple of arguments, in their order.

    Workers are a few calls ahead of the reader and not more, so that memory does not grow with the
    number of calls.

    Args:
        function: Importable by name.
        arguments: One tuple per call, taken as they are needed.
        processes: Number of workers; 1 works in this process.
    """
    if processes <= 1:
        for given in arguments:
            yield function(*given)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start)
    waiting: deque[Future[T]] = deque()
    try:
        for given in arguments:
            waiting.append(pool.submit(function, *given))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _silent() -> Generator[None, None, None]:
    """Inside, what is written to the standard output is lost: libraries in C++ print banners."""
    sys.stdout.flush()
    kept = os.dup(1)
    _mute()
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _mute() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    _mute()
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
