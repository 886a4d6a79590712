"""Where the events of rows are: files, their digests, and copies without what is outside a grid."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from pcgen import clouds as pc
from pcgen.datasets import jets
from pcgen.datasets.loading import open_clouds
from pcgen.grids import Grid
from pcgen.images.placing import layer_of
from pcgen.io import CloudWriter, open_cloud_file
from pcgen.tools.comparison.study import SAMPLE, Data

_BLOCK = 10_000  # events that are copied at a time


class Placed(NamedTuple):
    """Files that rows read.

    Attributes:
        files: Absolute paths.
        digests: Of the files that the study names (:func:`pcgen.datasets.provenance.digest`).
    """

    files: tuple[str, ...]
    digests: tuple[str, ...]


def find(data: Data) -> Placed:
    """Find the events that a study names.

    Raises:
        PcgenError: a file cannot be read.
    """
    named = [str(jets.SAMPLE) if file == SAMPLE else file for file in data.files]
    files = [os.path.realpath(file) for file in named]
    return Placed(tuple(files), tuple(open_clouds(files, "all").digests()))


def copied(placed: Placed, data: Data, folder: Path) -> Placed:
    """The same events without points that are no part of them, in copies that are written once.

    Raises:
        PcgenError: the grid does not fit a file, or a copy cannot be written.
    """
    if data.within is None:
        return placed
    pairs = zip(map(Path, placed.files), placed.digests, strict=True)
    copies = (str(_inside(file, data.within, digest, folder)) for file, digest in pairs)
    return placed._replace(files=tuple(copies))


def _inside(file: Path, within: str, digest: str, folder: Path) -> Path:
    """A copy of a file without the points outside a grid; events keep their numbers."""
    mark = hashlib.sha256(f"{within} {digest}".encode()).hexdigest()[:8]
    copy = folder / f"{file.stem}-{mark}.h5"
    if copy.exists():
        return copy
    folder.mkdir(parents=True, exist_ok=True)
    with open_cloud_file(file) as source:
        grid = Grid.parse(within, source.schema.axes).matched(source.schema)
        with CloudWriter(copy, source.schema) as writer:
            for start in range(0, len(source), _BLOCK):
                clouds = source.read(start, min(start + _BLOCK, len(source)))
                inside = grid.locate(clouds.pos, layer_of(clouds, grid)).inside
                writer.append(pc.select_points(clouds, inside))
    return copy
