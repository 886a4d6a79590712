"""What a run is trained on: files, what is chosen of them, and whether they are still the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pcgen.errors import ArgumentError, DataError

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pcgen.datasets.loading import CloudDataset
    from pcgen.training import RunFolder


class Data(NamedTuple):
    """What a run is trained on: its files, what was chosen of them, and two splits."""

    files: list[str]
    classes: list[str] | None
    max_points: int | None
    train: CloudDataset
    held_out: CloudDataset


def open_data(
    files: Sequence[str], classes: list[str] | None = None, max_points: int | None = None
) -> Data:
    """The training and the validation split of files, which become absolute paths.

    Raises:
        ArgumentError: there is no file.
        DataError: there is no event with a point.
        FileError: a file cannot be read.
    """
    from pcgen.datasets.loading import open_clouds

    if not files:
        raise ArgumentError("data: got no file, expected at least one")
    paths = [str(Path(path).resolve()) for path in files]
    parts = [
        open_clouds(paths, split, classes=classes, max_points=max_points)
        for split in ("train", "validation")
    ]
    if not bool(parts[0].sizes().any()):
        raise DataError(
            f"{', '.join(paths)}: got {len(parts[0])} events without a point, expected some with "
            "one"
        )
    return Data(paths, classes, max_points, *parts)


def check_data(run: RunFolder, files: Sequence[str], digests: Sequence[str]) -> bool:
    """Refuse to go on with other events than those that a run was started with.

    Args:
        run: A run, begun or not.
        files: Of now.
        digests: Of these files.

    Returns:
        Whether they are known to be the same events; older runs do not know it.

    Raises:
        DataError: naming the first file that differs, and both digests.
    """
    stored = run.config().get("digests") if run.begun else None
    if not isinstance(stored, list) or len(stored) != len(digests):
        return False
    for file, now, before in zip(files, digests, stored, strict=True):
        if now != before:
            raise DataError(
                f"{file}: got events of digest {now}, expected those of digest {before} that "
                f"{run.path} was started with: the file was replaced, or is another one"
            )
    return True


def same_data(run: RunFolder, files: Sequence[str], digests: Sequence[str]) -> bool:
    """Whether a run goes on with its own events, which may have another place by now.

    Other files are an option that differs, which is named beside the others that do.

    Raises:
        DataError: the same files hold other events.
    """
    stored = run.config() if run.begun else {}
    if stored.get("data") != list(files) and stored.get("digests") != list(digests):
        return False
    return check_data(run, files, digests)
