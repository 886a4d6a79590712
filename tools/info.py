"""``pcgen info``: what is in a file of clouds or images, a run or a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pcgen.errors import CheckpointError, FileError
from pcgen.schema import Quantity, Schema

# Heavy modules are imported in the functions that use them: help needs none of them, and a file of
# events neither models nor their training.
if TYPE_CHECKING:
    from pcgen import io
    from pcgen.training.checkpoint import Checkpoint


def info(path: str) -> None:
    """Show what is in a file of events, a run or a checkpoint.

    Args:
        path: File of clouds or images, folder of a run (its last checkpoint is shown), or a
            checkpoint (.ckpt).
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    target = Path(path)
    if target.suffix == ".ckpt" or (target / "config.json").is_file():
        rows = _run(target)
    else:
        rows = _events(target)
    table = Table(show_header=False, title=path, title_justify="left")
    for name, value in rows.items():
        if value:
            table.add_row(name, escape(value))
    Console().print(table)


def _events(path: Path) -> dict[str, str]:
    from pcgen import io

    if not path.exists() and "%" not in path.name:
        raise FileError(f"{path}: no such file or folder")
    try:
        file = io.open_file(path)
    except FileError as error:
        if path.is_dir():
            reason = str(error).removeprefix(f"{path}: ")
            raise FileError(f"{path}: no run here, and no events ({reason})") from error
        raise
    with file as source:
        return _clouds(source) if isinstance(source, io.CloudSource) else _images(source)


def _clouds(file: io.CloudSource) -> dict[str, str]:
    import torch

    from pcgen import clouds as pc
    from pcgen.grids import Grid

    sizes, number = file.sizes(), len(file)
    rows = {"events": str(number), "points": str(int(sizes.sum()))}
    if number:
        mean = sizes.double().mean().item()
        rows["points of an event"] = f"{int(sizes.min())} to {int(sizes.max())}, mean {mean:.1f}"
        rows["empty events"] = str(int((sizes == 0).sum()))
        first = pc.attributes(file.read(0, 1))
        rows["attributes"] = ", ".join(
            f"{name} {value.dtype}".replace("torch.", "") for name, value in first.items()
        )
    rows |= _schema(file.schema)
    labels = file.labels()
    if labels is not None and file.schema.labels:
        counts = torch.bincount(labels, minlength=len(file.schema.labels)).tolist()
        pairs = zip(file.schema.labels, counts, strict=True)
        rows["classes"] = ", ".join(f"{name}: {count}" for name, count in pairs if count)
    if "grid" in file.attrs:
        rows["grid"] = str(Grid.from_dict(file.attrs["grid"]))
    return rows


def _images(file: io.ImageSource) -> dict[str, str]:
    shape = " x ".join(map(str, file.shape))
    grid = "not known" if file.grid is None else str(file.grid)
    rows = {"images": str(len(file)), "shape": shape, "grid": grid}
    return rows | ({} if file.schema is None else _schema(file.schema))


def _schema(schema: Schema) -> dict[str, str]:
    return {
        "axes": _told(schema.axes),
        "weight": _told((schema.weight,) if schema.weight else ()),
        "features": _told(schema.features),
        "condition": _told(schema.condition),
        "layers": ", ".join(schema.layers),
        "description": schema.description,
    }


def _told(quantities: tuple[Quantity, ...]) -> str:
    parts = []
    for quantity in quantities:
        period = f", period {quantity.period:.4g}" if quantity.period else ""
        parts.append(f"{quantity.name} [{quantity.unit or '1'}{period}]")
    return ", ".join(parts)


def _run(path: Path) -> dict[str, str]:
    from pcgen.training import RunFolder, checkpoint

    file = RunFolder(path).last if path.is_dir() else path
    if path.is_dir() and not file.exists():
        raise FileError(f"{path}: a run without a checkpoint yet, expected {file.name} in it")
    state = checkpoint.read(file)
    config = state.config
    rows = {
        "recipe": str(state.recipe),
        "steps": f"{state.step} of {config.get('steps', 'an unknown number')}",
        "best validation score": "none" if state.best is None else f"{state.best:.4g}",
        "data": ", ".join(map(str, config.get("data", ()))),
        "events": str(config.get("events", "")),
    }
    rows |= _trained(file, state)
    rows |= {f"  {name}": str(value) for name, value in state.arguments.items() if name != "schema"}
    rows["numbers in the model"] = f"{sum(value.numel() for value in state.model.values()):,}"
    return rows | _schema(Schema.from_dict(state.schema))


def _trained(file: Path, state: Checkpoint) -> dict[str, str]:
    """What the training split had, as far as the model knows; a user's own cannot be built here."""
    from pcgen.loading import build
    from pcgen.training import install

    try:
        model = install(file, build(file, state), state)
    except CheckpointError:
        return {}
    rows = {"classes in training": ", ".join(model.classes)}
    for column, quantity in enumerate(model.schema.condition):
        if (seen := model.condition_range) is not None:
            span = " to ".join(f"{float(end[column]):.4g}" for end in seen)
            rows[f"{quantity.name} in training"] = f"{span} {quantity.unit}".rstrip()
    return rows
