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


def in_order(
    function: Callable[..., T],
    arguments: Iterable[tuple[Any, ...]],
    processes: int,
    *,
    shared: tuple[Any, ...] = (),
) -> Generator[T, None, None]:
    """Results of ``function(*shared, *arguments)`` for each tuple of arguments, in their order.

    Workers are a few calls ahead of the reader and not more, so that memory does not grow with the
    number of calls. :meth:`pcgen.cluster.Cluster.in_order` does the same on many machines.

    Args:
        function: Importable by name.
        arguments: One tuple per call, taken as they are needed.
        processes: Number of workers; 1 works in this process.
        shared: Sent to each worker once, and the same objects in all of its calls.
    """
    if processes <= 1:
        for given in arguments:
            yield function(*shared, *given)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, spawn, initializer=_start, initargs=shared)
    waiting: deque[Future[T]] = deque()
    try:
        for given in arguments:
            waiting.append(pool.submit(_call, function, *given))
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


_shared: tuple[Any, ...] = ()


def _call(function: Callable[..., T], *given: Any) -> T:
    return function(*_shared, *given)


def _start(*shared: Any) -> None:
    global _shared
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    _mute()
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
