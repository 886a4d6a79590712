"""What a reader of scores should know of the two files: events they share, or that one lacks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcgen.schema import Schema

if TYPE_CHECKING:
    from torch_geometric.data import Batch


def trained_on(digest: str, name: str, split: str, attrs: Mapping[str, Any]) -> list[str]:
    """Whether the real events are those that trained the generator, as its file records."""
    recorded = attrs.get("trained_on")
    listed = recorded.get("data") if isinstance(recorded, Mapping) else None
    digests = [each.get("digest") for each in listed or () if isinstance(each, Mapping)]
    if split not in ("train", "all") or digest not in digests:
        return []
    some = "are" if split == "train" else "include"
    return [
        f"the real events ({name}, {split}) {some} those that trained the model: scores are better "
        "than on events that it has not seen (--split test)"
    ]


def in_common(real: str, generated: str, events: Batch, fake: Batch) -> list[str]:
    """Whether generated events are real ones, number for number."""
    from pcgen.metrics.trust.memorisation import shared

    paths = [Path(os.path.realpath(path)) for path in (real, generated)]
    # Numbered names stand for files and are none; hard links are the same file.
    linked = all(path.exists() for path in paths) and paths[0].samefile(paths[1])
    if paths[0] == paths[1] or linked:
        return ["both files are the same: real events are compared with themselves"]
    number = int(shared(events, fake).sum())
    if not number:
        return []
    return [f"{number} of {fake.num_graphs} generated events equal real ones in every point"]


def left_out(real: Batch, generated: Batch, schema: Schema, other: Schema) -> list[str]:
    """What real events have and generated ones lack, which no score can compare."""
    lines = []
    if real.get("y") is not None and generated.get("y") is None:
        names = ", ".join(quantity.name for quantity in schema.condition)
        lines.append(f"generated events have no condition (real: {names}), which is left out")
    if real.get("layer") is not None and generated.get("layer") is None:
        names = ", ".join(schema.layers) or "numbers"
        lines.append(f"generated events have no layers (real: {names}), which no score compares")
    if real.get("label") is None:
        return lines
    own = _classes(real, schema)
    if generated.get("label") is None:
        known = ", ".join(own)
        return [*lines, f"generated events have no classes (real: {known}), which are left out"]
    missing = [name for name in own if name not in _classes(generated, other)]
    if missing:
        lines.append(f"generated events have none of class {', '.join(missing)}, real ones have")
    return lines


def _classes(clouds: Batch, schema: Schema) -> list[str]:
    """Names of the classes that have an event."""
    present = clouds.label.unique().tolist()
    return [schema.labels[k] if k < len(schema.labels) else f"number {k}" for k in present]
