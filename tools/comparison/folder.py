"""The folder of a comparison: what its rows share, their results, and the runs of those not done.

================= ==============================================================================
study.json        settings that all rows share; by it the folder is known
rows/NAME.json    a row that is done, with the settings that it was done with
runs/NAME         the run of a row, as of ``pcgen train``; NAME.plan.json its settings and length
data/             copies of files, where the study leaves points out
================= ==============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcgen.errors import ArgumentError, FileError
from pcgen.io import atomic
from pcgen.io.atomic import is_own, writable


def claim(folder: Path, shared: Mapping[str, Any]) -> None:
    """Write what rows share into the folder of a comparison, or find the same there.

    Args:
        folder: It is there.
        shared: Plain values.

    Raises:
        FileError: the folder holds something else, or cannot be written.
        ArgumentError: its rows were trained with other settings, naming one.
    """
    from pcgen.tools.benchmarks import machine

    file = folder / "study.json"
    if not file.exists():
        if not all(is_own(each.name) for each in folder.iterdir()):
            raise FileError(f"{folder}: exists and is not a comparison, expected a new folder")
        # It comes first: by it the folder is known, wherever this is interrupted.
        write_json(file, {**shared, "machine": machine.describe("cpu")})
    with writable(folder):
        for part in ("rows", "runs"):
            (folder / part).mkdir(exist_ok=True)
    same(f"{folder}: its rows", shared, read(folder), "another folder")


def read(folder: Path) -> dict[str, Any]:
    """What the rows of a comparison share.

    Raises:
        FileError: there is none in the folder.
    """
    try:
        stored = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        return dict(stored)
    except (OSError, ValueError, TypeError) as error:
        raise FileError(f"{folder}: holds no comparison ({error}), expected study.json") from error


def check(file: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to go on with a row that was begun with other settings.

    Args:
        file: Of the row's result, or of its plan; it need not be there.
        settings: Of now.

    Raises:
        ArgumentError: they differ, naming one.
        FileError: the file is damaged.
    """
    if not file.exists():
        return
    try:
        stored = json.loads(file.read_text(encoding="utf-8")).get("settings") or settings
    except (ValueError, AttributeError) as error:
        raise FileError(
            f"{file}: damaged ({error}); delete it, and the row is done again"
        ) from error
    same(f"{file}: the row", settings, stored, "another folder, or no such file")


def same(
    what: str, now: Mapping[str, Any], before: Mapping[str, Any], otherwise: str, name: str = ""
) -> None:
    """Refuse plain values that differ from stored ones.

    Raises:
        ArgumentError: naming the first that differs.
    """
    for key, value in json.loads(json.dumps(now)).items():
        place = f"{name}.{key}" if name else key
        known = before.get(key)
        if isinstance(value, dict) and isinstance(known, dict) and value.keys() == known.keys():
            same(what, value, known, otherwise, place)
        elif value != known:
            raise ArgumentError(
                f"{what} had {place} {known}, got {value}, expected the same, or {otherwise}"
            )


def write_json(file: Path, value: Any) -> None:
    """Write plain values."""
    with atomic(file) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
