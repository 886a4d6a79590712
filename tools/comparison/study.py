"""What all rows of a comparison share, and the profiles of ``pcgen compare``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pcgen.errors import ArgumentError, FileError
from pcgen.io import atomic
from pcgen.io.atomic import is_own


@dataclass(frozen=True)
class Study:
    """Settings that every row depends on.

    Attributes:
        data: Files of jets; the folder of a comparison, which may be given to others, keeps their
            names alone.
        max_points: Points that are kept of each jet, the hardest; None keeps all.
        budget: CPU-seconds of training of each row, unless ``steps`` gives its length.
        steps: Length of each row's training.
        batch_size: Events in a batch.
        events: Generated events that a row is judged by, and as many real ones.
        validate_events: Events of each point of a learning curve.
        neighbours: Events on each side of the 1-NN accuracy.
        halfwidth: The grid spans that much on both sides of the axis, in η and φ.
        digests: Of the files (:func:`pcgen.datasets.provenance.digest`); none where not known.

    Raises:
        ArgumentError: a number is out of range, or neither budget nor steps is given.
    """

    data: tuple[str, ...]
    max_points: int | None = None
    budget: float | None = 25.0
    steps: int | None = None
    batch_size: int = 64
    events: int = 400
    validate_events: int = 200
    neighbours: int = 150
    halfwidth: float = 0.4
    digests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "events": 20, "validate_events": 2, "neighbours": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ArgumentError(f"{name}: got {getattr(self, name)}, expected >= {low}")
        for name in ("max_points", "budget", "steps", "halfwidth"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ArgumentError(f"{name}: got {value}, expected a positive number")
        if self.budget is None and self.steps is None:
            raise ArgumentError("budget, steps: got none, expected one of them")
        if not self.data:
            raise ArgumentError("data: got no file, expected at least one")

    def grid(self, resolution: int) -> str:
        """The square grid of so many cells along each axis, as ``Grid.parse`` reads it."""
        span = f"{-self.halfwidth:g}:{self.halfwidth:g}:{resolution}"
        return f"eta_rel:{span},phi_rel:{span}"

    def to_dict(self) -> dict[str, Any]:
        """The fields, plain values, the files by their names without a place."""
        names = [Path(path).name for path in self.data]
        return json.loads(json.dumps({**asdict(self), "data": names}))


@dataclass(frozen=True)
class Profile:
    """Which rows there are, and how long they train.

    Attributes:
        networks: Names of the spine; None means all.
        resolutions: The first is that of all networks.
        seeds: Seeds of each row.
        budget: CPU-seconds of training of each row.
        events: Events that a row is judged by.
        dead: Networks of the study of dead channels; None means all.
        floors: Cuts of the real events into halves.
    """

    networks: tuple[str, ...] | None
    resolutions: tuple[int, ...]
    seeds: int
    budget: float
    events: int
    dead: tuple[str, ...] | None = None
    floors: int = 5


PROFILES = {
    "quick": Profile(
        ("image", "image-gated", "sites", "list", "epic"),
        (24, 16, 48),
        seeds=2,
        budget=15.0,
        events=400,
        dead=("image", "image-mask", "image-observed"),
    ),
    "full": Profile(None, (24, 16, 48), seeds=3, budget=40.0, events=500),
}


def claim(folder: Path, study: Study) -> None:
    """Write the settings into the folder of a comparison, or find the same there.

    Raises:
        FileError: the folder holds something else, or cannot be written.
        ArgumentError: its rows were trained with other settings, naming one.
    """
    file = folder / "study.json"
    if not file.exists():
        if not all(is_own(each.name) for each in folder.iterdir()):
            raise FileError(f"{folder}: exists and is not a comparison, expected a new folder")
        # It comes first: by it the folder is known, wherever this is interrupted.
        with atomic(file) as temporary:
            temporary.write_text(json.dumps(study.to_dict(), indent=2) + "\n", encoding="utf-8")
    for part in ("rows", "runs"):
        (folder / part).mkdir(exist_ok=True)
    kept, now = read(folder).to_dict(), study.to_dict()
    known = kept["digests"] and now["digests"]
    for name in now if known else now.keys() - {"digests"}:
        if kept[name] != now[name]:
            raise ArgumentError(
                f"{name}: got {now[name]}, expected {kept[name]} as the rows of {folder} were "
                "trained with, or another folder"
            )


def read(folder: Path) -> Study:
    """The settings of the comparison in a folder; files of data are names without a place.

    Raises:
        FileError: there is none.
    """
    file = folder / "study.json"
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        stored = {"digests": (), **stored}  # earlier comparisons recorded none
        values = {field.name: stored[field.name] for field in fields(Study)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{folder}: holds no comparison ({error}), expected study.json") from error
    return Study(**{**values, **{name: tuple(values[name]) for name in ("data", "digests")}})
