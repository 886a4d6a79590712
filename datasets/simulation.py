"""Simulation in chunks: many processes, any time interrupted, always the same events.

The work is cut into chunks of events of one kind. A chunk is a pure function of its arguments, a
seed among them, so it does not matter which process generates it and when. A finished chunk is
written at once to the folder ``<output>.parts``; what lies there already is not generated again.
The output is written from all chunks, and states in its attributes what it depends on.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pcgen.bounds import EVENTS, PROCESSES
from pcgen.cluster import connected
from pcgen.datasets.workers import run
from pcgen.errors import ArgumentError, FileError, PcgenError
from pcgen.io import atomic, open_file

_RECORD = "settings.json"
_POINTS = 2_000_000  # of a chunk, which takes some hundred MB to generate
_CHUNKS = 10**6  # files in the folder of a simulation
Events = TypeVar("Events", bound=NamedTuple)


@dataclass(frozen=True)
class Chunk:
    """One piece of work.

    Attributes:
        name: Of its kind of events: a class of jets, a particle.
        index: Number of the chunk within its kind.
        number: Number of events.
        arguments: Of the function that generates them.
    """

    name: str
    index: int
    number: int
    arguments: tuple[Any, ...]

    def path(self, folder: Path) -> Path:
        """Where its events are kept."""
        return folder / f"{self.name}-{self.index:06d}.npz"


class Workers(NamedTuple):
    """Who does the work; the events do not depend on it.

    Attributes:
        processes: Number of worker processes; 1 works in this process.
        dask: Address of a Dask scheduler, whose workers do it instead
            (:func:`pcgen.cluster.connected`).
        progress: Whether to draw a progress bar on the standard error stream.
    """

    processes: int = 1
    dask: str | None = None
    progress: bool = True


class Output(NamedTuple):
    """A file that is written from chunks.

    Attributes:
        path: Of the file.
        record: What its events depend on; the file has it as its attribute ``simulation``.
        write: Called with the folder of the chunks; writes the file.
    """

    path: Path
    record: Mapping[str, Any]
    write: Callable[[Path], None]


def simulated(
    outputs: Sequence[Output],
    function: Callable[..., Any],
    chunks: Sequence[Chunk],
    *,
    what: str,
    workers: Workers,
) -> None:
    """Generate files from chunks, those that are not there.

    Args:
        outputs: The files; the chunks depend on the record of the first one and lie beside it.
        function: Generates a chunk, a named tuple of arrays; importable by name.
        chunks: All of them.
        what: The events in the plural, for the progress bar.
        workers: Who does it.

    Raises:
        FileError: the output cannot be written or holds other data.
        MissingExtraError: a scheduler is given and Dask is not installed.
    """
    first = outputs[0]
    parts = first.path.with_name(f"{first.path.name}.parts")
    missing = [output for output in outputs if not _complete(output)]
    if missing:
        produce(chunks, function, parts, first.record, what=what, workers=workers)
    for output in missing:
        output.write(parts)
    shutil.rmtree(parts, ignore_errors=True)


def check(
    output: Path, endings: Sequence[str], *, number: int, seed: int, workers: Workers, what: str
) -> None:
    """Refuse what no simulation can do.

    Raises:
        ArgumentError: naming the argument.
    """
    if output.suffix not in endings:
        raise ArgumentError(
            f"output: got {str(output)!r}, expected a name that ends in {' or '.join(endings)}"
        )
    EVENTS._replace(kind=what).allow(number=number)
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed: got {seed}, expected an integer from 0 to 2**32 - 1")
    PROCESSES.allow(processes=workers.processes)


def pieces(number: int, most: int, points: float = 0) -> Iterator[tuple[int, int, int]]:
    """Number, first event and events of each chunk.

    Args:
        number: Events in all.
        most: Of a chunk.
        points: Of an event; where it has many, a chunk has fewer events, so that memory is bounded.

    Raises:
        ArgumentError: there would be too many chunks.

    >>> list(pieces(5, 2)), list(pieces(3, 500, points=10**6))
    ([(0, 0, 2), (1, 2, 2), (2, 4, 1)], [(0, 0, 2), (1, 2, 1)])
    """
    size = max(1, min(most, int(_POINTS // max(points, 1))))
    if number > _CHUNKS * size:
        raise ArgumentError(
            f"number: got {number} events in all, of about {points:.0f} points, expected at most "
            f"{_CHUNKS * size} of these"
        )
    for k, first in enumerate(range(0, number, size)):
        yield k, first, min(size, number - first)


def produce(
    chunks: Sequence[Chunk],
    function: Callable[..., Any],
    folder: Path,
    record: Mapping[str, Any],
    *,
    what: str,
    workers: Workers,
) -> None:
    """Generate the chunks that the folder does not hold yet; arguments as in :func:`simulated`.

    Args:
        chunks: All of them.
        function: Generates a chunk.
        folder: Where they are kept; created where it is missing.
        record: What makes this simulation what it is; kept beside the chunks.
        what: The events in the plural.
        workers: Who does it.

    Raises:
        FileError: the folder cannot be written or holds chunks of another simulation.
    """
    with ExitStack() as stack:
        # A cluster that does not answer leaves nothing behind.
        cluster = None if workers.dask is None else stack.enter_context(connected(workers.dask))
        stack.enter_context(_claimed(folder, record))
        missing = [chunk for chunk in chunks if not chunk.path(folder).exists()]
        calls = [chunk.arguments for chunk in missing]
        if cluster is None:
            results = run(function, calls, workers.processes)
        else:
            results = cluster.as_ready(function, calls)
        stack.enter_context(closing(results))
        total, left = sum(chunk.number for chunk in chunks), sum(chunk.number for chunk in missing)
        bar = stack.enter_context(_progress(workers.progress))
        task = bar.add_task(f"simulating {what}", total=total, completed=total - left)
        for number, events in results:
            with atomic(missing[number].path(folder)) as temporary:
                np.savez(temporary, **events._asdict())
            bar.advance(task, missing[number].number)


def _progress(shown: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not shown)


def load(chunk: Chunk, folder: Path, kind: Callable[..., Events]) -> Events:
    """The events of a chunk that was generated before.

    Args:
        chunk: Which.
        folder: Where it is kept.
        kind: The named tuple that it is.

    Raises:
        FileError: the file is damaged.
    """
    path = chunk.path(folder)
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return kind(**arrays)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FileError(
            f"{path}: damaged ({error}), delete it and run the simulation again"
        ) from error


@contextmanager
def _claimed(folder: Path, record: Mapping[str, Any]) -> Iterator[None]:
    """The folder is that of this simulation; a new one goes away where no chunk is finished."""
    text, made = json.dumps(record, indent=2) + "\n", not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        kept = (folder / _RECORD).read_text() if (folder / _RECORD).exists() else None
    except OSError as error:
        raise FileError(
            f"{folder}: cannot be written ({error.strerror}), expected a folder with space"
        ) from error
    if kept is not None and kept != text:
        raise FileError(
            f"{folder}: holds the unfinished simulation of other settings (see {_RECORD} there), "
            "give those to finish it, delete the folder or choose another output"
        )
    try:
        if kept is None:
            with atomic(folder / _RECORD) as temporary:
                temporary.write_text(text)
        yield
    except BaseException:
        if made and not any(folder.glob("*.npz")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _complete(output: Output) -> bool:
    """Whether the output is there already; anything else under its name is an error."""
    path, record, _ = output
    if not path.exists():
        return False
    try:
        with open_file(path) as file:
            same = file.attrs.get("simulation") == record
    except PcgenError:
        same = False
    if not same:
        raise FileError(f"{path}: holds other data, delete it or choose another output")
    return True
