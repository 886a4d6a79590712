"""A process that has imported everything and forks a command of pcgen for each line that it reads.

A kill at a random moment then falls into the work of the command and not into ``import torch``.
Run as a script; :class:`Warm` talks to it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Warm:
    """Runs commands, each in a folder of its own that it is in.

    Args:
        temporary: The system's folder of temporary files, for all commands.
    """

    def __init__(self, temporary: Path) -> None:
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, "TMPDIR": str(temporary)},
        )

    def start(self, folder: Path, words: str, change: int | None = None) -> int:
        """Fork a command; the number of its process.

        Args:
            folder: Where it runs; what it prints goes to a log beside it.
            words: The command line.
            change: It ends itself by SIGKILL before it makes this change to a folder, counted from
                0; the number of changes of a command that ends otherwise is at the end of its log.
        """
        return int(self._ask(folder, words, change))

    def wait(self) -> tuple[int, float]:
        """The exit status of the command, negative where a signal ended it, and its seconds."""
        status, seconds = self._answer().split()
        return int(status), float(seconds)

    def run(self, folder: Path, words: str, change: int | None = None) -> float:
        """Run a command to its end; the seconds that it took."""
        self.start(folder, words, change)
        status, seconds = self.wait()
        assert status == 0, f"{words}\n{messages(folder)}"
        return seconds

    def rehearse(self, folder: Path, words: str) -> None:
        """Run a command in the warm process itself: kernels are loaded from then on."""
        assert int(self._ask(folder, words, None, here=True)) == 0, messages(folder)

    def _ask(self, folder: Path, words: str, change: int | None, here: bool = False) -> str:
        assert self._process.stdin is not None
        question = [str(folder), words.split(), change, here]
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the warm process has ended"
        return line


def messages(folder: Path) -> str:
    """What the commands in a folder have printed."""
    file = folder.with_suffix(".log")
    return file.read_text(errors="replace")[-4000:] if file.exists() else ""


def serve() -> None:
    """Fork the commands that the standard input names, one after the other."""
    import torch

    torch.set_num_threads(1)
    _import_all()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nobody else writes to where the answers go
    process = 0
    for line in sys.stdin:
        if process:
            os.waitpid(process, 0)
        folder, words, change, here = json.loads(line)
        if here:
            process, _Row.here = 0, True
            print(_command(Path(folder), words, None), file=answers, flush=True)
            _Row.here = False
            continue
        began = time.monotonic()
        process = os.fork()
        if process == 0:
            answers.close()
            os._exit(_command(Path(folder), words, change))
        print(process, file=answers, flush=True)
        # Only looked at until the next command: its number must not become another process's.
        ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        print(code, time.monotonic() - began, file=answers, flush=True)


def _import_all() -> None:
    """All modules of pcgen and what they import in functions; rows in forked processes."""
    import importlib
    import pkgutil

    import pcgen
    from pcgen.tools.comparison import workers

    for module in pkgutil.walk_packages(pcgen.__path__, "pcgen."):
        if not module.name.endswith(("__main__", "_triton", "_scatter", "_cluster")):
            importlib.import_module(module.name)
    workers.start = _forked_row


def _command(folder: Path, words: list[str], change: int | None) -> int:
    """Run a command in this process."""
    from pcgen.tools import cli

    os.chdir(folder)
    log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    sys.argv = ["pcgen", *words]
    if change is not None:
        _Changes.watch(change)
    try:
        status = cli.main(words)
        if change is not None:
            print(f"changes: {_Changes.made}")
        return status
    except BaseException:
        import traceback

        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class _Changes:
    """Counts the changes that this process makes to folders, and ends it before one of them."""

    made, last = 0, -1

    @classmethod
    def watch(cls, last: int) -> None:
        """Count from now on."""
        cls.last = last
        for name in ("replace", "rename", "mkdir", "unlink", "rmdir", "open"):
            setattr(os, name, cls._counted(getattr(os, name)))

    @classmethod
    def _counted(cls, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if cls.made == cls.last:
                os.kill(os.getpid(), signal.SIGKILL)
            cls.made += 1
            return function(*arguments, **options)

        return call


class _Row:
    """The process of a row of ``pcgen compare``, in the way of ``subprocess.Popen``."""

    here = False
    """Whether rows are done in this process."""

    def __init__(self, process: int, stdin: int) -> None:
        self.pid, self.stdin = process, os.fdopen(stdin, "wb")
        self.returncode: int | None = None

    def poll(self, options: int = os.WNOHANG) -> int | None:
        if self.returncode is None:
            process, status = os.waitpid(self.pid, options)
            if process:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int | None:
        return self.poll(0)

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


_rows: list[_Row] = []


def _forked_row(job: Any) -> _Row:
    """A row in a forked process, instead of one that imports torch first; it ends with its parent.

    It does what ``python -m pcgen.tools.comparison.workers`` does.
    """
    import threading

    from pcgen.tools.comparison import workers

    reading, writing = os.pipe()
    if _Row.here:
        os.close(reading)
        workers.work(job)
        row = _Row(os.getpid(), writing)
        row.returncode = 0
        return row
    process = os.fork()
    if process:
        os.close(reading)
        _rows.append(_Row(process, writing))
        return _rows[-1]
    os.close(writing)
    _Changes.last = -1
    for row in _rows:
        row.stdin.close()  # a row must not keep another one alive
    os.dup2(reading, 0)
    sys.stdin = os.fdopen(0)
    with job.log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    threading.Thread(target=workers._follow_parent, daemon=True).start()
    workers.work(job)
    os._exit(0)


if __name__ == "__main__":
    serve()
