"""Spread compiled work that holds no Python lock over the cores.

Numba's own parallel loops are not used: its portable thread pool must not be entered from two
Python threads, and its OpenMP one ends a process that was forked, as workers of a data loader are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

SMALL = 300_000
"""Work that is done before another thread has been woken up: pairs of points looked at."""
SHARES = 4
"""Ranges for each thread: they even out work that was foretold wrongly."""


def run(kernel: Callable[[int, int], None], work: NDArray[Any]) -> None:
    """Call ``kernel(first, last)`` on consecutive ranges of items that cover all of them.

    The ranges are of equal work. The caller and as many helpers as make up torch's number of
    threads (``torch.set_num_threads``) take one after the other, so that a helper who comes late,
    on a busy machine, is not waited for.

    Args:
        kernel: Releases the GIL; its ranges are independent of each other.
        work: Relative cost of each item, about the number of pairs it looks at.
    """
    if len(work) == 0:
        return
    until = np.cumsum(work)
    workers = min(torch.get_num_threads(), int(until[-1]) // SMALL + 1)
    if workers == 1:
        kernel(0, len(work))
        return
    shares = until[-1] * np.arange(1, SHARES * workers) / (SHARES * workers)
    bounds = [0, *np.searchsorted(until, shares).tolist(), len(work)]
    ranges = iter(list(pairwise(bounds)))

    def take() -> None:
        for first, last in ranges:  # each of them goes to one thread
            kernel(first, last)

    pool = _pool(os.getpid(), workers - 1)
    helpers = [pool.submit(take) for _ in range(workers - 1)]
    take()
    for helper in helpers:
        if not helper.cancel():  # it has begun
            helper.result()


def run_torch(kernel: Callable[[int, int], None], work: NDArray[Any]) -> None:
    """:func:`run` for a kernel of many small torch calls, each of which then has one thread.

    torch's own threads meet after every call, which on a busy machine costs more than the call.
    Gradients are not recorded.
    """

    def alone(first: int, last: int) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.no_grad():
                kernel(first, last)
        finally:
            torch.set_num_threads(threads)

    run(alone, work)


@lru_cache(maxsize=8)
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    """One pool per process: a forked one inherits the object but not the threads."""
    return ThreadPoolExecutor(workers, thread_name_prefix="pcgen")
