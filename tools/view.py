"""``pcgen view``: look at events, real and generated side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pcgen.errors import ArgumentError, DataError, FileError, PcgenError, at_least
from pcgen.schema import Schema

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from torch_geometric.data import Batch

    from pcgen import viewing
    from pcgen.grids import Calorimeter

_STEPS = 1000


def view(
    path: str,
    second: str | None = None,
    *,
    event: int = 0,
    number: int = 10,
    output: str | None = None,
    label: str | None = None,
    names: str | None = None,
    geometry: str | None = None,
    particle: str | None = None,
) -> viewing.Page | None:
    """Look at events in a window, a picture or a web page.

    Points are spheres: area and colour show what a point carries (energy, transverse momentum).
    Points with two coordinates stand on stems as high as the logarithm of that, or at the height of
    their detector layer. Of showers the layers of the calorimeter are drawn faintly, and below
    stand profiles along the depth and away from the axis.

    Where there is a display, an Open3D window opens: turn it with the mouse, go to the next and the
    previous event with the arrow keys, close it with Q. Otherwise, or with an output, a picture of
    one event (.png, .pdf, .svg) or a page for the browser with several (.html) is written. In a
    notebook the page is shown inline.

    Args:
        path: File of clouds or showers (any that pcgen convert reads), or the folder of a run,
            whose newest samples are shown.
        second: Another file or run, shown beside the first with the same axes and scales.
        event: Number of the first event to show, counted from 0.
        number: Events on a page; a window steps through at most 1000.
        output: Picture or page to write, instead of opening a window.
        label: Show only events of this class (t, say); they are then counted among themselves.
        names: Titles, separated by a comma, where the names of the files are not clear:
            real,generated.
        geometry: For files of showers that do not store their calorimeter, a file of it: the
            CaloChallenge's XML (.xml), a list of cells (.npz), or JSON of pcgen (.json).
        particle: Which particle of an XML file (photon, pion, electron), where it has several.

    Returns:
        The page, in a notebook; nothing otherwise.
    """
    if particle is not None and geometry is None:
        raise ArgumentError(f"particle: got {particle!r} without --geometry, expected both")
    at_least(0, event=event)
    at_least(1, number=number)

    from pcgen import viewing
    from pcgen.io import check_output

    if output is not None:
        check_output(output, path=path, second=second, geometry=geometry)
    files = [_file(Path(each)) for each in (path, second) if each is not None]
    titles = _titles([Path(each) for each in (path, second) if each is not None], names)
    most = max(event, 0) + max(number, _STEPS)
    read = [_read(file, label, most, (geometry, particle)) for file in files]
    schema = _agreed(files, [each.schema for each in read])
    samples = dict(zip(titles, (each.clouds for each in read), strict=True))
    calorimeter = next((each.calorimeter for each in read if each.calorimeter), None)
    look = _Look(samples, schema, calorimeter)
    if output is not None and Path(output).suffix.lower() in (".html", ".htm"):
        viewing.page(**look._asdict(), first=event, number=number).save(output)
    elif output is None and viewing.in_notebook():
        return viewing.page(**look._asdict(), first=event, number=number)
    elif output is not None:
        _draw(look, event, output)
    elif reason := _no_window(look, event):
        output = f"./{files[0].stem}-{event}.png"
        print(f"{reason}: a picture instead")
        _draw(look, event, output)
    if output is not None:
        print(f"written: {output}")
    return None


class _Look(NamedTuple):
    """What picture, page and window are given."""

    samples: dict[str, Batch]
    schema: Schema
    calorimeter: Calorimeter | None


class _Read(NamedTuple):
    clouds: Batch
    schema: Schema
    calorimeter: Calorimeter | None


def _draw(look: _Look, event: int, output: str) -> None:
    from pcgen import plotting, viewing

    plotting.save(viewing.picture(**look._asdict(), event=event), output)


def _no_window(look: _Look, event: int) -> str:
    """Why no window could be shown; empty where one was."""
    from pcgen import viewing

    if not viewing.has_display():
        return "no display"
    try:
        viewing.window(**look._asdict(), event=event)
    except ArgumentError:
        raise
    except PcgenError as error:
        return f"no window ({error})"
    return ""


def _file(path: Path) -> Path:
    """The file itself, or the newest samples of a run."""
    if not (path / "config.json").is_file():
        return path
    found = [file for file in (path / "samples").glob("*") if file.suffix in (".h5", ".hdf5")]
    if not found:
        raise FileError(f"{path}: the run has no samples yet, expected some from pcgen sample")
    return max(found, key=lambda file: file.stat().st_mtime)


def _titles(paths: Sequence[Path], names: str | None) -> list[str]:
    titles = [path.stem for path in paths]
    if len(set(titles)) < len(titles):
        titles = [str(path) for path in paths]
    if names is not None:
        titles = [name.strip() for name in names.split(",")]
    if len(titles) != len(paths) or len(set(titles)) < len(titles):
        raise ArgumentError(f"names: got {titles}, expected {len(paths)} different ones")
    return titles


def _read(
    path: Path, label: str | None, number: int, geometry: tuple[str | None, str | None]
) -> _Read:
    """The first ``number`` events, of one class where one is chosen, and what they mean."""
    from pcgen import clouds as convention
    from pcgen.datasets.voxel_clouds import open_events
    from pcgen.io import read_calorimeter

    file, particle = geometry
    cells = None if file is None else read_calorimeter(file, particle)
    parts: list[Batch] = []
    with open_events(path, calorimeter=cells) as source:
        schema, calorimeter = source.schema, source.calorimeter or cells
        if label is not None and label not in schema.labels:
            known = ", ".join(schema.labels) or "none"
            raise ArgumentError(f"label: got {label!r}, expected a class of {path}: {known}")
        for block in source.blocks():
            if label is not None and block.get("label") is not None:
                block = convention.select(block, block.label == schema.labels.index(label))
            parts.append(block)
            if sum(part.num_graphs for part in parts) >= number:
                break
    if not sum(part.num_graphs for part in parts):
        kind = "" if label is None else f" of class {label}"
        raise DataError(f"{path}: holds no events{kind}, expected at least one")
    return _Read(convention.concat(parts), schema, calorimeter)


def _agreed(paths: Sequence[Path], schemas: Sequence[Schema]) -> Schema:
    """The schema of the first file, if the others mean the same."""
    for path, schema in zip(paths, schemas, strict=True):
        difference = schemas[0].difference(schema, of=("axes", "weight"))
        if difference is not None:
            raise DataError(f"{path}: {difference} as in {paths[0]}")
    return schemas[0]
