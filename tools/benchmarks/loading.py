"""Loading and converting: beside PyG's DataLoader, a copy of memory and the plain read of a file.

All contenders deliver the same clouds, one epoch in batches of :data:`BATCH`, and take turns. What
bounds them is the *copy*: the same bytes once from memory to memory, or from the file to memory.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from pcgen import clouds as pc
from pcgen import images
from pcgen.datasets.loading import CloudDataset, open_clouds
from pcgen.grids import Calorimeter, Grid
from pcgen.io import JETS, write_clouds
from pcgen.schema import Quantity, Schema
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import Case, Contender, Limits, Run, Table, compare

BATCH = 128
HITS = Schema(
    axes=tuple(Quantity(name, "mm") for name in "xyz"),
    weight=Quantity("energy", "MeV"),
    condition=(Quantity("incident_energy", "MeV"),),
)
GRID = Grid.regular({"eta": (-1.0, 1.0, 40), "phi": (-1.0, 1.0, 40)})
CYLINDER = Calorimeter.cylindrical([[4.65 * i for i in range(10)]] * 45, [16] * 45)


class Stored(NamedTuple):
    """Clouds in memory, in a file, and as PyG's list."""

    clouds: Batch
    dataset: CloudDataset
    events: list[Data]
    path: Path


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """Epochs of jets and of showers, and conversions."""
    with tempfile.TemporaryDirectory() as folder:
        jets = compare(_jets(Path(folder), quick), LOADERS, limits, report)
        showers = compare(_showers(Path(folder), quick), READERS, limits, report)
        turned = compare(_images(quick), CONVERSIONS, limits, report)
    return "\n\n".join(
        [
            "## Loading and converting",
            f"One epoch of random batches of {BATCH} clouds. *PyG*: its `DataLoader` over a list "
            "of `Data` in memory. *copy*: the same bytes once from memory to memory.",
            _table(jets),
            "Showers beyond what the loader keeps in memory (4 million points), from pcgen's file "
            "in the cache of the system. *read*: the arrays of that file in their order, by h5py.",
            _table(showers),
            "A batch from images to clouds and back, beside a copy of the images: jets of 30 "
            "particles on 40 x 40 cells, showers in the 6,480 voxels of the CaloChallenge's data "
            "set 2, a tenth of them lit.",
            _table(turned),
        ]
    )


def _table(results: Table) -> str:
    """A row for each contender of each case; the last one is the limit."""
    rows = []
    for case, row in results.items():
        *_, limit = row.values()
        ours = next(iter(row.values()))
        for name, result in row.items():
            if result.reason:
                rows.append([case, name, result.reason, "", ""])
                continue
            over = [md.number(result.total / other.total) for other in (ours, limit)]
            rows.append([case, name, md.milliseconds(result), *over])
    return md.table(["", "contender", "ms", "over ours", "over the last"], rows)


# --- loaders --------------------------------------------------------------------------------------


def _epoch(stored: Stored) -> Run:
    batches = stored.dataset.batches(BATCH)
    stored.dataset.gather([0])  # what is kept in memory is there before the clock runs
    epochs = iter(range(1 << 30))

    def forward() -> Tensor:
        first = next(epochs) * batches.per_epoch()
        return _points(batches(first + step) for step in range(batches.per_epoch()))

    return Run(forward)


def _pyg(stored: Stored) -> Run:
    loader = DataLoader(stored.events, batch_size=BATCH, shuffle=True, drop_last=True)
    return Run(lambda: _points(loader))


def _copy(stored: Stored) -> Run:
    arrays = [stored.clouds.pos, stored.clouds.weight, stored.clouds.batch]
    return Run(lambda: torch.stack([array.clone()[-1:].sum() for array in arrays]))


def _read(stored: Stored) -> Run:
    def forward() -> Tensor:
        with h5py.File(stored.path) as file:
            return torch.tensor([float(file[name][()].shape[0]) for name in ("pos", "weight")])

    return Run(forward)


def _points(batches: Iterable[Batch]) -> Tensor:
    return torch.tensor([float(len(batch.pos)) for batch in batches])


