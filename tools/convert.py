"""``pcgen convert``: images to clouds and back, from one file format to another, in blocks."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pcgen.errors import ArgumentError, DataError, at_least
from pcgen.schema import Quantity, Schema

if TYPE_CHECKING:
    import torch
    from rich.progress import Progress

    from pcgen import io
    from pcgen.grids import Calorimeter, Grid
    from pcgen.tools.conversion import Converted

# The same as pcgen.io.Format, pcgen.images.Outside and pcgen.tools.conversion.Nan, without torch:
# help needs no more.
Format = Literal[
    "clouds",
    "jetnet",
    "ply",
    "pcd",
    "xyz",
    "npy",
    "npz",
    "png",
    "images",
    "arrays",
    "hepmc",
    "calochallenge",
]
Outside = Literal["error", "drop", "clip"]
Nan = Literal["error", "unobserved"]


def convert(
    source: str,
    target: str,
    *,
    grid: str | None = None,
    threshold: float = 0.0,
    jitter: bool = False,
    max_points: int | None = None,
    seed: int = 0,
    outside: Outside = "error",
    event: int | None = None,
    nan: Nan = "error",
    weight: str | None = None,
    condition: list[str] | None = None,
    labels: str | None = None,
    classes: list[str] | None = None,
    geometry: str | None = None,
    particle: str | None = None,
    label: str | None = None,
    particles: int | None = None,
    dtype: Literal["float32", "float64"] | None = None,
    missing: Literal["error", "drop"] = "error",
    block: int = 1024,
    from_format: Format | None = None,
    to_format: Format | None = None,
) -> Converted:
    """Turn detector images into clouds, clouds into images, or one file format into another.

    The endings decide: .h5 are pcgen's clouds, .hdf5 are jets in JetNet's layout, .ply, .pcd and
    .xyz are point files of one event each, .npy and .npz are images, .png are images as greyscale
    pictures of 16 bits, one event each, whose text states scale and grid so that they can be read
    back (pcgen view draws figures with axes). HDF5 files are read as what they hold: images, jets,
    clouds, or the CaloChallenge's showers, which need --geometry; .npz with pos and ptr are clouds
    as flat arrays (written with --to arrays), and .hepmc are jets as HepMC3 events, for writing.
    Large files pass through in
    blocks; the target appears when it is complete, or not at all.

    In .npz and HDF5 the images are the array image (or images) of shape [B, cells ...], their
    conditions y ([B] or [B, C]) and their classes label (or labels), whole numbers from 0 or names.
    Other arrays are named and passed over, unless --condition or --labels takes them.

    A cell of an image that holds more than the threshold becomes a point at its centre that carries
    its energy; the other way round, the points in a cell add up to its energy. Empty events are
    kept; a source of no events, or of empty ones only, is refused.

    Args:
        source: File to read; for point files and pictures also a folder of them, or a numbered name
            such as event_%05d.ply.
        target: File to write, in place of one of that name. Point files and pictures hold one event
            each: for many give a numbered name such as event_%05d.ply, or a folder and the format;
            where there are such files already, they are kept and nothing is written.
        grid: Cells of the image, axes separated by commas, each name:low:high:cells or
            name:edge/edge/edge, then optionally :unit:period, for instance
            eta_rel:-0.4:0.4:25,phi_rel:-0.4:0.4:25:rad:2pi. Layers come first, in the order of the
            image's first axis: layers=ECAL/HCAL,eta:-1:1:20. Files made by pcgen know their grid;
            one that is given here replaces it.
        threshold: Only cells with more than this become points, in the unit of the image.
        jitter: Put each point at random within its cell instead of at the centre.
        max_points: Keep that many points of each cloud, the most energetic.
        seed: Seed of that randomness.
        outside: Points outside the grid are refused (error), left out (drop) or put into the
            nearest cell (clip).
        event: Convert only the event of this number, counted from 0.
        nan: Cells of an image that are NaN are refused (error), or are dead channels that give no
            points (unobserved).
        weight: What a cell carries, with its unit, where the source does not say it, for
            instance 'energy [MeV]'. A source that says something else is refused: nothing is
            converted.
        condition: A number that each event has, with its name, its unit and where it is: 'E
            [GeV]=energy.npy', 'E [GeV]=more.npz:energy' (or more.h5:energy), 'E
            [GeV]=table.csv:energy' (a column), or 'E [GeV]=energy' for an array of the source
            itself; a number at the end is a column of an array, 'p_z [GeV]=momentum.npy:2'. Give it
            several times for several. Replaces the conditions of the source.
        labels: The class of each event, from such a place: labels.npy, table.csv:particle, or
            label. Whole numbers from 0, or names.
        classes: Names of the classes, in the order of their numbers: e,pi. By default those that
            the labels are made of, sorted, or none where they are numbers.
        geometry: For the CaloChallenge's showers, its XML file of the calorimeter.
        particle: Which particle of that file (photon, pion, electron), where it has several.
        label: Class of all jets of a JetNet file (g, q, t, w, z) where its name does not say it.
        particles: Particles per jet in JetNet's layout, those of highest transverse momentum; by
            default as many as the largest jet has.
        dtype: Type of the floats of clouds; by default float32, that of the networks, and float64
            if the values need it: whole numbers beyond 2^24, values beyond float32's range,
            coordinates that float32 resolves in steps of more than a thousandth of their event.
        missing: Points without coordinates (NaN or infinite, as organised PCD files have them
            where a sensor got no return) are refused (error) or left out and counted (drop).
        block: Events that are in memory at a time, at most; fewer of large images.
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
    from pcgen.grids import Calorimeter
    from pcgen.tools.conversion import Filling, Reading, largest, write_clouds, write_images
    from pcgen.tools.doubts import beyond_period
    from pcgen.tools.own_columns import own_columns, unread

    if not 0 <= seed < 2**63:
        raise ArgumentError(f"seed: got {seed}, expected 0 to 2**63 - 1")
    if Path(source).resolve() == Path(target).resolve():
        raise ArgumentError(f"target: got the source {source} itself, expected another file")
    chosen = io.written_format(target, to_format)
    calorimeter = None if geometry is None else Calorimeter.from_xml(geometry, particle)
    with (
        io.open_file(source, format=from_format, label=label, calorimeter=calorimeter) as opened,
        _progress() as bar,
    ):
        filled, drawn = isinstance(opened, io.ImageSource), chosen in get_args(io.ImageFormat)
        showers = isinstance(opened, io.ShowerFile)
        _check_used(filled and not drawn, threshold=threshold != 0.0, nan=nan != "error")
        _check_used(filled and not drawn and not showers, jitter=jitter)
        _check_used(drawn and not filled, outside=outside != "error")
        _check_used((drawn or filled) and not showers, grid=grid is not None)
        _check_used(chosen == "jetnet", particles=particles is not None)
        _check_used(isinstance(opened, io.CloudSource), missing=missing == "drop")
        _check_used(not drawn, dtype=dtype is not None, max_points=max_points is not None)
        _check_used(showers, geometry=geometry is not None)
        _check_used(showers and geometry is not None, particle=particle is not None)
        _check_used(chosen != "npy", condition=bool(condition), labels=labels is not None)
        if showers:
            _check_showers(source, calorimeter, drawn)
        own = own_columns(opened, condition or [], labels, classes)
        left_out, lost = unread(opened, own.used), _lost(opened, chosen, drawn)
        events, raw = _span(opened, event, block), filled and not drawn
        cells = _grid(opened, grid) if (drawn or filled) and not showers else None
        shape = opened.shape if isinstance(opened, io.ImageSource) else cells.shape if cells else ()
        beside, drop = (own.y, own.label), missing == "drop"
        reading = Reading(opened, events, block, bar, *beside, raw, drop, math.prod(shape))
        schema = own.named(_schema(opened, cells, weight))
        attrs = dict(opened.attrs)
        removed, note = Counter[str](), ""
        if cells is not None and drawn:
            attrs.pop("grid", None)
            images = io.image_writer(
                target, len(reading.events), cells, schema, format=chosen, attrs=attrs
            )
            done = write_images(reading, images, cells, outside)
        else:
            generator = torch.Generator()
            at_least(1, max_points=max_points)
            filling = Filling(
                threshold, jitter, generator, nan, calorimeter or cells, max_points, removed
            )
            if chosen == "jetnet" and particles is None:
                particles = largest(reading, filling)
            attrs |= {} if cells is None else {"grid": cells.to_dict()}

            def write(stored: torch.dtype) -> tuple[Converted, bool]:
                writer = io.cloud_writer(
                    target,
                    schema,
                    format=chosen,
                    attrs=attrs,
                    particles=1 if particles is None else particles,
                )
                generator.manual_seed(seed)
                removed.clear()
                return write_clouds(reading, writer, filling, stored)

            done, note = _in_type(write, dtype)
    _print_result(done, target, outside, removed, reading.missing, note)
    if reading.reach is not None and opened.schema is not None:
        for line in beyond_period(reading.reach, opened.schema, source):
            _print(line)
    if left_out:
        hint = "(--condition 'NAME [UNIT]=ARRAY' and --labels ARRAY take such arrays)"
        _print(f"passed over: {', '.join(left_out)} {hint}")
    if lost:
        _print(f"lost, as {chosen} has no place for it: {', '.join(lost)}")
    return done


