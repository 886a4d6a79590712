"""Work on the workers of a Dask cluster: a scheduler of the user's, or processes of this machine.

Whatever is given to a cluster is a pure function of its arguments, so it does not matter which
worker calls it and when, nor whether a worker dies over it and another one calls it again: results
are those of one process. Workers (and the scheduler) have the same version of pcgen and see files
under the same paths; only this process writes.

The one module that imports Dask, and only where there is a cluster. It imports no torch.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from pcgen.errors import ArgumentError, ClusterError, PcgenError, require

T = TypeVar("T")

LOCAL = "local"
"""The address of worker processes on this machine; ``local:4`` are four."""
TIMEOUT = 10.0
"""Seconds in which a scheduler must answer."""
AHEAD = 2
"""Calls per thread of the workers that are handed out before their results have been taken."""

_alone = threading.Lock()


class Cluster:
    """The workers of a Dask client, as functions are called on them.

    Args:
        client: A ``distributed.Client``.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def as_ready(
        self, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]
    ) -> Generator[tuple[int, T], None, None]:
        """Call a function for each tuple of arguments; several at once in a worker.

        Args:
            function: Importable by name, and not in need of torch.
            arguments: One tuple per call.

        Yields:
            Number of the call and its result, as they get ready.

        Raises:
            ClusterError: a worker cannot do the work.
        """
        distributed = require("distributed", "dask")
        calls, running = iter(enumerate(arguments)), dict[Any, int]()
        ready = distributed.as_completed(loop=self.client.loop)

        def more() -> None:
            for number, given in calls:
                future = self._submit(_call, function, *given)
                running[future] = number
                ready.add(future)
                if len(running) >= self._ahead():
                    return

        try:
            more()
            for future in ready:
                result = _result(future)
                yield running.pop(future), result
                del future  # the worker need not keep it
                more()
        finally:
            self._cancel(running)

    def in_order(
        self,
        function: Callable[..., T],
        arguments: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
        threads: int | None = None,
    ) -> Generator[T, None, None]:
        """Results of ``function(*shared, *arguments)`` for each tuple of arguments, in their order.

        Workers are a few calls ahead of the reader and not more, so that memory does not grow with
        the number of calls.

        Args:
            function: Importable by name.
            arguments: One tuple per call, taken as they are needed.
            shared: Sent to each worker once, and the same objects in all of its calls.
            threads: Of torch in a worker, which makes one call at a time; None: as many as the
                worker has.

        Raises:
            ClusterError: a worker cannot do the work.
        """
        # A result of the cluster, not data that were sent to it: it is made again where a worker
        # that held it dies.
        held = self._submit(_tuple, *shared)
        waiting: deque[Any] = deque()
        try:
            for given in arguments:
                waiting.append(self._submit(_call_alone, held, threads, function, *given))
                if len(waiting) > self._ahead():
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            self._cancel([held, *waiting])

    def _submit(self, call: Callable[..., Any], *given: Any) -> Any:
        with warnings.catch_warnings():
            # Large arguments: clouds go to a cluster once, in `shared`.
            warnings.simplefilter("ignore")
            return self.client.submit(call, _version(), *given, pure=False)

    def _ahead(self) -> int:
        """Calls that are handed out at a time; workers come and go."""
        with _one_line():
            return AHEAD * max(1, sum(self.client.nthreads().values()))

    def _cancel(self, futures: Iterable[Any]) -> None:
        left = list(futures)
        if left and self.client.status == "running":
            self.client.cancel(left)


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """A cluster, while the ``with`` statement lasts.

    Args:
        address: Of a scheduler, ``tcp://10.0.0.1:8786`` say; or ``local``, worker processes on this
            machine, one for each core, or ``local:N``.

    Raises:
        MissingExtraError: Dask is not installed.
        ArgumentError: the address is none, or no scheduler answers there.
    """
    distributed = require("distributed", "dask")
    with ExitStack() as stack:
        where: Any = address
        if address.partition(":")[0] == LOCAL:
            where = stack.enter_context(_local(distributed, address))
        try:
            if where is address:
                with ThreadPoolExecutor(
                    1
                ) as thread:  # a notebook has a loop of its own in this one
                    thread.submit(asyncio.run, _answer(distributed, address)).result()
            client = distributed.Client(where, timeout=TIMEOUT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ArgumentError(
                f"dask: got {address!r}, expected local, local:N or the address of a scheduler "
                f"that answers ({reason})"
            ) from error
        stack.enter_context(client)
        yield Cluster(client)


async def _answer(distributed: Any, address: str) -> None:
    """Wait until a scheduler answers: a client that gets no answer prints more than its error."""
    secret = distributed.Security().get_connection_args("client")
    connecting = distributed.comm.connect(address, timeout=TIMEOUT, **secret)
    try:
        comm = await asyncio.wait_for(connecting, TIMEOUT + 1)
    except asyncio.TimeoutError as error:  # something listens there and says nothing
        raise OSError(f"no answer within {TIMEOUT:g} s") from error
    await comm.close()


def _local(distributed: Any, address: str) -> Any:
    """Worker processes of one thread each."""
    number = address.partition(":")[2]
    if address != LOCAL and not (number.isdecimal() and int(number) > 0):
        raise ArgumentError(
            f"dask: got {address!r}, expected {LOCAL}:N with a number of worker processes N"
        )
    return distributed.LocalCluster(
        n_workers=int(number) if number else None,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        # Libraries in C++ print banners; what workers have to report is on the error stream.
        preload="import os\nos.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n",
    )


def _result(future: Any) -> Any:
    """What a call has returned or raised."""
    with _one_line():
        return future.result()


@contextmanager
def _one_line() -> Iterator[None]:
    """What goes wrong with a cluster is one line."""
    killed = require("distributed", "dask").KilledWorker
    try:
        yield
    except PcgenError:
        raise
    except (killed, CancelledError, ImportError, OSError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ClusterError(
            "dask: a worker could not do its part of the work, expected workers with enough memory "
            f"and pcgen {_version()}, and a scheduler that stays ({reason})"
        ) from error


def _version() -> str:
    """Of pcgen; this module stands below everything that the package itself names."""
    version: str = importlib.import_module("pcgen").__version__
    return version


def _tuple(version: str, *values: Any) -> tuple[Any, ...]:
    return values


def _call(version: str, function: Callable[..., T], *given: Any) -> T:
    """In a worker: a call, refused by another version of pcgen, which may have other results."""
    if version != _version():
        raise ClusterError(f"dask: a worker has pcgen {_version()}, expected {version}, as here")
    return function(*given)


def _call_alone(
    version: str,
    shared: tuple[Any, ...],
    threads: int | None,
    function: Callable[..., T],
    *given: Any,
) -> T:
    """In a worker: a call that has all threads of torch; the worker's others wait for it."""
    import torch

    if threads is None:
        worker = require("distributed", "dask").get_worker()
        threads = int(worker.state.nthreads)
    with _alone:
        torch.set_num_threads(threads)
        return _call(version, function, *shared, *given)
