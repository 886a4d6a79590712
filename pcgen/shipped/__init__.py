"""Models that ship with pcgen: ``NAME.safetensors``, the weights, and ``NAME.md``, their card.

Wherever a run or a checkpoint is taken, the bare NAME stands for the weights here. What lies in the
current folder under that name goes first: a run called ``jets-flow`` is the user's own.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from pcgen.errors import CheckpointError

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of the shipped models."""
    return sorted(file.stem for file in FOLDER.glob("*.safetensors"))


def is_name(path: str | Path) -> bool:
    """Whether a path is a bare word, with neither a folder nor an ending.

    >>> is_name("jets-flow"), is_name("./jets-flow"), is_name("last.ckpt"), is_name("runs/a")
    (True, False, False, False)
    """
    text = str(path)
    return text == Path(text).stem != ""


def weights(name: str) -> Path:
    """The file of a shipped model.

    Raises:
        CheckpointError: there is no such model.
    """
    known = names()
    if name in known:
        return FOLDER / f"{name}.safetensors"
    near = difflib.get_close_matches(name, known, n=1)
    listed = f" ({', '.join(known)})" if known else ""
    hint = f"did you mean {near[0]}?" if near else f"expected a file, a run or such a model{listed}"
    raise CheckpointError(
        f"{name}: no such file or folder, nor a model that ships with pcgen; {hint}"
    )
