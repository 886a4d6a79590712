"""``pcgen convert``: images to clouds and back, from one file format to another, in blocks."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from pcgen.errors import ArgumentError, DataError
from pcgen.schema import Quantity, Schema

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from rich.progress import Progress

    from pcgen import io
    from pcgen.grids import Grid
    from pcgen.tools.conversion import Converted

    _Source: TypeAlias = io.CloudSource | io.ImageSource

Format = Literal["clouds", "jetnet", "ply", "pcd", "xyz", "images", "npy", "npz", "png"]
Outside = Literal["error", "drop", "clip"]


def convert(
    source: str,
    target: str,
    *,
    grid: str | None = None,
    threshold: float = 0.0,
    jitter: bool = False,
    seed: int = 0,
    outside: Outside = "error",
    event: int | None = None,
    weight: str | None = None,
    label: str | None = None,
    particles: int | None = None,
    block: int = 1024,
    from_format: Format | None = None,
    to_format: Format | None = None,
) -> Converted:
    """Turn detector images into clouds, clouds into images, or one file format into another.

    The endings decide: .h5 are pcgen's clouds, .hdf5 are jets in JetNet's layout, .ply, .pcd and
    .xyz are point files of one event each, .npy and .npz are images, .png are images as greyscale
    pictures of 16 bits, one event each, whose text states scale and grid so that they can be read
    back (pcgen view draws figures with axes). HDF5 files are read as what they hold. Large files
    pass through in blocks; the target appears when it is complete, or not at all.

    A cell of an image that holds more than the threshold becomes a point at its centre that carries
    its energy; the other way round, the points in a cell add up to its energy. Empty events are
    kept; a source of no events, or of empty ones only, is refused.

    Args:
        source: File to read; for point files and pictures also a folder of them, or a numbered name
            such as event_%05d.ply.
        target: File to write. Point files and pictures hold one event each: for many give a
            numbered name such as event_%05d.ply, or a folder and the format.
        grid: Cells of the image, axes separated by commas, each name:low:high:cells or
            name:edge/edge/edge, then optionally :unit:period, for instance
            eta_rel:-0.4:0.4:25,phi_rel:-0.4:0.4:25:rad:2pi. Layers come first, in the order of the
            image's first axis: layers=ECAL/HCAL,eta:-1:1:20. Files made by pcgen know their grid;
            one that is given here replaces it.
        threshold: Only cells with more than this become points, in the unit of the image.
        jitter: Put each point at random within its cell instead of at the centre.
        seed: Seed of that randomness.
        outside: Points outside the grid are refused (error), left out (drop) or put into the
            nearest cell (clip).
        event: Convert only the event of this number, counted from 0.
        weight: What a cell carries, with its unit, where the source does not say it, for
            instance 'energy [MeV]'.
        label: Class of all jets of a JetNet file (g, q, t, w, z) where its name does not say it.
        particles: Particles per jet in JetNet's layout, those of highest transverse momentum; by
            default as many as the largest jet has.
        block: Events that are in memory at a time.
        from_format: Format of the source where the ending misleads.
        to_format: Format of the target where the ending misleads; images is HDF5 of images.

    Returns:
        How much was converted.

    Raises:
        ArgumentError: an ending, a format, the grid or another option does not fit.
        DataError: an event is negative, not finite or outside the grid, or none has a point.
        FileError: a file cannot be read or written.
    """
    import torch

    from pcgen import io
    from pcgen.tools.conversion import Filling, Reading, largest, write_clouds, write_images

    if Path(source).resolve() == Path(target).resolve():
        raise ArgumentError(f"target: got the source {source} itself, expected another file")
    chosen = io.written_format(target, to_format)
    with io.open_file(source, format=from_format, label=label) as opened, _progress() as bar:
        filled, drawn = isinstance(opened, io.ImageSource), chosen in get_args(io.ImageFormat)
        _check_used(filled and not drawn, threshold=threshold != 0.0, jitter=jitter)
        _check_used(drawn and not filled, outside=outside != "error")
        _check_used(drawn or filled, grid=grid is not None)
        _check_used(chosen == "jetnet", particles=particles is not None)
        reading = Reading(opened, _span(opened, event, block), block, bar)
        cells = _grid(opened, grid) if drawn or filled else None
        schema = _schema(opened, cells, weight)
        if cells is not None and drawn:
            images = io.image_writer(target, len(reading.events), cells, schema, format=chosen)
            done = write_images(reading, images, cells, outside)
        else:
            filling = Filling(threshold, jitter, torch.Generator().manual_seed(seed))
            if chosen == "jetnet" and particles is None:
                particles = largest(reading, filling, cells)
            attrs = opened.attrs if isinstance(opened, io.CloudSource) else {}
            attrs = attrs if cells is None else {**attrs, "grid": cells.to_dict()}
            clouds = io.cloud_writer(
                target, schema, format=chosen, attrs=attrs, particles=particles or 1
            )
            done = write_clouds(reading, clouds, filling, cells)
    _tell(done, target, outside)
    return done


def _grid(source: _Source, text: str | None) -> Grid:
    """The grid that was given, or else that of the source."""
    from pcgen import io
    from pcgen.grids import Grid

    schema = source.schema or Schema(axes=())
    known = source.attrs.get("grid") if isinstance(source, io.CloudSource) else source.grid
    if text is None and known is not None:
        return known if isinstance(known, Grid) else Grid.from_dict(known)
    if text is None:
        raise ArgumentError(
            f"grid: got none and {source.path} does not know its cells, expected for instance "
            f"--grid eta_rel:-0.4:0.4:25,phi_rel:-0.4:0.4:25:rad:2pi"
        )
    grid = Grid.parse(text, schema.axes)
    if isinstance(source, io.ImageSource):
        if grid.shape != source.shape:
            raise ArgumentError(
                f"grid: got {grid} of shape {grid.shape}, "
                f"expected the shape {source.shape} of the images in {source.path}"
            )
        return grid
    if grid.layers and schema.layers and grid.layers != schema.layers:
        raise ArgumentError(
            f"grid: got the layers {', '.join(grid.layers)}, "
            f"expected {', '.join(schema.layers)} in this order as in {source.path}"
        )
    return dataclasses.replace(grid, layers=grid.layers or schema.layers)


def _schema(source: _Source, grid: Grid | None, weight: str | None) -> Schema:
    """What the numbers of the target mean; ``grid`` where there is one between the two."""
    schema = source.schema or Schema(axes=())
    carried = _quantity(weight) if weight is not None else schema.weight
    if grid is None:
        return dataclasses.replace(schema, weight=carried)
    return dataclasses.replace(
        schema,
        axes=grid.axes,
        layers=grid.layers,
        features=(),
        weight=carried or Quantity("weight"),
    )


def _quantity(text: str) -> Quantity:
    """``energy [MeV]``, or a name alone."""
    match = re.fullmatch(r"\s*([^\[\]]*[^\[\]\s])\s*(?:\[([^\[\]]*)\])?\s*", text)
    if match is None:
        raise ArgumentError(f"weight: got {text!r}, expected a name and a unit: energy [MeV]")
    return Quantity(match[1], match[2] or "")


def _span(source: _Source, event: int | None, block: int) -> range:
    if block < 1:
        raise ArgumentError(f"block: got {block}, expected a positive number of events")
    if not len(source):
        raise DataError(f"{source.path}: holds no events, expected at least one")
    if event is None:
        return range(len(source))
    if not 0 <= event < len(source):
        raise ArgumentError(f"event: got {event}, expected 0 to {len(source) - 1}")
    return range(event, event + 1)


def _check_used(used: bool, **options: bool) -> None:
    """Refuse options that were given and would do nothing."""
    for name, given in options.items():
        if given and not used:
            raise ArgumentError(f"{name}: was given, but plays no part {_PARTS[name]}")


_PARTS = {
    "threshold": "unless images become clouds",
    "jitter": "unless images become clouds",
    "outside": "unless clouds become images",
    "grid": "where clouds stay clouds",
    "particles": "unless jets are written in JetNet's layout",
}


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    # A bar in a log file would only be empty lines.
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _tell(done: Converted, target: str, outside: Outside) -> None:
    from rich.console import Console

    told = f"{target}: {done.events} event{'s' * (done.events != 1)}, {done.points} points"
    if done.outside:
        verb = "dropped" if outside == "drop" else "put into the nearest cell"
        told += f"; {done.outside} of weight {done.outside_weight:.6g} were outside and {verb}"
    Console().print(told, markup=False, highlight=False, soft_wrap=True)
