"""Atomic writes: a file appears under its name when it is complete, or not at all.

The data go to a hidden temporary name in the same folder and are moved into place, which a POSIX
file system does in one step: a reader never sees half a file, and a failure leaves what was there.
A set of files goes into a new folder in one step too. Into a folder that exists they are moved one
by one: a list of them lies beside them until the last one is there, so that readers can refuse a
part of the set, and the next writer removes it.

What a killed process leaves is removed by the next one that writes into the same folder. Its name
states machine and process, so that files of others, and of processes that live, stay.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pcgen.errors import FileError, PcgenError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE)
_LONGEST = 255  # bytes of a name, on all common file systems
_OWN = re.compile(r"\..*\.pcgen-([0-9a-f]{8})-(\d{1,9})-[0-9a-f]{8}\.tmp(\..*)?", re.DOTALL)
_LIST = "moving.json"
LOCK = ".pcgen-lock"
"""Ending of lock files, see :mod:`pcgen.io.lock`."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to, moved to ``path`` on success and removed on failure.

    The temporary file exists (empty) from the start, so that an output that cannot be written is
    found before the work and not after it. It keeps the ending of ``path``.

    Raises:
        FileError: the folder is missing or not writable, ``path`` is a folder or a device, the disk
            is full or fails.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic(f"{folder}/a.txt") as temporary:
    ...         _ = temporary.write_text("done")
    ...     Path(f"{folder}/a.txt").read_text()
    'done'
    """
    path = Path(path)
    with writable(path):
        if path.is_dir():
            raise FileError(f"{path}: is a folder, expected the name of a file to write")
        if path.exists() and not path.is_file():
            raise FileError(f"{path}: is a device or a pipe, expected the name of a file to write")
        temporary = _temporary(path)
        temporary.touch(exist_ok=False)
    _sweep(path.parent)
    try:
        with _filling(path, temporary):
            yield temporary
        with writable(path):
            _sync(temporary)
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary folder whose files are moved into ``folder`` on success, none of them on failure.

    ``folder`` is made where it is missing (its parent must exist); other files in it stay.

    Raises:
        FileError: the parent is missing or not writable, ``folder`` is a file or holds one of the
            files already, the disk is full or fails.
    """
    folder = Path(folder)
    with writable(folder):
        there = folder.is_dir()
        if folder.exists() and not there:
            raise FileError(f"{folder}: is a file, expected the name of a folder to write")
        temporary = _temporary(folder / "files" if there else folder)
        temporary.mkdir()
    _sweep(temporary.parent)
    try:
        with _filling(folder, temporary):
            yield temporary
        with writable(folder):
            if there:
                _move(temporary, folder)
            else:
                os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch_folder(beside: str | Path) -> Iterator[Path]:
    """A hidden folder beside a path, for files that nobody needs once the work is done.

    Unlike one of the system's temporary folders, it is removed by the next writer where the process
    is killed.

    Raises:
        FileError: it cannot be made.
    """
    with writable(beside):
        folder = _temporary(Path(beside))
        folder.mkdir()
    _sweep(folder.parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def incomplete(folder: Path) -> set[str]:
    """Names of the files of sets that are not complete in a folder.

    They are being moved there, or the process that did so was killed.
    """
    return {name for part in _own(folder) for name in _listed(part)}


def make_folder(path: str | Path) -> Path:
    """A folder for results, made where it is missing, that can be written to.

    Raises:
        FileError: it cannot be made, or not be written to.
    """
    folder = Path(path)
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        trial = _temporary(folder / "trial")
        trial.touch(exist_ok=False)
        trial.unlink()
    return folder


@contextmanager
def output_folder(path: str | Path) -> Iterator[Path]:
    """The same for a ``with`` statement, after which folders that are new and empty go away again.

    Raises:
        FileError: as of :func:`make_folder`.
    """
    with writable(path):
        new = [each for each in (Path(path), *Path(path).parents) if not each.exists()]
    try:
        yield make_folder(path)
    finally:
        with suppress(OSError):
            for each in new:
                each.rmdir()


@contextmanager
def writable(path: str | Path) -> Iterator[None]:
    """Errors of the system inside the ``with`` statement become one line about ``path``.

    Raises:
        FileError: the system refused something.
    """
    try:
        yield
    except PcgenError:
        raise
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def _filling(path: Path, temporary: Path) -> Iterator[None]:
    """While the caller writes: errors about other files are the caller's own."""
    try:
        yield
    except PcgenError:
        raise
    except OSError as error:
        ours = isinstance(error.filename, str) and error.filename.startswith(str(temporary))
        if ours or error.errno in _DISK:
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: str | Path, error: OSError) -> FileError:
    reason = error.strerror or str(error)
    return FileError(f"{path}: cannot be written ({reason}), expected a writable folder with space")


