"""The log of a run: metrics.csv for eyes and pandas, TensorBoard for curves, progress on stderr."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from pcgen import escaping
from pcgen.io.atomic import atomic, writable

QUIET = 10.0
"""Seconds between two lines of progress, where there is no terminal."""


class Log:
    """Rows of named numbers by step, in ``metrics.csv`` and ``tensorboard/`` of a run.

    Columns come as phases begin; the file is then written anew with the wider header. A metrics.csv
    that is no log is set aside: a run does not depend on it.

    Args:
        folder: The run.
        step: Where the run goes on: rows that a killed run wrote after it are dropped.

    Raises:
        FileError: a file cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._file = folder / "metrics.csv"
        rows = [row for row in self._read() if int(row["step"]) <= step]
        self._columns = list(dict.fromkeys(["step", *(k for row in rows for k in row)]))
        self._rewrite(rows)
        self._board = _Board(folder / "tensorboard", step)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing waits: each row is written at once."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add one row.

        Raises:
            FileError: it cannot be written.
        """
        new = [name for name in values if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite(self._read())
        row = {"step": step, **values}
        with writable(self._file), self._file.open("a", newline="") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)
        self._board.write(step, values)

    def _read(self) -> list[dict[str, str]]:
        if not self._file.exists():
            return []
        try:
            rows = rows_of(self._file)
        except (OSError, ValueError, csv.Error) as error:
            set_aside(self._file, f"is no log of a run ({error})")
            return []
        return rows

    def _rewrite(self, rows: Sequence[Mapping[str, str]]) -> None:
        with atomic(self._file) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            writer.writeheader()
            writer.writerows(rows)


class _Board:
    """Curves for TensorBoard, written at once.

    torch's SummaryWriter writes in a thread, which ends with a traceback where the disk is full.

    Args:
        folder: Of the event files, made where it is missing.
        step: Where the run goes on: points that a killed run wrote after it are not shown.
    """

    def __init__(self, folder: Path, step: int) -> None:
        now = time.time()
        self._file = folder / f"events.out.tfevents.{now:.6f}.{os.getpid()}"
        with writable(folder):
            folder.mkdir(exist_ok=True)
            self._file.touch()
        self._add(Event(wall_time=now, file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._add(Event(wall_time=now, step=step + 1, session_log=start))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(Event(wall_time=time.time(), step=step, summary=Summary(value=points)))

    def _add(self, event: Event) -> None:
        with writable(self._file), self._file.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())


def rows_of(file: Path) -> list[dict[str, str]]:
    """The rows of a log, by the names of its columns.

    Raises:
        ValueError: it is no regular file, no text in UTF-8, or has a row without a step.
    """
    if not file.is_file():
        raise ValueError("it is no file")
    with file.open(newline="", encoding="utf-8") as opened:
        # The last row is cut short where the run was killed while writing it.
        rows = [row for row in csv.DictReader(opened) if None not in row.values()]
    steps = [row.get("step", "") for row in rows]
    if any(None in row or not _is_step(step) for row, step in zip(rows, steps, strict=True)):
        raise ValueError("it has rows without a step, or longer than its header")
    return rows


def _is_step(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def set_aside(file: Path, why: str) -> None:
    """Rename a file that is damaged and that nothing depends on; one line reports it.

    Raises:
        FileError: it cannot be renamed.
    """
    number = 0
    while os.path.lexists(target := file.with_name(f"{file.name}.damaged{number or ''}")):
        number += 1
    with writable(file):
        os.replace(file, target)
    say(f"{file}: {why}; nothing depends on it, it is set aside as {target.name}")


def say(text: str) -> None:
    """One line about the run on stderr, beside the bar."""
    Console(stderr=True, soft_wrap=True).print(escaping.terminal(text))


class Progress:
    """How far a run is, on stderr: steps, losses and the time that is left, in one line.

    A terminal shows a bar that moves. Elsewhere (a batch job whose output goes to a file) it is a
    line whenever losses are known, but at most one in :data:`QUIET` seconds, and one at the end.

    Args:
        steps: Length of the run.
        done: Steps that were done before.
        show: Show anything at all.
        clock: Seconds that pass.
    """

    def __init__(
        self, steps: int, done: int, *, show: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._steps, self._first, self._clock = steps, done, clock
        self._started = clock()
        self._spoke = self._started
        # Kernels are compiled in the first step: what is left is estimated from its end.
        self._second, self._warm = done, self._started
        terminal = sys.stderr.isatty()
        self._lines = show and not terminal
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", markup=False),
        )
        self._bar = RichProgress(
            *columns, console=Console(stderr=True), disable=not (show and terminal)
        )
        self._task = self._bar.add_task("training", total=steps, completed=done, text="")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, step: int, losses: Mapping[str, float]) -> None:
        """So many steps are done.

        Args:
            step: Steps done.
            losses: Mean of each loss since they were last given; empty where they are not known.
        """
        text = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        self._bar.update(self._task, completed=step)
        if text:
            self._bar.update(self._task, text=text)
        now = self._clock()
        if self._second == self._first:
            self._second, self._warm = step, now
        if not self._lines or not text:
            return
        if now - self._spoke >= QUIET or step == self._steps:
            self._spoke = now
            say(f"step {step} of {self._steps}: {text}; {self._left(step, now)}")

    def _left(self, step: int, now: float) -> str:
        """Time that is left, from the mean duration of the steps after the first one."""
        counted = step - self._second
        each = (now - self._warm) / counted if counted else now - self._started
        if step == self._steps:
            return f"done in {duration(now - self._started)}"
        return f"{duration(each * (self._steps - step))} left"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, the two largest that are not zero.

    >>> duration(7384.0), duration(59.6), duration(3.2)
    ('2 h 3 min', '1 min 0 s', '3 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
