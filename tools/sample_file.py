"""The file that ``pcgen sample`` writes: clouds, images where the model has a grid, or showers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pcgen.errors import ArgumentError
from pcgen.formats import FORMATS, endings, writable, written_format

if TYPE_CHECKING:
    import torch
    from torch_geometric.data import Batch

    from pcgen.grids import Calorimeter, Grid
    from pcgen.images.multi_hit import MultiHit
    from pcgen.io import CloudSink, Images, ImageSink
    from pcgen.models.base import GenerativeModel
    from pcgen.models.request import Request
    from pcgen.schema import Schema


def output_format(path: str, chosen: str | None, grid: Grid | None) -> str:
    """The format of the output: without a grid .npz holds clouds.

    Raises:
        ArgumentError: the ending or the format is unknown.
    """
    found = written_format(path, chosen)
    return "arrays" if (chosen, found, grid) == (None, "npz", None) else found


def largest(model: GenerativeModel, request: Request) -> int:
    """Points of the largest cloud that can be drawn, at least 1."""
    if request.sizes is not None:
        return max([1, *request.sizes.tolist()])
    fitted = model.representation
    return 150 if fitted is None else max(1, int(fitted.cardinality.sizes.max()))


class SampleFile:
    """The file of a sample: clouds, images of a model with a grid, showers of one of a calorimeter.

    Args:
        path: File.
        format: Of it.
        schema: Of the clouds.
        cells: Of the model, if it has some.
        number: Events that will be written.
        particles: Of a jet in JetNet's layout.
        facts: To store.
        shared: In showers, where points go that share a voxel, and the source of its randomness.

    Raises:
        ArgumentError: the format is that of images or showers, and the model has no such cells, or
            showers would lack the incident energy.
    """

    def __init__(
        self,
        path: str,
        format: str,
        schema: Schema,
        cells: Grid | Calorimeter | None,
        number: int,
        particles: int,
        facts: dict[str, Any],
        shared: tuple[MultiHit, torch.Generator],
    ) -> None:
        from pcgen import io
        from pcgen.conversion.showers import check_incident
        from pcgen.grids import Calorimeter, Grid
        from pcgen.images.multi_hit import check_policy

        self._schema, self._cells, self._shared = schema, cells, shared
        self._clouds: CloudSink | None = None
        self._images: ImageSink | None = None
        kind = FORMATS[format].kind
        if kind == "images" and isinstance(cells, Grid):
            self._images = io.image_writer(path, number, cells, schema, format=format, attrs=facts)
        elif kind == "showers" and isinstance(cells, Calorimeter):
            check_incident(schema, "the model's condition")
            check_policy(shared[0], cells)
            self._images = io.shower_writer(path, cells, format=format, attrs=facts)
        elif kind != "clouds":
            *others, last = endings(writable("clouds"))
            lacks = "a grid" if kind == "images" else "a calorimeter"
            raise ArgumentError(
                f"{path}: got the format of {kind}, but this model generates points without "
                f"{lacks}; expected {', '.join(others)} or {last}, and pcgen convert makes {kind}"
            )
        else:
            name = "grid" if isinstance(cells, Grid) else "calorimeter"
            known = {} if cells is None else {name: cells.to_dict()}
            self._clouds = io.cloud_writer(
                path, schema, format=format, attrs={**facts, **known}, particles=particles
            )

    def __enter__(self) -> SampleFile:
        self._stack = ExitStack()
        if sink := self._clouds or self._images:
            self._stack.enter_context(sink)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def append(self, clouds: Batch) -> None:
        """Write one block."""
        if self._clouds is not None:
            self._clouds.append(clouds)
        elif self._images is not None:
            self._images.append(self._filled(clouds))

    def _filled(self, clouds: Batch) -> Images:
        """Clouds in the cells of the grid or of the calorimeter."""
        from pcgen.grids import Grid
        from pcgen.images import cloud_to_image, cloud_to_shower, in_calorimeter
        from pcgen.io import Images

        assert self._cells is not None
        if isinstance(self._cells, Grid):
            image = cloud_to_image(clouds, self._cells)
            return Images(image, clouds.get("y"), clouds.get("label"))
        placed = in_calorimeter(clouds, self._schema, self._cells)
        policy, generator = self._shared
        voxels = cloud_to_shower(
            placed, self._cells, outside="clip", multi_hit=policy, generator=generator
        )
        return Images(voxels, placed.get("y"))
