"""Many events in files of one event each: ``event_%05d.ply``, or all files of a folder.

A name with ``%d`` (``%05d``: five digits) in it stands for one file per event, numbered from 0; a
folder stands for the files of one ending in it, in the order of the numbers in their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pcgen.errors import ArgumentError, FileError
from pcgen.io.atomic import atomic, atomic_folder
from pcgen.io.source import existing_file

_NUMBER = re.compile(r"%0?\d*d")


def is_many(path: Path) -> bool:
    """Whether the path stands for several files: a numbered name, a folder, a name of no ending."""
    return bool(_NUMBER.search(path.name)) or path.is_dir() or not path.suffix


def files_of(path: Path, ending: str) -> list[Path]:
    """The existing files that the path stands for, in the order of their numbers.

    Raises:
        FileError: there is none, or two have the same number.
    """
    if not is_many(path) or path.is_file():
        return [existing_file(path)]
    found = _matching(path, ending)
    if not found:
        folder = path if path.is_dir() or not path.suffix else path.parent
        raise FileError(f"{path}: no such files, expected some ending in {ending} in {folder}")
    return found


@contextmanager
def writing(path: Path, ending: str) -> Iterator[Callable[[int], Path]]:
    """A function that names the file to write for each event; all appear at the end, or none.

    Raises:
        ArgumentError: a second event is asked for where the path stands for one file.
        FileError: the files cannot be written, or some are there already.
    """
    if is_many(path):
        if path.parent.is_dir() and (found := _matching(path, ending)):
            raise FileError(
                f"{path}: {len(found)} such files are there already ({found[0].name}), "
                f"expected none: old and new events would mix"
            )
        numbered = bool(_NUMBER.search(path.name))
        pattern = path.name if numbered else f"event_%06d{ending}"
        with atomic_folder(path.parent if numbered else path) as folder:
            yield lambda event: folder / _NUMBER.sub(lambda match: match[0] % event, pattern)
        return
    with atomic(path) as temporary:

        def only(event: int) -> Path:
            if event > 0:
                raise ArgumentError(
                    f"{path}: got more than one event, expected one: choose an event, or a "
                    f"numbered name such as {path.stem}_%05d{ending}"
                )
            return temporary

        yield only


def _matching(path: Path, ending: str) -> list[Path]:
    if not _NUMBER.search(path.name):
        found = [file for file in path.glob("*") if file.suffix.lower() == ending]
        return sorted((file for file in found if not file.name.startswith(".")), key=_natural)
    before, after = _NUMBER.split(path.name, maxsplit=1)
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    numbers: dict[int, Path] = {}
    for file in sorted(path.parent.glob("*")):
        match = name.fullmatch(file.name)
        if match is None:
            continue
        if (other := numbers.setdefault(int(match[1]), file)) is not file:
            raise FileError(
                f"{path}: {other.name} and {file.name} have the same number, "
                "expected one file for each event"
            )
    return [numbers[number] for number in sorted(numbers)]


def _natural(path: Path) -> list[tuple[int, str]]:
    """event_2 before event_10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
