"""Rows without a model: what real events score against real ones.

``truth``: cells of one half against cells of the other, disjoint half. ``pixelised``: particles of
one half against cells of the other, which is what is lost by the grid alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pcgen import clouds as pc
from pcgen.tools.comparison import scores
from pcgen.tools.comparison.events import load
from pcgen.tools.comparison.rows import Row
from pcgen.tools.comparison.study import Study

SPINE = "floor"
NETWORKS = ("truth", "pixelised")


def rows(resolutions: list[int], cuts: int) -> list[Row]:
    """So many random cuts at each resolution."""
    return [
        Row(SPINE, network, "real", resolution, cut)
        for resolution in resolutions
        for network in NETWORKS
        for cut in range(cuts)
    ]


def run(row: Row, study: Study, folder: Path) -> dict[str, Any]:
    """Scores of one half of the test split against the other; the row's seed draws the cut."""
    events = load(study, row.resolution)
    number = min(study.events, events.test.num_graphs // 2)
    order = torch.randperm(
        events.test.num_graphs, generator=torch.Generator().manual_seed(row.seed)
    )
    real, generated = (pc.select(events.test, part) for part in order[: 2 * number].split(number))
    if row.network == "truth":
        real = events.on_grid(real)
    found = scores.judge(
        real,
        events.on_grid(generated),
        events.grid,
        events.schema,
        neighbours=study.neighbours,
        seed=row.seed,
    )
    return {"status": "done", "converged": True, "events": number, **found}
