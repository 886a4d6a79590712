"""Many events in files of one event each: ``event_%05d.ply``, or all files of a folder.

A name with ``%d`` (``%05d``: five digits) in it stands for one file per event, numbered from 0; a
folder stands for the files of one ending in it, in the order of the numbers in their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch_geometric.data import Batch

from pcgen import clouds
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.atomic import atomic, atomic_folder, drop_lock, incomplete, writable
from pcgen.io.lock import lock_of, locked
from pcgen.io.source import MISSING, CloudSource, check_clouds, existing_file

_NUMBER = re.compile(r"%0?\d*d")
_DIGITS = 2  # a number in a name has less than 100 of its own


class OneEventFiles(CloudSource):
    """Clouds in files of one event each."""

    _files: list[Path]

    def __len__(self) -> int:
        return len(self._files)

    def _check(self, block: Batch, first: int) -> Batch:
        try:
            return super()._check(block, first)
        except DataError:
            # Name the file in which it is.
            for place, file in enumerate(self._files[first : first + block.num_graphs]):
                cloud = clouds.select(block, [place])
                check_clouds(cloud, self.schema, first=first + place, where=file, hint=MISSING)
            raise


def is_many(path: Path) -> bool:
    """Whether the path stands for several files: a numbered name, a folder, a name of no ending."""
    return bool(_NUMBER.search(path.name)) or path.is_dir() or not path.suffix


def files_of(path: Path, ending: str) -> list[Path]:
    """The existing files that the path stands for, in the order of their numbers.

    Raises:
        FileError: there is none, two have the same number, or the set of them is not complete.
    """
    if not is_many(path) or path.is_file():
        return [existing_file(path)]
    found = _matching(path, ending)
    folder = path if path.is_dir() else path.parent
    if part := {file.name for file in found} & (names := incomplete(folder)):
        raise FileError(
            f"{path}: holds {len(part)} of {len(names)} files, since the command that writes them "
            "is at work or was killed; expected all of them: wait, or run that command again"
        )
    if not found:
        folder = path if path.is_dir() or not path.suffix else path.parent
        raise FileError(f"{path}: no such files, expected some ending in {ending} in {folder}")
    return found


@contextmanager
def writing(path: Path, ending: str) -> Iterator[Callable[[int], Path]]:
    """A function that names the file to write for each event; all appear at the end, or none.

    Raises:
        ArgumentError: a second event is written where the path stands for one file, or the number
            in the name has too many digits.
        FileError: the files cannot be written, some are there already, or another process writes
            them.
    """
    with writable(path):
        many = is_many(path)
    if many:
        numbered = _NUMBER.search(path.name)
        digits = numbered[0].strip("%d").lstrip("0") if numbered else ""
        if len(digits) > _DIGITS:
            raise ArgumentError(
                f"{path}: got a number of {digits} digits, expected a name such as "
                f"event_%05d{ending}"
            )
        pattern = path.name if numbered else f"event_%06d{ending}"
        target = path.parent if numbered else path
        if target.is_dir():
            # Of a writer that made the folder and was killed before it ended.
            drop_lock(lock_of(target))
        with (
            locked(lock_of(path if target.is_dir() else target), path),
            atomic_folder(target) as folder,
        ):
            # Only now: entering the folder removes the part of a set that a killed process left.
            with writable(path):
                found = _matching(path, ending)
            if found:
                raise FileError(
                    f"{path}: {len(found)} such files are there already ({found[0].name}), "
                    f"expected none: old and new events would mix"
                )
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