def _in_type(
    write: Callable[[torch.dtype], tuple[Converted, bool]], dtype: str | None
) -> tuple[Converted, str]:
    """Write clouds in the type that was chosen, or in float32 and else, all of them, in float64.

    Also returns how the floats were stored, where that is not as they were.
    """
    import torch

    from pcgen.tools.conversion import PrecisionError

    if dtype == "float64":
        return write(torch.float64)[0], ""
    try:
        done, rounded = write(torch.float32)
        return done, "rounded to float32 (--dtype float64 keeps all digits)" if rounded else ""
    except PrecisionError as error:
        if dtype == "float32":
            raise
        why = str(error).partition(", expected")[0]
        return write(torch.float64)[0], f"stored as float64, since {why}"


def _lost(source: io.CloudSource | io.ImageSource, chosen: Format, drawn: bool) -> tuple[str, ...]:
    """What the source has and images (.npy: the numbers alone) cannot keep."""
    if source.schema is None or not drawn:
        return ()
    lost = [feature.name for feature in source.schema.features]
    if chosen == "npy":
        lost += [each.name for each in source.schema.condition]
        lost += ["classes"] if source.schema.labels else []
    return tuple(lost)


def _check_showers(source: str, calorimeter: Calorimeter | None, drawn: bool) -> None:
    if calorimeter is None:
        raise ArgumentError(
            f"geometry: got none and {source} holds the CaloChallenge's showers, whose voxels its "
            "XML file of the binning describes; expected for instance --geometry "
            "binning_dataset_2.xml (and --particle photon where the file has several)"
        )
    if drawn:
        raise ArgumentError(
            f"{source}: got showers to write as images, expected clouds as target: the layers of a "
            "calorimeter have cells of their own"
        )


