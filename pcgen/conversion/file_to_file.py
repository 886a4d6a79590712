"""``convert``: from one file of events to another."""

from __future__ import annotations

import inspect
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pcgen.bounds import EVENTS
from pcgen.errors import ArgumentError, at_least
from pcgen.formats import FORMATS, Readable, Writable, written_format

if TYPE_CHECKING:
    File = str | Path
else:
    File = str  # as the command line has it

# The same as those of pcgen.images, without torch: help needs no more.
Outside = Literal["error", "drop", "clip"]
MultiHit = Literal["sum", "shift", "distinct"]
Nan = Literal["error", "unobserved"]


class Converted(NamedTuple):
    """What a conversion did.

    Attributes:
        events: Number of events written.
        points: Number of points, or filled cells, written; of voxels of a calorimeter.
        outside: Number of points that were outside the grid, and were dropped or clipped.
        outside_weight: Their weight, in the unit of the source.
        format: Of the target; ``"geometry"`` where it describes a calorimeter.
        unobserved: Number of cells that were NaN and gave no point.
        negative: Number of cells that were negative, below the threshold, and gave no point.
        missing: Number of points without coordinates that were left out.
        rounded: Whether a value of float64 was rounded to float32.
        wide: Why the floats are float64 where that was not chosen; empty where it is not so.
        passed_over: Names of arrays that the source has and nothing took.
        lost: Names of what the source has and the format of the target has no place for.
        doubts: Axes that exceed their period, and a weight that is 0 everywhere, as lines.
        context: Number of points of the contexts; None where there are none in the target.
    """

    events: int
    points: int
    outside: int = 0
    outside_weight: float = 0.0
    format: str = ""
    unobserved: int = 0
    negative: int = 0
    missing: int = 0
    rounded: bool = False
    wide: str = ""
    passed_over: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    context: int | None = None