def _temporary(path: Path) -> Path:
    # Random too: one process may write a file twice at a time.
    ending = path.suffix if len(os.fsencode(path.suffix)) <= 32 else ""
    mark = f".pcgen-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp{ending}"
    name = os.fsencode(path.stem)[: _LONGEST - 1 - len(os.fsencode(mark))]
    # A letter of several bytes may have been cut through.
    return path.parent / f".{name.decode('utf-8', 'ignore')}{mark}"


@functools.cache
def _machine() -> str:
    """Where a number means the same process: the machine and, in a container, its own counting."""
    try:
        counting = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        counting = 0
    return hashlib.sha256(f"{platform.node()} {counting}".encode()).hexdigest()[:8]


def is_own(name: str) -> bool:
    """Whether a name is that of a temporary file, a temporary folder or a lock of pcgen."""
    return _OWN.fullmatch(name) is not None or (name[0] == "." and name.endswith(LOCK))


def _own(folder: Path) -> list[Path]:
    """The temporary files, temporary folders and locks of pcgen in a folder."""
    try:
        return [folder / name for name in os.listdir(folder) if is_own(name)]
    except OSError:  # a folder that cannot be listed may still be written to
        return []


def _sweep(folder: Path) -> None:
    """Remove what processes of this machine left that are no more, and locks that nobody holds."""
    for path in _own(folder):
        if path.name.endswith(LOCK):
            drop_lock(path)
        match = _OWN.fullmatch(path.name)
        if match is None or match[1] != _machine() or _lives(int(match[2])):
            continue
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                _take_back(path, folder)
                shutil.rmtree(path)
            else:
                path.unlink()


def drop_lock(file: Path) -> None:
    """Remove a lock file that nobody holds, if it is there."""
    with suppress(OSError), file.open("r+b") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink()


def _lives(process: int) -> bool:
    # One that has ended is listed until its parent takes note, in a container perhaps never.
    with suppress(OSError, IndexError):
        state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0]
        if state in (b"Z", b"X"):
            return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's, or no number of a process
        return True
    return True


def _move(temporary: Path, folder: Path) -> None:
    """Move the files of a temporary folder into another, all or none."""
    files = sorted(temporary.iterdir())
    for file in files:
        if os.path.lexists(folder / file.name):
            raise FileError(f"{folder / file.name}: is there already, expected no such file")
    states = {file.name: file.stat() for file in files}
    values = {name: _identity(state) for name, state in states.items()}
    draft = temporary / f"{_LIST}.part"
    draft.write_text(json.dumps(values), encoding="utf-8")
    os.replace(draft, temporary / _LIST)
    try:
        for file in files:
            os.replace(file, folder / file.name)
        (temporary / _LIST).unlink()
    except BaseException:
        _take_back(temporary, folder)
        raise


def _take_back(temporary: Path, folder: Path) -> None:
    """Remove files that were moved out of a temporary folder before the set was complete."""
    for name, identity in _listed(temporary).items():
        with suppress(OSError):
            if _identity((folder / name).lstat()) == identity:
                (folder / name).unlink()


def _identity(state: os.stat_result) -> list[int]:
    """What a file keeps when it is moved, and another one of its name does not have."""
    return [state.st_ino, state.st_size, state.st_mtime_ns]


def _listed(temporary: Path) -> dict[str, Any]:
    """The identity of each file of a set that is being moved out of a temporary folder."""
    try:
        values = json.loads((temporary / _LIST).read_text(encoding="utf-8"))
        return {Path(name).name: identity for name, identity in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _sync(path: Path) -> None:
    # Without this a crash of the machine can leave the new name on an empty file.
    with path.open("rb") as file:
        os.fsync(file.fileno())
