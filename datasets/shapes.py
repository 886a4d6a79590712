"""Shapes: clouds on the surfaces of labelled primitives, any number of them.

========= ======== ==========================================================================
pos       [N, 3]   (x, y, z) on the surface; its bounding box is centred, with a diagonal of 1
label     [B]      class of the primitive, box or torus say
========= ======== ==========================================================================

The meshes are those of :mod:`pcgen.datasets.primitives`; points are uniform on their surface
(:mod:`pcgen.ops.surfaces`), of which a shape has as many as the others. Shapes of the classes
follow each other in turn. z is the axis of cylinders, cones, tori and arrows.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.bounds import POINTS
from pcgen.datasets.primitives import PRIMITIVES, Rotation, primitive
from pcgen.datasets.simulation import Chunk, Output, Workers, check, load, pieces, simulated
from pcgen.errors import ArgumentError
from pcgen.io import CloudWriter
from pcgen.ops.surfaces import in_unit_box, sample_surface
from pcgen.schema import Quantity, Schema

CHUNK = 500  #: shapes of a chunk, some seconds of work
REVISION = 1  #: of the meshes; another one gives other shapes of a seed
ENDINGS = (".h5", ".hdf5")

SHAPES = Schema(
    tuple(Quantity(axis) for axis in "xyz"),
    labels=tuple(PRIMITIVES),
    description="points on the surfaces of geometric primitives",
)


class Points(NamedTuple):
    """Shapes of a chunk.

    Attributes:
        pos: [B, N, 3] float32.
        label: Class of each [B].
    """

    pos: NDArray[np.float32]
    label: NDArray[np.int64]


def simulate_shapes(
    output: str | Path,
    *,
    number: int,
    points: int = 2048,
    classes: Sequence[str] | None = None,
    rotation: Rotation = "upright",
    seed: int = 0,
    processes: int = 1,
    dask: str | None = None,
    progress: bool = True,
) -> Path:
    """Generate shapes and write them to a file.

    The shapes depend on all arguments but ``processes``, ``dask`` and ``progress``, and the first
    ones not on ``number``. What an interrupted call has finished is kept in the folder
    ``<output>.parts`` and used by the next one; a call for a file that is complete returns at once.

    Args:
        output: File to write, ending in .h5 or .hdf5.
        number: Shapes of each class.
        points: Of a shape.
        classes: Some of :data:`~pcgen.datasets.primitives.PRIMITIVES`; None: all.
        rotation: Of each shape: about z ("upright"), any, or none.
        seed: 0 to 2³² - 1.
        processes: Worker processes; 1 works in this one. With more, a script needs Python's usual
            ``if __name__ == "__main__":``.
        dask: Address of a Dask scheduler, whose workers do the work instead, or ``local``
            (:func:`pcgen.cluster.connected`).
        progress: Whether to draw a progress bar.

    Returns:
        ``output``.

    Raises:
        ArgumentError: an argument is out of range.
        FileError: the output cannot be written or holds other data.
        MissingExtraError: Open3D cannot be imported; or Dask, where there is a scheduler.
    """
    output, names = Path(output), list(PRIMITIVES if classes is None else classes)
    workers = Workers(processes, dask, progress)
    check(output, ENDINGS, number=number, seed=seed, workers=workers, what="shapes")
    _check(names, points, rotation)
    total = number * len(names)
    record = {
        "generator": "primitives of Open3D",
        "revision": REVISION,
        "open3d": importlib.metadata.version("open3d"),
        "shapes_per_class": number,
        "points": points,
        "classes": names,
        "rotation": rotation,
        "seed": seed,
    }
    chunks = [
        Chunk("shapes", k, n, (seed, first, n, names, points, rotation))
        for k, first, n in pieces(total, CHUNK, points)
    ]
    write = partial(_write, output, chunks, record)
    simulated([Output(output, record, write)], generate, chunks, what="shapes", workers=workers)
    return output


def _check(names: Sequence[str], points: int, rotation: str) -> None:
    unknown = [name for name in names if name not in PRIMITIVES]
    if unknown or not names or len(set(names)) < len(names):
        raise ArgumentError(
            f"classes: got {', '.join(unknown or names) or 'none'}, expected different ones of "
            f"{', '.join(PRIMITIVES)}"
        )
    POINTS.allow(points=points)
    if rotation not in ("none", "upright", "any"):
        raise ArgumentError(f"rotation: got {rotation!r}, expected none, upright or any")


def generate(
    seed: int, first: int, number: int, classes: Sequence[str], points: int, rotation: Rotation
) -> Points:
    """Shapes ``first`` to ``first + number``, each a function of the seed and its own number."""
    known, pos, label = list(PRIMITIVES), [], []
    for k in range(first, first + number):
        random = np.random.default_rng((seed, k))
        name = classes[k % len(classes)]
        surface = primitive(name, random, rotation)
        draw = torch.Generator().manual_seed(int(random.integers(2**63)))
        vertices, triangles = map(torch.from_numpy, surface)
        vertices = in_unit_box(vertices, triangles)
        pos.append(sample_surface(vertices, triangles, points, draw).float().numpy())
        label.append(known.index(name))
    return Points(np.stack(pos), np.array(label, np.int64))


def _write(output: Path, chunks: Sequence[Chunk], record: dict[str, Any], parts: Path) -> None:
    with CloudWriter(output, SHAPES, attrs={"simulation": record}) as writer:
        for chunk in chunks:
            writer.append(to_clouds(load(chunk, parts, Points)))


def to_clouds(shapes: Points) -> Batch:
    """Shapes as clouds."""
    number, points, _ = shapes.pos.shape
    return convention.make(
        torch.from_numpy(shapes.pos.reshape(-1, 3)),
        [points] * number,
        label=torch.from_numpy(shapes.label),
    )
