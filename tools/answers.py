"""``pcgen evaluate --protocol conditional``: several answers to each input beside its truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcgen.errors import ArgumentError, DataError
from pcgen.tools.meaning import check_comparable, check_points

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table
    from torch import Tensor
    from torch_geometric.data import Batch

    from pcgen import metrics
    from pcgen.schema import Quantity, Schema
    from pcgen.tools.selection import Range


def evaluate_answers(
    real: str,
    generated: str,
    *,
    folder: Path,
    split: str,
    classes: list[str] | None,
    within: list[Range],
    subset: int | None,
    context: str | None,
    responses: str | None,
    answers: int | None,
    seed: int,
) -> list[str]:
    """Score answers, print and store the table; arguments are those of ``pcgen evaluate``.

    Returns:
        Lines on what the table does not say.

    Raises:
        ArgumentError: the number of answers is not known, or they are not as many to each truth.
        DataError: a file means something else than the real events.
    """
    import torch
    from rich.console import Console

    from pcgen import clouds as pc
    from pcgen import metrics, plotting
    from pcgen.datasets import open_clouds
    from pcgen.datasets.splits import split_index
    from pcgen.tools.evaluation_files import remarks, store
    from pcgen.tools.selection import select

    everything = open_clouds(real, "all")
    schema, events = everything.schema, everything.load()
    chosen = split_index(len(everything), split)
    chosen = chosen[select(pc.select(events, chosen), schema, classes, within, real)]
    check_points(everything.sizes()[chosen], real)
    of_split = split_index(len(everything), split)
    places = torch.searchsorted(of_split, chosen)
    counts = (len(everything), len(of_split))
    found, number = _answers(generated, schema, answers, counts, chosen, places)
    repeats = None
    if responses is not None:
        repeats, _ = _answers(responses, schema, None, counts, chosen, places)
    given: dict[str, Any] = {}
    if context is not None:
        given = _context(context, len(everything), chosen)
    inputs = metrics.Inputs(
        pc.replace(pc.select(events, chosen), context=None),
        schema,
        subset=100 if subset is None else subset,
        seed=seed,
        **given,
    )
    name = Path(generated).stem
    results = metrics.evaluate_answers(inputs, found, number, responses=repeats, name=name)
    part = ", ".join([split, *(classes or ()), *map(str, within)])
    title = (
        f"{number} answers of {Path(generated).name} to each of {len(chosen)} events of "
        f"{Path(real).name} ({part}), protocol conditional"
    )
    table = _table(results, title)
    Console().print(table)
    store(folder, results, table)
    plotting.save(_figure(inputs, found, number, name), folder / "answers.png")
    return [*_remarks(number, repeats), *remarks(results[name])]


def _table(results: Mapping[str, metrics.Evaluation], title: str) -> Table:
    """Floor, answers with their distance from it, mean and copy; what is far is in bold."""
    from rich import box
    from rich.table import Table

    from pcgen.escaping import markup
    from pcgen.report.tables import far, has_distance, number

    name, *others = results
    table = Table(title=markup(title), box=box.SIMPLE)
    for column in ("score", "floor", name, "z", *others):
        table.add_column(markup(column), justify="left" if column == "score" else "right")
    beside = [{score.name: score for score in results[each].scores} for each in others]
    for score in results[name].scores:
        value = number(score.value, score.error)
        known = math.isfinite(score.floor)
        table.add_row(
            markup(f"{score.name} [{score.unit}]" if score.unit else score.name),
            number(score.floor, score.floor_error) if known else "",
            f"[bold]{value}[/]" if known and far(score) else value,
            f"{score.z:+.1f}" if has_distance(score) else "",
            *(f"{each[score.name].value:.3g}" if score.name in each else "" for each in beside),
        )
    return table


def _figure(inputs: metrics.Inputs, made: Batch, number: int, name: str) -> Figure:
    """Calibration of all observables, and response of two that inputs and truths have."""
    import torch

    from pcgen import metrics, plotting
    from pcgen.plotting.ranks import Points

    truth = metrics.observables(inputs.truth, inputs.schema)
    values = metrics.observables(made, inputs.schema)
    found = {q: values[q].view(-1, number) for q in truth}
    generator = torch.Generator().manual_seed(inputs.seed)
    ranks = {q: metrics.scores.ranks(truth[q], found[q], generator) for q in truth}
    responses: dict[Quantity, dict[str, Points]] = {}
    if inputs.context is not None and inputs.context_schema is not None:
        of_inputs = metrics.observables(inputs.context, inputs.context_schema)
        for q, reference in of_inputs.items():
            wanted = q.name in ("pt", "mass") or q.name.startswith("total_")
            if not wanted or q not in truth or not bool((reference > 0).any()):
                continue
            edges = metrics.scores.bin_edges(reference, 6)
            middle = 0.5 * (edges[:-1] + edges[1:])
            sides = {"truth": truth[q][:, None], name: found[q]}
            seen = {n: metrics.scores.ratios(reference, v, edges) for n, v in sides.items()}
            responses[q] = {n: Points(middle, r.mean, r.spread) for n, r in seen.items()}
    return plotting.answers(ranks, responses)


def _remarks(number: int, repeats: Batch | None) -> list[str]:
    if repeats is not None:
        return ["floors: repeated responses of the detector to the same inputs"]
    if number < 3:
        return ["energy scores have no floor: two answers to each event or fewer, and no responses"]
    return [
        "floors of energy scores: one answer in the place of the truth, the others answer; "
        "--responses FILE takes repeated responses of the detector instead"
    ]


def _answers(
    path: str,
    schema: Schema,
    number: int | None,
    counts: tuple[int, int],
    chosen: Tensor,
    places: Tensor,
) -> tuple[Batch, int]:
    """Answers to the chosen events, one after the other, and how many to each.

    Args:
        path: File of answers to all events, or to those of the split.
        schema: Of the events.
        number: Answers to each; None: as the file states it, or as its length gives.
        counts: Events of the file of truths, and of the split.
        chosen: Numbers of the chosen events in the file,
        places: and in the split.
    """
    import torch

    from pcgen import clouds as pc
    from pcgen.datasets.voxel_clouds import open_events

    with open_events(path) as source:
        clouds, attrs = source.read(check=False), source.attrs
        check_comparable(schema, source.schema, path)
    stated = attrs.get("answers") if number is None else number
    for total, rows in zip(counts, (chosen, places), strict=True):
        each = stated if isinstance(stated, int) else clouds.num_graphs // max(total, 1)
        if each > 0 and clouds.num_graphs == each * total:
            picked = (rows[:, None] * each + torch.arange(each)).flatten()
            clouds = pc.cast(pc.select(clouds, picked), torch.get_default_dtype())
            check_points(pc.sizes(clouds), path)
            return pc.replace(clouds, context=None), each
    written = f" ({stated} to each)" if stated is not None else ""
    raise ArgumentError(
        f"{path}: got {clouds.num_graphs} answers{written}, expected as many to each of the "
        f"{counts[0]} events, or of the {counts[1]} of the split"
    )


def _context(path: str, total: int, chosen: Tensor) -> dict[str, Any]:
    """Contexts of the chosen events and what they mean."""
    import torch

    from pcgen import clouds as pc
    from pcgen.datasets.contexts import open_contexts

    with open_contexts(path) as source:
        if len(source) != total:
            raise DataError(
                f"{path}: got {len(source)} contexts, expected one for each of the {total} events"
            )
        clouds, schema = source.read(), source.schema
    clouds = pc.cast(pc.select(clouds, chosen), torch.get_default_dtype())
    return {"context": clouds, "context_schema": schema}