LOADERS: list[Contender[Stored]] = [
    Contender("pcgen", _epoch, "ours"),
    Contender("PyG DataLoader", _pyg, module="torch_geometric"),
    Contender("copy", _copy, "limit"),
]
READERS: list[Contender[Stored]] = [
    Contender("pcgen", _epoch, "ours"),
    Contender("read", _read, "limit", module="h5py"),
    Contender("copy", _copy, "limit"),
]


def _jets(folder: Path, quick: bool) -> list[Case[Stored]]:
    number = 2 * BATCH if quick else 80 * BATCH
    return [
        Case(f"{number:,} jets of {n} points", float(number * n), partial(
            _stored, folder / f"jets{n}.h5", number, n, JETS))
        for n in ((30,) if quick else (30, 150))
    ]  # fmt: skip


def _showers(folder: Path, quick: bool) -> list[Case[Stored]]:
    number, points = (BATCH, 100) if quick else (40 * BATCH, 1000)
    make = partial(_stored, folder / "showers.h5", number, points, HITS, listed=False)
    return [Case(f"{number:,} showers of {points:,} points", float(number * points), make)]


def _stored(path: Path, number: int, points: int, schema: Schema, *, listed: bool = True) -> Stored:
    """Clouds of ``points`` / 2 to 3/2 ``points`` points, ``points`` in the mean."""
    random = torch.Generator().manual_seed(0)
    sizes = torch.randint(points // 2, points + points // 2 + 1, (number,), generator=random)
    total = int(sizes.sum())
    clouds = pc.make(
        torch.randn(total, len(schema.axes), generator=random),
        sizes,
        weight=torch.rand(total, generator=random),
        y=torch.rand(number, 1, generator=random),
        label=torch.arange(number) % len(schema.labels) if schema.labels else None,
    )
    write_clouds(path, clouds, schema)
    events = clouds.to_data_list() if listed else []
    return Stored(clouds, open_clouds(path, "all"), events, path)


# --- conversions ----------------------------------------------------------------------------------


class Images(NamedTuple):
    """Dense images, the clouds in them, and the functions between the two."""

    dense: Tensor
    clouds: Batch
    to_clouds: Callable[[Tensor], Batch]
    to_dense: Callable[[Batch], Tensor]


def _into_clouds(given: Images) -> Run:
    return Run(lambda: given.to_clouds(given.dense).weight)


def _into_images(given: Images) -> Run:
    return Run(lambda: given.to_dense(given.clouds))


def _clone(given: Images) -> Run:
    return Run(lambda: given.dense.clone())


CONVERSIONS: list[Contender[Images]] = [
    Contender("images to clouds", _into_clouds, "ours"),
    Contender("clouds to images", _into_images, "ours"),
    Contender("copy of the images", _clone, "limit"),
]


def _images(quick: bool) -> list[Case[Images]]:
    number = 16 if quick else 1024
    of_grid = (
        lambda dense: images.image_to_cloud(dense, GRID),
        lambda clouds: images.cloud_to_image(clouds, GRID),
    )
    of_voxels = (
        lambda rows: images.shower_to_cloud(rows, CYLINDER),
        lambda clouds: images.cloud_to_shower(clouds, CYLINDER),
    )
    return [
        Case(
            f"{number:,} {name}",
            float(number * math.prod(shape)),
            partial(_lit, (number, *shape), share, *functions),
        )
        for name, shape, share, functions in (
            ("jets", GRID.shape, 30 / 1600, of_grid),
            ("showers", (CYLINDER.voxels,), 0.1, of_voxels),
        )
    ]


def _lit(
    shape: tuple[int, ...],
    share: float,
    to_clouds: Callable[[Tensor], Batch],
    to_dense: Callable[[Batch], Tensor],
) -> Images:
    """Images of which a share of the cells is lit."""
    random = torch.Generator().manual_seed(0)
    dense = torch.rand(shape, generator=random)
    dense *= torch.rand(shape, generator=random) < share
    return Images(dense, to_clouds(dense), to_clouds, to_dense)
