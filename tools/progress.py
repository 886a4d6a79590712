"""How far a command is: a bar on a terminal, and a line now and then in a log file."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import Progress

from pcgen.training.log import QUIET, duration, say


class Counter:
    """Counts what is done, on stderr, while the ``with`` statement lasts.

    Args:
        what: What is counted, ``"events"`` say.
        total: How many there are.
        clock: Seconds that pass.
    """

    def __init__(
        self, what: str, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        console = Console(stderr=True)
        self._what, self._total, self._done, self._clock = what, total, 0, clock
        self._started = self._spoke = clock()
        self._lines = not console.is_terminal  # a bar in a log file would be empty lines
        self._bar = Progress(console=console, transient=True, disable=self._lines)
        self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> Counter:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self, number: int) -> None:
        """So many more are done; a line at most every :data:`~pcgen.training.log.QUIET` seconds."""
        self._done += number
        self._bar.advance(self._task, number)
        now = self._clock()
        if self._lines and now - self._spoke >= QUIET and self._done < self._total:
            self._spoke = now
            left = (now - self._started) / self._done * (self._total - self._done)
            say(f"{self._done} of {self._total} {self._what}; {duration(left)} left")