def convert(
    source: File,
    target: File,
    *,
    grid: str | None = None,
    threshold: float = 0.0,
    jitter: bool = False,
    max_points: int | None = None,
    observe: list[str] | None = None,
    hide: list[str] | None = None,
    seed: int = 0,
    context: File | None = None,
    part: Literal["events", "context"] | None = None,
    outside: Outside = "error",
    multi_hit: MultiHit = "sum",
    event: int | str | None = None,
    nan: Nan = "error",
    weight: str | None = None,
    condition: list[str] | None = None,
    labels: str | None = None,
    classes: list[str] | None = None,
    geometry: File | None = None,
    particle: str | None = None,
    columns: str | None = None,
    label: str | None = None,
    particles: int | None = None,
    dtype: Literal["float32", "float64"] | None = None,
    missing: Literal["error", "drop"] = "error",
    preset: str | None = None,
    pos: list[str] | None = None,
    momentum: list[str] | None = None,
    x: list[str] | None = None,
    layer: str | None = None,
    where: list[str] | None = None,
    offsets: str | None = None,
    events: str | None = None,
    sort: bool = False,
    table: str | None = None,
    block: int = 1024,
    from_format: Readable | None = None,
    to_format: Writable | None = None,
    dask: str | None = None,
) -> Converted:
    """Turn detector images into clouds, clouds into images, or one file format into another.

    The endings decide: .h5 are pcgen's clouds, .hdf5 are jets in JetNet's layout, .ply, .pcd and
    .xyz are point files of one event each, .npy and .npz are images, .png are images as greyscale
    pictures of 16 bits, one event each, whose text states scale and grid so that they can be read
    back (pcgen view draws figures with axes). HDF5 files are read as what they hold: images, jets,
    clouds, or showers in the layouts of the CaloChallenge, the CMS HGCal challenge, CaloGAN,
    ShowerData (written with --to showerdata) and CaloClouds; .npz with pos and ptr are clouds as
    flat arrays (written with --to arrays), and .hepmc are HepMC events: their final particles for
    reading, jets for writing.

    Voxels of showers have their places in a calorimeter, which --geometry describes where the file
    does not. Clouds become showers again with --to calochallenge, whose energies are in MeV. Where
    all layers have the same cells, showers become images [B, layers, cells ...] and images showers.
    A target that ends in .xml or .json is a description of the calorimeter that the source stores.

    Large files pass through in blocks; the target appears when it is complete, or not at all.

    Tables (.root, .parquet, .csv, also .h5 and .npz) become clouds by --preset, or by --pos and its
    like, which name columns with their units: energy:GeV. A row is a point, and --event names the
    column of the event's number; or a row is an event, and columns are lists. Another name is
    pt=part_pt:GeV, another unit part_pt*0.001:GeV, a period phi:rad:2pi, kinds charge:-1/0/1.

    In .npz and HDF5 the images are the array image (or images) of shape [B, cells ...], their
    conditions y ([B] or [B, C]) and their classes label (or labels), whole numbers from 0 or names.
    Other arrays are named and passed over, unless --condition or --labels takes them.

    Events can have contexts, what they were generated from: a second file with the same events in
    the same order, which --context puts beside them in one file of pcgen. Commands read such pairs
    as they read two files; --part writes one of the two again.

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
            image's first axis: layers=ECAL/HCAL,eta:-1:1:20. Files of pcgen know their grid;
            one that is given here replaces it.
        threshold: Only cells with more than this become points, in the unit of the image, of
            showers in MeV.
        jitter: Put each point at random within its cell instead of at the centre.
        max_points: Keep that many points of each cloud, the most energetic; without weights any.
        observe: Keep the points that a detector observed: within eta_rel=:0 (LOW:HIGH), in
            layer=track/ECAL, a random share, 0.5 say, or all of several of these.
        hide: Keep the other points instead: with the same words and seed it is the rest of the
            events, which a model can learn to complete.
        seed: Seed of all randomness.
        context: File of what each event is generated from, with the same events in the same order,
            to be stored beside them: clouds, showers or images, whose filled cells are the points;
            of pairs their contexts. Other options change the events and no context, but --event
            and --dtype.
        part: Of a source with contexts only the events, or the contexts as the events.
        outside: Points outside the grid or calorimeter are refused (error), left out (drop) or put
            into the nearest cell (clip).
        multi_hit: Points that share a voxel add up (sum), or the hottest keeps it and each other
            one goes to the nearest free cell of its layer (shift) or to a random free cell of its
            ring (distinct): generated points do not know of cells. Energies of layers stay.
        event: Convert only the event of this number, counted from 0. In a table whose rows are
            points: the column of the event's number, or file where a file is one event.
        nan: Cells of an image that are NaN are refused (error), or are dead channels that give no
            points (unobserved).
        weight: What a cell carries, with its unit, where the source does not state it, for
            instance 'energy [MeV]'. A source that states another one is refused: nothing is
            converted. Of a table, the column of what a point carries: energy:GeV.
        condition: A number that each event has, with its name, its unit and where it is: 'E
            [GeV]=energy.npy', 'E [GeV]=more.npz:energy' (or more.h5:energy), 'E
            [GeV]=table.csv:energy' (a column), or 'E [GeV]=energy' for an array or column of the
            source itself; a number at the end is a column of an array, 'p_z
            [GeV]=momentum.npy:2'. Give it several times for several. Replaces the conditions of the
            source.
        labels: The class of each event, from such a place: labels.npy, table.csv:particle, or
            label. Whole numbers from 0, or names.
        classes: Names of the classes, in the order of their numbers: e,pi. By default those that
            the labels consist of, sorted, or none where they are numbers.
        geometry: For showers, a file of their calorimeter: the CaloChallenge's XML (.xml), a list
            of cells as arrays (.npz), or JSON of pcgen (.json). Files of pcgen store theirs, also
            those of clouds; one that is given here replaces it.
        particle: Which particle of an XML file (photon, pion, electron), where it has several.
        columns: What the four columns of hits in CaloClouds's layout are, with units, as the file
            does not state it; by default 'x [mm],y [mm],z [mm],energy [GeV]'. A column called layer
            is the number of the layer, beside x and y.
        label: Class of all jets of a JetNet file (g, q, t, w, z) where its name does not state it.
        particles: Particles per jet in JetNet's layout, those of highest transverse momentum; by
            default as many as the largest jet has.
        dtype: Type of the floats of clouds; by default float32, that of the networks, and float64
            if the values need it: whole numbers beyond 2^24, values beyond float32's range,
            coordinates that float32 resolves in steps of more than a thousandth of their event.
        missing: Points without coordinates (NaN or infinite, as organised PCD files have them
            where a sensor got no return) are refused (error) or left out and counted (drop).
        preset: Columns of a known layout: delphes, edm4hep:COLLECTION, hepmc, jetclass,
            nanoaod:COLLECTION, pfnano:JETS, pfnano-event, quarkgluon, topquark, trackml; or a YAML
            file of your own. Other options go before it; pcgen info NAME prints one.
        pos: Columns of the coordinates of a table; a unit is that of those in front of it too:
            x,y,z:mm.
        momentum: Columns px,py,pz:GeV in place of --pos and --weight: points have eta, phi and pt.
        x: Further columns of points, for instance time:ns; none for none of a preset.
        layer: Column of the layer of a point, or bits of one, first and number: cellID:19:9.
        where: Only points, or events, whose columns compare so: 'energy > 0.1'. Give it several
            times for several.
        offsets: Array in .h5 or .npz of where each event begins in flat arrays, and at the end
            their length.
        events: Where the numbers of all events are, from a file as for --condition: events without
            a row are empty then, and not left out.
        sort: Sort the rows of a table by --event, in memory.
        table: Tree of a ROOT file, or group of an HDF5 file, where several have such columns.
        block: Events that are in memory at a time, at most; fewer of large images.
        from_format: Format of the source where the ending misleads.
        to_format: Format of the target where the ending misleads; images is HDF5 of images.
        dask: Address of a Dask scheduler, tcp://10.0.0.1:8786 say, whose workers read and convert
            the blocks, and this process writes them in their order: the target is the same. Workers
            see the source under the same path. local for a cluster of this machine, local:4 for one
            of four processes.

    Returns:
        How much was converted, and what was left out on the way.

    Raises:
        ArgumentError: an ending, a format, the grid or another option does not fit.
        DataError: an event is negative, not finite or outside the grid, or none has a point.
        FileError: a file cannot be read or written.
        MissingExtraError: the format of the target needs a package that is not installed.
    """
    given = dict(locals())  # the arguments
    from pcgen.conversion.options import check_kinds

    check_kinds(convert, given)
    if not 0 <= seed < 2**63:
        raise ArgumentError(f"seed: got {seed}, expected 0 to 2**63 - 1")
    EVENTS.allow(block=block)
    at_least(1, max_points=max_points)
    if os.path.realpath(source) == os.path.realpath(target):
        raise ArgumentError(f"target: got the source {source} itself, expected another file")
    if to_format is None and Path(target).suffix.lower() in (".xml", ".json"):
        from pcgen.conversion.geometry import write_geometry

        plain = {name: each.default for name, each in inspect.signature(convert).parameters.items()}
        return write_geometry(given, plain)
    chosen = written_format(target, to_format)

    from pcgen.cluster import connected
    from pcgen.conversion.blocks import Opening, Reading, chosen_events, progress_bar
    from pcgen.conversion.filling import Filling
    from pcgen.conversion.meaning import (
        calorimeter_of,
        grid_of,
        lost,
        meaning,
        number_of_cells,
    )
    from pcgen.conversion.observing import observing
    from pcgen.conversion.options import check_options, table_columns
    from pcgen.conversion.own_columns import own_columns, unread
    from pcgen.conversion.pairs import contexts_of, paired
    from pcgen.conversion.showers import Placing, check_incident, write_layers, write_showers
    from pcgen.conversion.writing import Target, write_clouds, write_images
    from pcgen.io import check_output, read_calorimeter

    check_output(target, chosen, context=context, geometry=geometry, labels=labels)
    for each in condition or []:
        check_output(target, chosen, condition=each.partition("=")[2].strip())
    wanted = FORMATS[chosen].kind
    voxels = None if geometry is None else read_calorimeter(geometry, particle)
    tabular = table_columns(source, given)
    if tabular is None and isinstance(event, str):
        raise ArgumentError(
            f"event: got {event!r}, expected the number of an event; it is a column of tables "
            "alone, with --pos or --preset"
        )
    options: dict[str, Any] = {"format": from_format, "label": label, "calorimeter": voxels}
    options["part"] = part
    options["columns"] = columns if tabular is None else tabular
    opening = Opening(Path(source), options, raw=wanted == "clouds", drop=missing == "drop")
    with (
        opening.source as opened,
        nullcontext() if dask is None else connected(dask) as cluster,
        progress_bar() as bar,
    ):
        check_options(opened.kind, chosen, tabular is not None, given)
        voxels = calorimeter_of(opened, wanted, voxels, grid)
        own = own_columns(opened, condition or [], labels, classes)
        passed_over = unread(opened, own.used)
        numbers = chosen_events(opened, None if isinstance(event, str) else event, block)
        drawn = voxels is not None and wanted == "images"
        cells = None if drawn else grid_of(opened, wanted, grid)
        reading = Reading(
            opening,
            numbers,
            block,
            bar,
            y=own.y,
            label=own.label,
            cells=number_of_cells(opened, cells),
            cluster=cluster,
        )
        named = weight if tabular is None else None
        into = Target(target, chosen, own.named(meaning(opened, cells, named)), opened.attrs)
        into = paired(into, opened)
        if cells is not None and wanted == "images":
            done = write_images(reading, into, cells, outside)
        elif drawn and voxels is not None:
            done = write_layers(reading, into, voxels, Placing(outside, "sum", seed))
        elif wanted == "showers" and voxels is not None:
            check_incident(into.schema, opened.path)
            placing = Placing(outside, multi_hit, seed)
            done = write_showers(reading, into, voxels, placing)
        else:
            seen = observing(observe, hide, into.schema)
            filling = Filling(threshold, jitter, seed, nan, voxels or cells, max_points, seen)
            with contexts_of(context, into, opened) as others:
                into = paired(into, opened, others)
                done = write_clouds(reading, into, filling, dtype, particles, others)
    return done._replace(
        passed_over=passed_over, lost=lost(opened, chosen), doubts=reading.doubts()
    )
