"""Ctrl-C between two steps: a run that is interrupted by hand loses nothing."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupt:
    """Inside its ``with`` statement a first Ctrl-C is remembered, a second one ends the program.

    Args:
        listen: Do so; False leaves Ctrl-C as it is, as do threads, which hear no signals, and
            programs that ignore it (those in the background of a shell).

    Attributes:
        asked: Whether it was pressed.
    """

    def __init__(self, *, listen: bool) -> None:
        self.asked = False
        heard = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        main = threading.current_thread() is threading.main_thread()
        self._listen = listen and heard and main
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        if self._listen:
            self._before = signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(self, *error: object) -> None:
        if self._listen:
            signal.signal(signal.SIGINT, self._before)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._before)
