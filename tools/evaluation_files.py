"""What ``pcgen evaluate`` writes and says beside its table."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcgen.schema import Quantity, Schema

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor
    from torch_geometric.data import Batch

    from pcgen import metrics


def quantities(clouds: Batch, schema: Schema) -> dict[Quantity, Tensor]:
    """What the histograms show: observables of the events and features of their points."""
    from pcgen import metrics

    return {**metrics.observables(clouds, schema), **metrics.point_features(clouds, schema)}


def remarks(evaluation: metrics.Evaluation) -> list[str]:
    """What the table does not say: events that were left out and scores that are not defined."""
    lines = []
    for side, broken in zip(("real", "generated"), evaluation.broken, strict=True):
        if broken:
            shown = ", ".join(map(str, broken[:10])) + ", ..." * (len(broken) > 10)
            lines.append(
                f"{side} events with NaN or infinite values, left out: {shown} ({len(broken)})"
            )
    for side, number in zip(("real", "generated"), evaluation.weightless, strict=True):
        if number:
            lines.append(f"{number} {side} events have no weight, left out of scores over pairs")
    few = [s.name for s in evaluation.scores if math.isnan(s.value) or math.isnan(s.error)]
    if few:
        lines.append(f"nan: fewer than two events for {', '.join(few)}")
    return [*lines, *evaluation.not_defined]


def store(
    folder: Path,
    evaluations: Mapping[str, metrics.Evaluation],
    table: Table,
    floors: Mapping[str, metrics.Evaluation] | None = None,
) -> None:
    """Write evaluation.json and the table as table.txt, table.md and table.tex."""
    from rich.console import Console

    from pcgen import report
    from pcgen.io import atomic

    values = {name: evaluation.to_dict() for name, evaluation in evaluations.items()}
    write_json(folder / "evaluation.json", values)
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


def write_json(file: Path, values: Any) -> None:
    """Write plain values in which every number has a word of JSON."""
    from pcgen.io import atomic

    with atomic(file) as temporary:
        text = json.dumps(values, indent=2, allow_nan=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")
