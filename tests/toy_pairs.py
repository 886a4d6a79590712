"""Truth and what a toy detector makes of it: pairs whose law is known."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.io import write_clouds
from pcgen.schema import Quantity, Schema

AXES = (Quantity("x", "mm"), Quantity("y", "mm"))
PT = (Quantity("pt", "GeV"),)
LABELS = ("a", "b")
CONTEXT = Schema(AXES, Quantity("energy", "GeV"), condition=PT, labels=LABELS)
SCHEMA = Schema(
    AXES, Quantity("signal", "ADC"), condition=PT, labels=LABELS, layers=("front", "back")
)


def truths(number: int, seed: int = 0, *, low: int = 0, high: int = 8) -> Batch:
    """Clouds of ``low`` to ``high`` points, energies of 1 to 10 GeV."""
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.randint(low, high + 1, (number,), generator=draw)
    points = int(sizes.sum())
    clouds = pc.make(
        2 * torch.rand(points, 2, generator=draw) - 1,
        sizes,
        weight=1 + 9 * torch.rand(points, generator=draw),
        label=torch.randint(2, (number,), generator=draw),
    )
    return pc.replace(clouds, y=pc.total(clouds)[:, None] + 1)


def measured(truth: Batch, seed: int = 0) -> Batch:
    """Each point is seen with probability 0.8, near where it is, with 3 times its energy."""
    draw = torch.Generator().manual_seed(1000 + seed)
    seen = torch.rand(len(truth.pos), generator=draw) < 0.8
    some = pc.select_points(truth, seen)
    return pc.replace(
        some,
        pos=some.pos + 0.05 * torch.randn(some.pos.shape, generator=draw),
        weight=3 * some.weight,
        layer=(some.pos[:, 0] > 0).long(),
    )


def pairs(number: int, seed: int = 0, **options: int) -> Batch:
    """Events with the truths that they come from."""
    truth = truths(number, seed, **options)
    return pc.replace(measured(truth, seed), context=truth)


def write_pairs(folder: Path, number: int = 100, seed: int = 0) -> tuple[str, str]:
    """A file of events and one of their contexts."""
    events = pairs(number, seed)
    files = folder / "events.h5", folder / "truth.h5"
    write_clouds(files[0], events, SCHEMA)
    write_clouds(files[1], pc.context(events), CONTEXT)
    return str(files[0]), str(files[1])


def equal(one: Batch, other: Batch) -> bool:
    """Whether two batches have the same attributes, sizes and contexts."""
    values, others = pc.attributes(one), pc.attributes(other)
    same = values.keys() == others.keys() and torch.equal(one.ptr, other.ptr)
    same = same and all(torch.equal(values[name], others[name]) for name in values)
    contexts = pc.context(one), pc.context(other)
    if contexts[0] is None or contexts[1] is None:
        return same and contexts[0] is contexts[1]
    return same and equal(*contexts)


def moved(context: Batch, order: Tensor) -> Batch:
    """The points of contexts in another order."""
    rows = {n: v[order] for n, v in pc.attributes(context).items() if n in pc.POINT_ATTRIBUTES}
    return pc.replace(context, **rows)