def _grid(source: io.CloudSource | io.ImageSource, text: str | None) -> Grid:
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
    names = {axis.name: axis for axis in schema.axes}
    for axis in grid.axes:
        _check_same("grid", axis, names.get(axis.name), source.path)
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


def _schema(
    source: io.CloudSource | io.ImageSource, grid: Grid | None, weight: str | None
) -> Schema:
    """What the numbers of the target mean; ``grid`` where there is one between the two."""
    from pcgen.tools.own_columns import quantity

    schema = source.schema or Schema(axes=())
    carried = schema.weight
    if weight is not None:
        carried = quantity("weight", weight)
        if grid is None and schema.weight is None:
            known = ", ".join(each.name for each in schema.features) or "none"
            raise ArgumentError(
                f"weight: got {weight!r}, but the points of {source.path} carry no weight (further "
                f"columns: {known}); expected a column that the file calls weight or energy"
            )
        _check_same("weight", carried, schema.weight, source.path)
    if grid is None:
        return dataclasses.replace(schema, weight=carried)
    return dataclasses.replace(
        schema,
        axes=grid.axes,
        layers=grid.layers,
        features=(),
        weight=carried or Quantity("weight"),
    )


def _check_same(option: str, given: Quantity, known: Quantity | None, path: Path) -> None:
    """Refuse to call a file's numbers something else: no number would change with the name.

    Raises:
        ArgumentError: the file has a unit or period and the option another, or another name; what
            has no unit may be given one.
    """
    if known is None:
        return
    period = known.period is None or given.period == known.period
    unit = not known.unit or (given.name, given.unit) == (known.name, known.unit)
    if not unit or not period:
        words = [_words(each) for each in (given, known)]
        raise ArgumentError(
            f"{option}: got {words[0]}, expected {words[1]} as in {path}, whose numbers an option "
            "does not convert; leave it out"
        )


def _words(quantity: Quantity) -> str:
    unit = f" [{quantity.unit}]" if quantity.unit else ""
    return f"{quantity.name}{unit}" + (f" with period {quantity.period}" if quantity.period else "")


def _span(source: io.CloudSource | io.ImageSource, event: int | None, block: int) -> range:
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
    "nan": "unless images become clouds",
    "grid": "where clouds stay clouds, or where --geometry has the cells",
    "geometry": "unless the source holds the CaloChallenge's showers",
    "particle": "without --geometry",
    "condition": "in .npy, which keeps the images alone",
    "labels": "in .npy, which keeps the images alone",
    "dtype": "where images are written",
    "max_points": "where images are written",
    "missing": "unless clouds are read",
    "particles": "unless jets are written in JetNet's layout",
}


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    # A bar in a log file would only be empty lines.
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _print_result(
    done: Converted,
    target: str,
    outside: Outside,
    removed: Counter[str],
    missing: int,
    note: str,
) -> None:
    line = f"{target}: {done.events} event{'s' * (done.events != 1)}, {done.points} points"
    if done.outside:
        verb = "dropped" if outside == "drop" else "put into the nearest cell"
        line += f"; {done.outside} of weight {done.outside_weight:.6g} were outside and {verb}"
    for kind, number in removed.items():
        if number:
            line += f"; {number} {kind} cell{'s' * (number != 1)} gave no point"
    if missing:
        line += f"; {missing} without coordinates {'were' if missing > 1 else 'was'} left out"
    line += f"; {note}" if note else ""
    _print(line)


def _print(line: str) -> None:
    from rich.console import Console

    from pcgen.escaping import terminal

    Console(soft_wrap=True).print(terminal(line))
