"""What generated events are made by: facts that go with them into their file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcgen.datasets.splits import SEED
from pcgen.errors import CheckpointError, DataError
from pcgen.tools.start import file_digest, trained_on
from pcgen.training import weights
from pcgen.training.run import made_by

if TYPE_CHECKING:
    from pcgen.grids import Calorimeter


def provenance(file: Path) -> dict[str, Any]:
    """What the events are made by, without a place on this machine: names, digests, versions."""
    state = weights.read_model(file)
    config, folder = state.config, file.resolve().parent
    made = folder.parent.name if folder.name == "checkpoints" else ""
    return {
        "model": f"{made}/{file.name}" if made else file.name,
        "model_digest": file_digest(file),
        "recipe": state.recipe,
        "step": state.step,
        "trained_on": {
            "data": trained_on(config),
            # Runs of before the split was recorded were trained on the same one.
            "split": config.get("split", {"name": "train", "seed": SEED}),
        },
        **made_by(),
        "command": [without_place(word) for word in sys.argv],
    }


def calorimeter_of(file: Path) -> Calorimeter | None:
    """The calorimeter of the events that a model was trained on, where the run knows it.

    Raises:
        CheckpointError: what is recorded makes no calorimeter.
    """
    from pcgen.grids import Calorimeter

    stored = weights.read_model(file).config.get("calorimeter")
    if stored is None:
        return None
    try:
        return Calorimeter.from_dict(stored)
    except DataError as error:
        raise CheckpointError(f"{file}: {error}") from error


def without_place(word: str) -> str:
    """A word of a command line with file names in place of absolute paths.

    >>> without_place("/home/me/run"), without_place("--data=[/home/me/a.h5,b.h5]")
    ('run', '--data=[a.h5,b.h5]')
    """
    if Path(word).is_absolute():
        return Path(word).name
    return re.sub(r"(^|[=:,\[{'\"\s])~?/(?:[^,:\]}'\"\s]*/)?", r"\1", word)
