"""The file that ``pcgen sample`` writes: clouds, or images where the model has a grid."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pcgen.errors import ArgumentError
from pcgen.formats import FORMATS, endings, writable, written_format

if TYPE_CHECKING:
    from torch_geometric.data import Batch

    from pcgen.grids import Grid
    from pcgen.io import CloudSink, ImageSink
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
    """The file of a sample: clouds, or images if the format is of images and the model has a grid.

    Raises:
        ArgumentError: the format is that of images, and the model has no grid.
    """

    def __init__(
        self,
        path: str,
        format: str,
        schema: Schema,
        grid: Grid | None,
        number: int,
        particles: int,
        facts: dict[str, Any],
    ) -> None:
        from pcgen import io

        images = FORMATS[format].kind == "images"
        self._grid = grid if images else None
        self._clouds: CloudSink | None = None
        self._images: ImageSink | None = None
        if self._grid is not None:
            self._images = io.image_writer(
                path, number, self._grid, schema, format=format, attrs=facts
            )
        elif images:
            *others, last = endings(writable("clouds"))
            raise ArgumentError(
                f"{path}: got the format of images, but this model generates points without a "
                f"grid; expected {', '.join(others)} or {last}, and pcgen convert makes images"
            )
        else:
            cells = {} if grid is None else {"grid": grid.to_dict()}
            self._clouds = io.cloud_writer(
                path, schema, format=format, attrs={**facts, **cells}, particles=particles
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
        elif self._images is not None and self._grid is not None:
            from pcgen.images import cloud_to_image
            from pcgen.io import Images

            image = cloud_to_image(clouds, self._grid)
            self._images.append(Images(image, clouds.get("y"), clouds.get("label")))
