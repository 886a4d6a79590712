"""One writer at a time: a lock file, which the system releases when its process ends in any way."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pcgen.errors import FileError
from pcgen.io.atomic import LOCK, writable


@contextmanager
def locked(file: Path, what: str | Path) -> Iterator[None]:
    """Hold the lock ``file`` inside the ``with`` statement; it is removed at the end.

    On a file system without locks there is no protection.

    Args:
        file: The lock file; it may have been left by a process that is no more.
        what: What is locked, for the message.

    Raises:
        FileError: another writer holds the lock, or the file cannot be made.
    """
    descriptor = _hold(file, what)
    try:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        # Removed while it is held: who waits for nothing finds it gone and makes a new one.
        with suppress(OSError):
            file.unlink()
        os.close(descriptor)


def lock_of(path: Path) -> Path:
    """The lock file of an output: hidden, beside it."""
    return path.parent / f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}{LOCK}"


def _hold(file: Path, what: str | Path) -> int:
    while True:
        with writable(what):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 200).decode("utf-8", "replace") or "another process"
            os.close(descriptor)
            raise FileError(
                f"{what}: is being written by {owner}, expected one writer at a time"
            ) from error
        except OSError:
            return descriptor
        if _is(file, descriptor):
            return descriptor
        os.close(descriptor)  # the last holder removed it between the two calls


def _is(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False
