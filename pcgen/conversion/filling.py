"""Images to clouds: which cells become points, and which are refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import io
from pcgen.clouds import at_most
from pcgen.conversion.file_to_file import Nan
from pcgen.conversion.observing import Observing
from pcgen.errors import DataError
from pcgen.grids import Calorimeter, Grid
from pcgen.images import image_to_cloud, shower_to_cloud
from pcgen.images.sampling import scatter_within
from pcgen.images.showers import scatter_within_voxels
from pcgen.io.image_source import check_images


@dataclass(frozen=True)
class Filling:
    """How the cells of an image become points.

    Attributes:
        threshold: Only cells with more than this do.
        jitter: Put each point at random within its cell.
        seed: Of that randomness.
        nan: Cells that are NaN are refused, or channels that were not observed and give no point.
        cells: Where the cells are: a grid, a calorimeter, or nothing where clouds stay clouds.
        max_points: Keep so many points of each cloud, the heaviest; None keeps all.
        observing: Which points stay, as those that a detector observed; None: all.
    """

    threshold: float
    jitter: bool
    seed: int
    nan: Nan
    cells: Grid | Calorimeter | None
    max_points: int | None = None
    observing: Observing | None = None

    def __call__(
        self, part: Batch | io.Images, first: int, *, path: Path
    ) -> tuple[Batch, Counter[str]]:
        """Clouds of a block, at the centres of their cells, and how many cells gave none.

        Clouds pass as they are, but for the number of their points. The cells that gave none are
        counted by why: "negative" or "unobserved".

        Args:
            part: A block of events.
            first: Number of its first event, for messages.
            path: Of its file, for messages.
        """
        clouds, removed = self._filled(part, first, path)
        return clouds if self.jitter else self._thinned(clouds), removed

    def finished(self, clouds: Batch, generator: torch.Generator) -> Batch:
        """Clouds of a block with jitter, and with what was observed of them.

        The random numbers go on from block to block.
        """
        clouds = self._jittered(clouds, generator)
        return clouds if self.observing is None else self.observing(clouds, generator)

    def _jittered(self, clouds: Batch, generator: torch.Generator) -> Batch:
        if not self.jitter or self.cells is None:
            return clouds
        if isinstance(self.cells, Calorimeter):
            voxel = self.cells.locate(clouds.pos, clouds.layer).voxel
            return self._thinned(scatter_within_voxels(clouds, voxel, self.cells, generator))
        return self._thinned(scatter_within(clouds, self.cells, clouds.cell, generator))

    def _thinned(self, clouds: Batch) -> Batch:
        return clouds if self.max_points is None else at_most(clouds, self.max_points)

    def _filled(
        self, part: Batch | io.Images, first: int, path: Path
    ) -> tuple[Batch, Counter[str]]:
        if not isinstance(part, io.Images) or self.cells is None:
            return part, Counter()
        image, removed = self._checked(part, first, path)
        y, label, threshold = part.y, part.label, self.threshold
        if isinstance(self.cells, Calorimeter):
            clouds = shower_to_cloud(image, self.cells, threshold=threshold, y=y, label=label)
        else:
            clouds = image_to_cloud(image, self.cells, threshold=threshold, y=y, label=label)
        return clouds, removed

    def _checked(self, part: io.Images, first: int, path: Path) -> tuple[Tensor, Counter[str]]:
        """The image without its unobserved cells, if all others can be cut at the threshold."""
        image, dead, removed = part.image, part.image.isnan(), Counter[str]()
        if self.nan == "unobserved":
            image = image.masked_fill(dead, 0)
            removed["unobserved"] = int(dead.sum())
        try:
            check_images(
                part._replace(image=image), first=first, where=path, threshold=self.threshold
            )
        except DataError as error:
            raise DataError(f"{error}{self._way(image)}") from error
        removed["negative"] = int((image < 0).sum())
        return image, removed

    def _way(self, image: Tensor) -> str:
        """The option that would take such cells, where there is one."""
        if bool(image.isnan().any()):
            return "; --nan unobserved takes NaN as channels that were not observed"
        if bool((image < 0).any()) and self.threshold <= 0:
            return "; a --threshold above 0 takes negative cells as empty"
        return ""
