"""Atomic writes: a file appears under its name when it is complete, or not at all.

The data go to a hidden temporary name in the same folder and are moved into place, which a POSIX
file system does in one step: a reader never sees half a file, and a failure leaves what was there.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcgen.errors import FileError, PcgenError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to, moved to ``path`` on success and removed on failure.

    The temporary file exists (empty) from the start, so that an output that cannot be written is
    found before the work and not after it. It keeps the ending of ``path``.

    Raises:
        FileError: the folder is missing or not writable, ``path`` is a folder, the disk is full
            or fails.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic(f"{folder}/a.txt") as temporary:
    ...         _ = temporary.write_text("done")
    ...     Path(f"{folder}/a.txt").read_text()
    'done'
    """
    path = Path(path)
    temporary = _temporary(path)
    if path.is_dir():
        raise FileError(f"{path}: is a folder, expected the name of a file to write")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except PcgenError:
        raise
    except OSError as error:
        if error.errno in _DISK:
            raise _unwritable(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary folder whose files are moved into ``folder`` on success, none of them on failure.

    ``folder`` is made where it is missing (its parent must exist); files of the same names are
    replaced, others stay.

    Raises:
        FileError: the parent is missing or not writable, ``folder`` is a file, the disk is full
            or fails.
    """
    folder = Path(folder)
    temporary = _temporary(folder if not folder.is_dir() else folder / "files")
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: is a file, expected the name of a folder to write")
    try:
        temporary.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield temporary
        folder.mkdir(exist_ok=True)
        for file in sorted(temporary.iterdir()):
            os.replace(file, folder / file.name)
    except PcgenError:
        raise
    except OSError as error:
        if error.errno in _DISK:
            raise _unwritable(folder, error) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    # Random, not the process id: processes of several machines may share the folder.
    return path.parent / f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}"


def _unwritable(path: Path, error: OSError) -> FileError:
    reason = error.strerror or str(error)
    return FileError(f"{path}: cannot be written ({reason}), expected a writable folder with space")


def _sync(path: Path) -> None:
    # Without this a crash of the machine can leave the new name on an empty file.
    with path.open("rb") as file:
        os.fsync(file.fileno())
