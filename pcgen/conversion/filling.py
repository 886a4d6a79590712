"""Images to clouds: which cells become points, and which are refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import io
from pcgen.clouds import heaviest
from pcgen.conversion.file_to_file import Nan
from pcgen.errors import DataError
from pcgen.grids import Calorimeter, Grid
from pcgen.images import image_to_cloud, shower_to_cloud
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
        removed: How many cells were negative, or unobserved; counted as blocks pass.
        generator: Source of the randomness.
    """

    threshold: float
    jitter: bool
    seed: int
    nan: Nan
    cells: Grid | Calorimeter | None
    max_points: int | None = None
    removed: Counter[str] = field(default_factory=Counter)
    generator: torch.Generator = field(default_factory=torch.Generator)

    def restart(self) -> None:
        """Forget all blocks that have passed: the first event comes again."""
        self.removed.clear()
        self.generator.manual_seed(int(self.seed))  # NumPy's whole numbers too

    def __call__(self, part: Batch | io.Images, first: int, path: Path) -> Batch:
        """Clouds pass as they are, but for the number of their points.

        Args:
            part: A block of events.
            first: Number of its first event, for messages.
            path: Of its file, for messages.
        """
        clouds = self._filled(part, first, path)
        return clouds if self.max_points is None else heaviest(clouds, self.max_points)

    def _filled(self, part: Batch | io.Images, first: int, path: Path) -> Batch:
        if not isinstance(part, io.Images) or self.cells is None:
            return part
        image = self._checked(part, first, path)
        options: dict[str, Any] = {
            "threshold": self.threshold,
            "jitter": self.jitter,
            "y": part.y,
            "label": part.label,
            "generator": self.generator,
        }
        if isinstance(self.cells, Calorimeter):
            return shower_to_cloud(image, self.cells, **options)
        return image_to_cloud(image, self.cells, **options)

    def _checked(self, part: io.Images, first: int, path: Path) -> Tensor:
        """The image without its unobserved cells, if all others can be cut at the threshold."""
        image, dead = part.image, part.image.isnan()
        if self.nan == "unobserved":
            image = image.masked_fill(dead, 0)
            self.removed["unobserved"] += int(dead.sum())
        try:
            check_images(
                part._replace(image=image), first=first, where=path, threshold=self.threshold
            )
        except DataError as error:
            raise DataError(f"{error}{self._way(image)}") from error
        self.removed["negative"] += int((image < 0).sum())
        return image

    def _way(self, image: Tensor) -> str:
        """The option that would take such cells, where there is one."""
        if bool(image.isnan().any()):
            return "; --nan unobserved takes NaN as channels that were not observed"
        if bool((image < 0).any()) and self.threshold <= 0:
            return "; a --threshold above 0 takes negative cells as empty"
        return ""
