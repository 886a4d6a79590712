"""Simulation in chunks: many processes, any time interrupted, always the same jets.

The work is cut into chunks of :data:`CHUNK` jets of one class. A chunk is a pure function of the
settings, the seed, the class and its number, so it does not matter which process makes it and when.
A finished chunk is written at once to the folder ``<output>.parts``; what lies there already is not
made again.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pcgen.datasets.pythia import PROCESSES, SEEDS, Jets, JetSettings, generate
from pcgen.datasets.workers import run
from pcgen.errors import FileError
from pcgen.io import atomic

CHUNK = 500  #: jets of a chunk, some seconds of work
_RECORD = "settings.json"


@dataclass(frozen=True)
class Chunk:
    """One piece of work.

    Attributes:
        name: Class of the jets.
        index: Number of the chunk within its class.
        number: Number of jets, :data:`CHUNK` but for the last one.
        seed: Seed of Pythia; those of the chunks of one class are all different.
    """

    name: str
    index: int
    number: int
    seed: int

    def path(self, folder: Path) -> Path:
        """Where its jets are kept."""
        return folder / f"{self.name}-{self.index:06d}.npz"


def plan(classes: Sequence[str], number: int, seed: int) -> list[list[Chunk]]:
    """Rounds of chunks: round k holds chunk k of every class.

    Args:
        classes: Names of the classes.
        number: Jets of each class.
        seed: Seed of the whole simulation.
    """
    first = {}
    for name in classes:
        state = np.random.SeedSequence((seed, list(PROCESSES).index(name)))
        first[name] = int(state.generate_state(1, np.uint64)[0] % SEEDS)
    return [
        [
            Chunk(name, k, min(CHUNK, number - k * CHUNK), (first[name] + k) % SEEDS + 1)
            for name in classes
        ]
        for k in range(-(-number // CHUNK))
    ]


def produce(
    chunks: Sequence[Chunk],
    settings: JetSettings,
    folder: Path,
    record: Mapping[str, Any],
    *,
    processes: int,
    progress: bool,
) -> None:
    """Make the chunks that the folder does not hold yet.

    Args:
        chunks: All of them.
        settings: Radius and windows.
        folder: Where they are kept; made where it is missing.
        record: What makes this simulation what it is; kept beside the chunks.
        processes: Number of worker processes; 1 works in this process.
        progress: Whether to draw a progress bar on the standard error stream.

    Raises:
        FileError: the folder cannot be written or holds chunks of another simulation.
    """
    _claim(folder, record)
    missing = [chunk for chunk in chunks if not chunk.path(folder).exists()]
    total, left = sum(chunk.number for chunk in chunks), sum(chunk.number for chunk in missing)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not progress) as bar:
        task = bar.add_task("simulating jets", total=total, completed=total - left)
        calls = [(chunk.name, chunk.number, chunk.seed, settings) for chunk in missing]
        with closing(run(generate, calls, processes)) as results:
            for number, jets in results:
                with atomic(missing[number].path(folder)) as temporary:
                    np.savez(temporary, **jets._asdict())
                bar.advance(task, missing[number].number)


def load(chunk: Chunk, folder: Path) -> Jets:
    """The jets of a chunk that was generated before.

    Raises:
        FileError: the file is damaged.
    """
    path = chunk.path(folder)
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return Jets(**arrays)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FileError(
            f"{path}: damaged ({error}), delete it and run the simulation again"
        ) from error


def _claim(folder: Path, record: Mapping[str, Any]) -> None:
    text = json.dumps(record, indent=2) + "\n"
    try:
        folder.mkdir(exist_ok=True)
        kept = (folder / _RECORD).read_text() if (folder / _RECORD).exists() else None
    except OSError as error:
        raise FileError(
            f"{folder}: cannot be written ({error.strerror}), expected a folder with space"
        ) from error
    if kept is None:
        with atomic(folder / _RECORD) as temporary:
            temporary.write_text(text)
    elif kept != text:
        raise FileError(
            f"{folder}: holds the unfinished simulation of other settings (see {_RECORD} there), "
            "give those to finish it, delete the folder or choose another output"
        )
