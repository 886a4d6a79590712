"""The log of a run: metrics.csv for eyes and pandas, TensorBoard for curves, a bar for patience."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch.utils.tensorboard.writer import SummaryWriter

from pcgen.errors import FileError
from pcgen.io.atomic import atomic


class Log:
    """Rows of named numbers by step, in ``metrics.csv`` and ``tensorboard/`` of a run.

    Columns come as phases begin; the file is then written anew with the wider header.

    Args:
        folder: The run.
        step: Where the run goes on: rows that a killed run wrote after it are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._file = folder / "metrics.csv"
        rows = [row for row in self._read() if int(row["step"]) <= step]
        self._columns = list(dict.fromkeys(["step", *(k for row in rows for k in row)]))
        self._rewrite(rows)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: object) -> None:
        self._board.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add one row."""
        new = [name for name in values if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite(self._read())
        row = {"step": step, **values}
        with self._file.open("a", newline="") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        self._board.flush()

    def _read(self) -> list[dict[str, str]]:
        if not self._file.exists():
            return []
        with self._file.open(newline="") as file:
            # The last row is cut short where the run was killed while writing it.
            rows = [row for row in csv.DictReader(file) if None not in row.values()]
        if rows and not all(row.get("step", "").isdecimal() for row in rows):
            raise FileError(
                f"{self._file}: has rows without a step, expected the log of a run; move it away"
            )
        return rows

    def _rewrite(self, rows: Sequence[Mapping[str, str]]) -> None:
        with atomic(self._file) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            writer.writeheader()
            writer.writerows(rows)


def say(text: str) -> None:
    """One line about the run on stderr, beside the bar."""
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)


@contextmanager
def progress_bar(steps: int, done: int, *, show: bool) -> Iterator[Progress]:
    """A progress bar on stderr with one task; silent where there is no terminal."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not show or not sys.stderr.isatty()) as bar:
        bar.add_task("training", total=steps, completed=done, text="")
        yield bar
