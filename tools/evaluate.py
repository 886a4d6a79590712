"""``pcgen evaluate``: how far generated events are from real ones, beside real against real."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import metrics, plotting, report
from pcgen.datasets import open_clouds
from pcgen.errors import DataError, FileError
from pcgen.io import atomic, read_clouds
from pcgen.metrics import protocols
from pcgen.schema import Quantity, Schema


def evaluate(
    real: str,
    generated: str,
    *,
    output: str | None = None,
    split: str = "test",
    protocol: Literal["pcgen"] = "pcgen",
    repeats: int = 10,
    subset: int = 100,
    permutations: int = 200,
    seed: int = 0,
) -> None:
    """Compare generated events with real ones, beside the real-against-real floor.

    Prints and stores Wasserstein-1 distances of mass, transverse momentum, multiplicity, girth and
    the features of the particles, and coverage, minimum matching distance and 1-NN accuracy under
    the Chamfer and the earth mover's distance; draws the histograms.

    Args:
        real: File of real events.
        generated: File of generated events, in the same units.
        output: Folder for evaluation.json, the table (txt, md, tex) and histograms.png; by default
            beside the generated file, named after it.
        split: Part of the real events to compare with: test, validation, train or all.
        repeats: Random halvings of the real events, for the uncertainties.
        subset: Events on each side of coverage, MMD and 1-NN accuracy; 0 leaves them out.
        permutations: Random cuts of the permutation tests; 0 leaves them out.
        seed: Seed of everything random.
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
            protocol=protocols.pcgen(repeats=repeats, subset=subset),
            permutations=permutations,
            seed=seed,
            progress=lambda done: bar.update(task, completed=done),
        )
    title = f"{generated} against {real} ({split}), protocol {protocol}"
    table = report.text_table({path.stem: result}, title)
    Console().print(table)
    for line in remarks(result):
        print(line)
    store(folder, {path.stem: result}, table)
    figure = plotting.histograms(quantities(events, schema), {path.stem: quantities(fake, schema)})
    plotting.save(figure, folder / "histograms.png")
    print(f"written: {folder}")


def quantities(clouds: Batch, schema: Schema) -> dict[Quantity, Tensor]:
    """What the histograms show: observables of the events and features of their points."""
    return {**metrics.observables(clouds, schema), **metrics.point_features(clouds, schema)}


def remarks(evaluation: metrics.Evaluation) -> list[str]:
    """What the table does not say: events that were left out and scores that are not defined."""
    lines = []
    for side, broken in zip(("real", "generated"), evaluation.broken, strict=True):
        if broken:
            shown = ", ".join(map(str, broken[:10])) + ", ..." * (len(broken) > 10)
            lines.append(
                f"{len(broken)} {side} events hold NaN or infinite values, left out: {shown}"
            )
    for side, number in zip(("real", "generated"), evaluation.weightless, strict=True):
        if number:
            lines.append(f"{number} {side} events have no weight, left out of scores over pairs")
    if evaluation.undefined:
        lines.append(f"not defined for these events: {', '.join(evaluation.undefined)}")
    return lines


def store(
    folder: Path,
    evaluations: Mapping[str, metrics.Evaluation],
    table: Table,
    floors: Mapping[str, metrics.Evaluation] | None = None,
) -> None:
    """Write evaluation.json and the table as table.txt, table.md and table.tex."""
    values = {name: evaluation.to_dict() for name, evaluation in evaluations.items()}
    with atomic(folder / "evaluation.json") as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    text = io.StringIO()
    Console(file=text, width=160).print(table)
    texts = {
        "table.txt": text.getvalue(),
        "table.md": report.markdown_table(evaluations, floors=floors) + "\n",
        "table.tex": report.latex_table(evaluations, floors=floors) + "\n",
    }
    for name, content in texts.items():
        with atomic(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


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
