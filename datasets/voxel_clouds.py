"""Files of showers as files of clouds: a point for each voxel with energy, at its centre."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from torch_geometric.data import Batch

from pcgen.errors import FileError
from pcgen.grids import Calorimeter
from pcgen.images import shower_to_cloud
from pcgen.io import CloudSource, ShowerSource, open_file
from pcgen.io.hits import HitSource


class VoxelClouds(HitSource):
    """The showers of a file as clouds in their calorimeter; made by :func:`open_events`.

    Args:
        source: Open, with a calorimeter.
        cells: The calorimeter.
    """

    def __init__(self, source: ShowerSource, cells: Calorimeter) -> None:
        self.path, self.source, self._cells = source.path, source, cells
        self.schema = dataclasses.replace(cells.schema, condition=source.schema.condition)
        self.attrs: dict[str, Any] = {**source.attrs, "calorimeter": cells.to_dict()}

    @property
    def calorimeter(self) -> Calorimeter:
        """The voxels."""
        return self._cells

    def __reduce__(self) -> tuple[type[VoxelClouds], tuple[ShowerSource, Calorimeter]]:
        return VoxelClouds, (self.source, self._cells)

    def __len__(self) -> int:
        return len(self.source)

    def close(self) -> None:
        self.source.close()

    def _read(self, start: int, stop: int) -> Batch:
        # Checked there: a voxel that is negative would be no point, and be forgotten.
        showers = self.source.read(start, stop)
        return shower_to_cloud(showers.image, self._cells, y=showers.y, label=showers.label)


def open_events(
    path: str | Path,
    *,
    format: str | None = None,
    label: str | None = None,
    calorimeter: Calorimeter | None = None,
) -> CloudSource:
    """Open a file of clouds, or one of showers whose voxels have known places.

    Args:
        path: File; for point files also a folder or a name such as ``event_%05d.ply``.
        format: A name of the table of formats; None: by ending and content.
        label: Class of all jets of a JetNet file; None: as the file or its name states it.
        calorimeter: The voxels of showers; None: those that the file stores.

    Raises:
        ArgumentError: the ending or the format is unknown.
        FileError: the file is missing, truncated, or holds no events that are clouds; or showers in
            an unknown calorimeter.
    """
    source = open_file(path, format=format, label=label, calorimeter=calorimeter)
    if isinstance(source, CloudSource):
        return source
    if isinstance(source, ShowerSource) and source.calorimeter is not None:
        return VoxelClouds(source, source.calorimeter)
    source.close()
    if isinstance(source, ShowerSource):
        raise FileError(
            f"{path}: holds showers and not the places of their voxels, expected a calorimeter: "
            "pcgen convert --geometry makes clouds from showers"
        )
    raise FileError(f"{path}: holds images, expected clouds; pcgen convert makes them from images")
