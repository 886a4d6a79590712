"""``pcgen info``: what is in a file of clouds, a run or a checkpoint."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pcgen import clouds as pc
from pcgen.errors import FileError
from pcgen.io import open_cloud_file
from pcgen.schema import Quantity, Schema
from pcgen.training import checkpoint
from pcgen.training.run import RunFolder


def info(path: str) -> None:
    """Say what is in a file of events, a run or a checkpoint.

    Args:
        path: File of clouds, folder of a run, or checkpoint (.ckpt).
    """
    target = Path(path)
    if not target.exists():
        raise FileError(f"{path}: no such file or folder")
    if target.is_dir():
        rows = _checkpoint(RunFolder(target).last)
    elif target.suffix == ".ckpt":
        rows = _checkpoint(target)
    else:
        rows = _clouds(target)
    table = Table(show_header=False, title=path, title_justify="left")
    for name, value in rows.items():
        table.add_row(name, escape(value))
    Console().print(table)


def _clouds(path: Path) -> dict[str, str]:
    with open_cloud_file(path) as file:
        sizes = file.sizes()
        first = file.read(0, min(len(file), 1000))
        schema = file.schema
        number = len(file)
    rows = {"events": str(number), "points": str(int(sizes.sum()))}
    if number:
        rows["points of an event"] = f"{int(sizes.min())} to {int(sizes.max())}, "
        rows["points of an event"] += f"mean {sizes.double().mean().item():.1f}"
        rows["empty events"] = str(int((sizes == 0).sum()))
        rows["attributes"] = ", ".join(
            f"{n} {value.dtype}".replace("torch.", "") for n, value in pc.attributes(first).items()
        )
    return rows | _schema(schema)


def _schema(schema: Schema) -> dict[str, str]:
    rows = {
        "axes": _told(schema.axes),
        "weight": _told((schema.weight,) if schema.weight else ()),
        "features": _told(schema.features),
        "condition": _told(schema.condition),
        "classes": ", ".join(schema.labels),
        "layers": ", ".join(schema.layers),
        "description": schema.description,
    }
    return {name: value for name, value in rows.items() if value}


def _told(quantities: tuple[Quantity, ...]) -> str:
    parts = []
    for quantity in quantities:
        period = f", period {quantity.period:.4g}" if quantity.period else ""
        parts.append(f"{quantity.name} [{quantity.unit or '1'}{period}]")
    return ", ".join(parts)


def _checkpoint(path: Path) -> dict[str, str]:
    state = checkpoint.read(path)
    rows = {"recipe": str(state.recipe), "step": str(state.step)}
    rows |= {f"  {name}": str(value) for name, value in state.arguments.items()}
    parameters = sum(value.numel() for value in state.model.values())
    return (
        rows | {"numbers in the model": f"{parameters:,}"} | _schema(Schema.from_dict(state.schema))
    )
