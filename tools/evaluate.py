"""``pcgen evaluate``: how far generated events are from real ones, beside real against real."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import metrics, plotting, report
from pcgen.datasets import open_clouds
from pcgen.errors import DataError, FileError
from pcgen.io import atomic, read_clouds
from pcgen.schema import Quantity, Schema


def evaluate(
    real: str,
    generated: str,
    *,
    output: str | None = None,
    split: str = "test",
    repeats: int = 10,
    subset: int = 100,
    seed: int = 0,
) -> None:
    """Compare generated events with real ones, beside the real-against-real floor.

    Prints and stores Wasserstein-1 distances of mass, transverse momentum, multiplicity, girth and
    the features of the particles, and coverage, minimum matching distance and 1-NN accuracy under
    the Chamfer and the earth mover's distance; draws the histograms.

    Args:
        real: File of real events.
        generated: File of generated events, in the same units.
        output: Folder for evaluation.json, table.txt and histograms.png; by default beside the
            generated file, named after it.
        split: Part of the real events to compare with: test, validation, train or all.
        repeats: Random halvings of the real events, for the uncertainties.
        subset: Events on each side of coverage, MMD and 1-NN accuracy; 0 leaves them out.
        seed: Seed of the halvings.
    """
    fake, fake_schema = read_clouds(generated)
    truth = open_clouds(real, split)
    schema = truth.schema
    _check_units(schema, fake_schema, generated)
    path = Path(generated)
    folder = make_folder(output or path.with_name(f"{path.stem}-evaluation"))
    events = truth.load()
    with Progress(transient=True) as bar:
        task = bar.add_task("scores", total=1.0)
        result = metrics.evaluate(
            events,
            fake,
            schema,
            repeats=repeats,
            subset=subset,
            seed=seed,
            progress=lambda done: bar.update(task, completed=done),
        )
    title = f"{generated} against {real} ({split}), {result.events} events a side"
    table = report.text_table({path.stem: result}, title)
    Console().print(table)
    store(folder, {path.stem: result}, table)
    figure = plotting.histograms(quantities(events, schema), {path.stem: quantities(fake, schema)})
    plotting.save(figure, folder / "histograms.png")
    print(f"written: {folder}")


def quantities(clouds: Batch, schema: Schema) -> dict[Quantity, Tensor]:
    """What the histograms show: observables of the events and features of their points."""
    return {**metrics.observables(clouds, schema), **metrics.point_features(clouds, schema)}


def store(folder: Path, evaluations: Mapping[str, metrics.Evaluation], table: Table) -> None:
    """Write evaluation.json and table.txt."""
    values = {name: evaluation.to_dict() for name, evaluation in evaluations.items()}
    with atomic(folder / "evaluation.json") as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    text = io.StringIO()
    Console(file=text, width=160).print(table)
    with atomic(folder / "table.txt") as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def make_folder(path: str | Path) -> Path:
    """Make a folder for results, or say why not.

    Raises:
        FileError: it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: cannot make the folder ({error.strerror})") from error
    return folder


def _check_units(real: Schema, generated: Schema, path: str) -> None:
    """Refuse to compare numbers that mean different things; descriptions and symbols may differ."""
    for name in ("axes", "weight", "features"):
        pair = [
            [(q.name, q.unit) for q in quantities if q]
            for quantities in (_listed(schema, name) for schema in (real, generated))
        ]
        if pair[0] != pair[1]:
            raise DataError(f"{path}: {name} are {pair[1]}, expected those of the real {pair[0]}")


def _listed(schema: Schema, name: str) -> tuple[Quantity | None, ...]:
    value = getattr(schema, name)
    return value if isinstance(value, tuple) else (value,)
