"""Ctrl-C or SIGTERM between two steps: a run that is ended from outside loses nothing."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from pcgen.errors import Terminated

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Inside its ``with`` statement a first signal is remembered, a second one ends the program.

    Args:
        listen: Do so; False leaves both signals as they are, as do threads, which get no signals.
            A signal that the program ignores (Ctrl-C in the background of a shell) stays ignored.

    Attributes:
        signal: The signal that came, SIGINT (Ctrl-C) or SIGTERM; None until then.
    """

    def __init__(self, *, listen: bool) -> None:
        self.signal: int | None = None
        self._listen = listen and threading.current_thread() is threading.main_thread()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in _SIGNALS if self._listen else ():
            # None: a handler that Python did not install and cannot put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def error(self, message: str) -> KeyboardInterrupt:
        """What ends the run: KeyboardInterrupt, or its kind Terminated after SIGTERM."""
        kind = Terminated if self.signal == signal.SIGTERM else KeyboardInterrupt
        return kind(message)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        for each, handler in self._before.items():
            signal.signal(each, handler)
