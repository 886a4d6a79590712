"""``pcgen info``: what is in a file of clouds or images, a run, a checkpoint or a shipped model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pcgen.errors import CheckpointError, FileError, PcgenError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor

    from pcgen import io
    from pcgen.grids import Calorimeter, Grid
    from pcgen.schema import Quantity, Schema
    from pcgen.training.checkpoint import Checkpoint

_WEIGHTS = ".safetensors"
_HDF5 = (".h5", ".hdf5")


def info(path: str) -> None:
    """Say what is in a file of events, a run, a checkpoint or a shipped model.

    Args:
        path: File of clouds, images or showers; a table (its columns are listed, with the presets
            of pcgen convert that fit); a file of a calorimeter (.xml, .json, .npz); folder of a run
            (its last checkpoint is shown), a checkpoint (.ckpt), weights (.safetensors), or the
            name of a model that ships with pcgen. The card of weights, a text (.md) of the same
            name beside them, is shown too. The name of a preset prints its YAML, to be copied.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pcgen.escaping import terminal

    if (preset := _preset(path)) is not None:
        print(preset, end="")
        return
    target = _target(path)
    if target.suffix in (".ckpt", _WEIGHTS) or (target / "config.json").is_file():
        rows = _run(target)
    else:
        rows = _events(target)
    table = Table(show_header=False, title=terminal(str(path)), title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")  # a grid or a path stays whole, to be copied
    for name, value in rows.items():
        if value:
            table.add_row(name, Text("\n").join(map(terminal, value.split("\n"))))
    Console().print(table)
    for line in _card(target):
        Console(soft_wrap=True).print(terminal(line))


def _target(path: str) -> Path:
    """The path, or the weights of the shipped model that it names."""
    from pcgen import shipped

    there = os.path.lexists(path) or "%" in path
    return Path(path) if there or not shipped.is_name(path) else shipped.weights(path)


def _preset(path: str) -> str | None:
    """The text of a preset, if the path is the name of one and no file."""
    if os.path.lexists(path) or not path.replace("-", "").isalnum():
        return None
    from pcgen.io.tables import presets

    return presets.text(path) if path in presets.names() else None


def _card(path: Path) -> list[str]:
    """The lines of the card of weights; none where there is no card."""
    from pcgen.bounds import TEXT, regular_file

    card = path.with_suffix(".md")
    if path.suffix != _WEIGHTS or not card.exists():
        return []
    TEXT.check(regular_file(card).stat().st_size, str(card))
    return card.read_text(encoding="utf-8", errors="replace").splitlines()


def _events(path: Path) -> dict[str, str]:
    from pcgen import io
    from pcgen.io.geometry import is_geometry
    from pcgen.io.tables import summary

    if not path.exists() and "%" not in path.name:
        raise FileError(f"{path}: no such file or folder")
    if summary.is_table(path):
        return _tables(path)
    if path.is_file() and is_geometry(path):
        return {
            "calorimeter": _calorimeter(io.read_calorimeter(path)),
            "to use it": f"--geometry {path.name} of pcgen convert, view and evaluate",
        }
    try:
        file = io.open_file(path)
    except FileError as error:
        if rows := _columns(path):
            return rows
        if path.is_dir():
            reason = str(error).removeprefix(f"{path}: ")
            raise FileError(f"{path}: no run here, and no events ({reason})") from error
        raise
    with file as source:
        # What is passed over is a row of the table, not a warning of the first read.
        left_out, source.passed_over = source.passed_over, ()
        if isinstance(source, io.CloudSource):
            rows = _clouds(source)
        elif isinstance(source, io.ShowerSource):
            rows = _showers(source)
        else:
            rows = _images(source)
        return rows | {"passed over": ", ".join(left_out)}


def _columns(path: Path) -> dict[str, str]:
    """The columns of a file that is no layout of events, if it has some."""
    if path.is_dir() or path.suffix.lower() not in (*_HDF5, ".npz"):
        return {}
    try:
        return {} if _of_pcgen(path) else _tables(path)
    except PcgenError:
        return {}  # what its own reader found is what counts


def _of_pcgen(path: Path) -> bool:
    """Whether a file states a format of pcgen's own, whose damage is no table."""
    from pcgen.io.hdf5 import open_hdf5
    from pcgen.io.hdf5_door import attribute

    if path.suffix.lower() not in _HDF5:
        return False
    with open_hdf5(path) as file:
        return str(attribute(file, "format", path)).startswith("pcgen-")


def _tables(path: Path) -> dict[str, str]:
    from pcgen.io.tables.summary import summaries

    rows: dict[str, str] = {}
    words: dict[str, str] = {}
    for table in summaries(path):
        name = f" of {table.name}" if table.name else ""
        rows[f"rows{name}"] = str(table.rows)
        rows[f"columns{name}"] = "\n".join(table.lines())
        words |= table.presets
    fits: dict[str, list[str]] = {}
    for word, about in words.items():
        fits.setdefault(about, []).append(word)
    rows["presets that fit"] = "\n".join(f"{', '.join(w)} ({about})" for about, w in fits.items())
    events = "--event" if path.suffix.lower() not in (*_HDF5, ".npz") else "--event or --offsets"
    way = f"--preset {next(iter(words))}" if words else f"--pos and --weight (and {events})"
    return rows | {"to train on": f"pcgen convert makes clouds, with {way}"}


def _clouds(file: io.CloudSource) -> dict[str, str]:
    import torch

    from pcgen import clouds as pc

    sizes, number = file.sizes(), len(file)
    rows = {"events": str(number), "splits": _splits(number), "points": str(int(sizes.sum()))}
    names: Collection[str] = ()
    if number:
        mean = sizes.double().mean().item()
        rows["points of an event"] = f"{int(sizes.min())} to {int(sizes.max())}, mean {mean:.1f}"
        rows["empty events"] = str(int((sizes == 0).sum()))
        names = first = pc.attributes(file.read(0, 1))
        rows["attributes"] = ", ".join(
            f"{name} {value.dtype}".replace("torch.", "") for name, value in first.items()
        )
    rows |= _schema(file.schema)
    labels = file.labels()
    if labels is not None and file.schema.labels:
        counts = torch.bincount(labels, minlength=len(file.schema.labels)).tolist()
        pairs = zip(file.schema.labels, counts, strict=True)
        rows["classes"] = ", ".join(f"{name}: {count}" for name, count in pairs if count)
    grid = file.grid
    rows["grid"] = "" if grid is None else str(grid)
    rows["calorimeter"] = _calorimeter(file.calorimeter)
    rows |= _contexts(file)
    return rows | trainable(file.schema, names, grid or file.calorimeter)


def _contexts(file: io.CloudSource) -> dict[str, str]:
    """What the events of a file of pairs were generated from; nothing of others."""
    from pcgen import io

    if file.context_schema is None:
        return {}
    with io.CloudFile(file.path, part="context") as contexts:
        rows = {"points": str(int(contexts.sizes().sum()))} | _schema(contexts.schema)
        rows["classes"] = ", ".join(contexts.schema.labels)
    return {f"contexts: {name}": text for name, text in rows.items()}


def _splits(number: int) -> str:
    """How many of so many events train, validate and test; all are there from three on."""
    from pcgen.datasets.splits import SPLITS, split_index

    parts = [(split, len(split_index(number, split))) for split in SPLITS if split != "all"]
    return ", ".join(f"{split} {length}" for split, length in parts) if number else ""


def trainable(
    schema: Schema, attributes: Collection[str], known: Grid | Calorimeter | None
) -> dict[str, str]:
    """Which recipes clouds can train, and what they lack: rows of a table.

    Points-* and latent recipes take any clouds. Image-* and sites-* put points into cells: they
    need a weight to add up, have no place for further features, and cut all axes, of which a grid
    has three at most. Hits-* need no weight.

    Args:
        schema: Of the clouds.
        attributes: What the clouds have, ``weight`` say; nothing where there are no events.
        known: The grid or calorimeter of their cells, where the file knows it.
    """
    from pcgen.grids import Grid

    lacks = []
    if "weight" not in attributes:
        lacks.append("points carry no weight")
    if schema.features:
        names = ", ".join(feature.name for feature in schema.features)
        lacks.append(f"points have further features ({names})")
    cells = f"with a --grid along {', '.join(axis.name for axis in schema.axes)}"
    if known is not None:
        cells = f"with the {'grid' if isinstance(known, Grid) else 'calorimeter'} above"
    able = f"not: {', '.join(lacks)}" if lacks else cells
    missing = [
        name
        for name, there in (
            ("no condition", "y" in attributes),
            ("no classes", "label" in attributes),
            ("classes without names", "label" not in attributes or schema.labels),
        )
        if not there
    ]
    rows = {
        "points-* and latent recipes": "any clouds" if attributes else "not: no events",
        "image-* and sites-* recipes": able if attributes else "not: no events",
        "hits-* recipes": (f"not: {lacks[-1]}" if schema.features else cells)
        if attributes
        else "not: no events",
    }
    return rows | {"to condition on": ", ".join(missing)}


def _images(file: io.ImageSource) -> dict[str, str]:
    shape = " x ".join(map(str, file.shape))
    grid = "not known" if file.grid is None else str(file.grid)
    rows = {"images": str(len(file)), "shape": shape, "grid": grid}
    rows |= {} if file.schema is None else _schema(file.schema)
    rows["classes"] = ", ".join(file.schema.labels) if file.schema else ""
    way = "pcgen convert makes clouds" + ("" if file.grid else ", with --grid")
    return rows | {"to train on": way}


def _showers(file: io.ShowerSource) -> dict[str, str]:
    rows = {"showers": str(len(file)), "voxels": str(file.shape[0])}
    if len(file):
        energy = file.incident()
        low, high = float(energy.min()), float(energy.max())
        rows["incident energies"] = f"{low:.6g} to {high:.6g} MeV"
    rows |= _schema(file.schema) | {"calorimeter": _calorimeter(file.calorimeter)}
    if file.calorimeter is not None:
        names = "points-*, latent, image-*, sites-*, hits-* and showers-* recipes"
        return rows | {"to train on": names}
    return rows | {"to train on": "pcgen convert makes clouds, with --geometry"}


def _calorimeter(cells: Calorimeter | None) -> str:
    """Number and kind of its layers and voxels; nothing where it is not known."""
    if cells is None:
        return ""
    kind = {"cylindrical": "rings", "planar": "rectangles", "cells": "listed cells"}[cells.kind]
    depth = "" if not cells.depth else f", {cells.depth[0]:g} to {cells.depth[-1]:g} mm deep"
    layers = len(cells.layers)
    return f"{layers} layer{'s' * (layers != 1)} of {kind}, {cells.voxels} voxels{depth}"


def _schema(schema: Schema) -> dict[str, str]:
    return {
        "axes": _described(schema.axes),
        "weight": _described((schema.weight,) if schema.weight else ()),
        "features": _described(schema.features),
        "condition": _described(schema.condition),
        "layers": ", ".join(schema.layers),
        "description": schema.description,
    }


def _described(quantities: tuple[Quantity, ...]) -> str:
    from pcgen.units import typed

    parts = []
    for quantity in quantities:
        period = f", period {typed(quantity.period)}" if quantity.period else ""
        if quantity.categories:
            parts.append(f"{quantity.name} ({', '.join(quantity.categories)})")
            continue
        parts.append(f"{quantity.name} [{quantity.unit or '1'}{period}]")
    return ", ".join(parts)


def _run(path: Path) -> dict[str, str]:
    from pcgen.schema import Schema
    from pcgen.training import RunFolder, weights

    found = RunFolder(path).newest() if path.is_dir() else (path, weights.read_model(path))
    if found is None:
        raise FileError(f"{path}: a run without a checkpoint yet, expected last.ckpt in it")
    file, state = found
    config = state.config
    rows = {
        "recipe": str(state.recipe),
        "steps": f"{state.step} of {config.get('steps', 'an unknown number')}",
        "best validation score": "none" if state.best is None else f"{state.best:.4g}",
        "data": _words(config.get("data", ())),
        "events": str(config.get("events", "")),
        "started from": _words([config[n] for n in ("start", "start_part") if config.get(n)]),
    }
    rows |= _trained(file, state)
    given = {n: v for n, v in state.arguments.items() if n != "schema" and v is not None}
    rows |= {"arguments": ""} if given else {}
    rows |= {f"  {name}": str(value) for name, value in given.items()}
    kept, learnt = _numbers(state.model)
    rows["parameters of the networks"] = f"{learnt:,}"
    rows["numbers kept of the data"] = f"{kept:,}"
    return rows | _schema(Schema.from_dict(state.schema))


def _numbers(model: Mapping[str, Tensor]) -> tuple[int, int]:
    """How many numbers are kept of the data, in whichever part of the model, and how many not."""
    kept, learnt = 0, 0
    for name, value in model.items():
        if {"representation", "whitening", "book"} & set(name.split(".")):
            kept += value.numel()
        else:
            learnt += value.numel()
    return kept, learnt


def _words(value: object) -> str:
    """Several names with commas, or whatever there is instead."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _trained(file: Path, state: Checkpoint) -> dict[str, str]:
    """What the training split had, as far as the model knows; a user's own cannot be built here."""
    from pcgen.loading import build
    from pcgen.training import install

    try:
        model = install(file, build(file, state), state)
    except CheckpointError:
        return {}
    rows = {"classes in training": ", ".join(model.classes)}
    for column, quantity in enumerate(model.schema.condition):
        if (seen := model.condition_range) is not None:
            span = " to ".join(f"{float(end[column]):.4g}" for end in seen)
            rows[f"{quantity.name} in training"] = f"{span} {quantity.unit}".rstrip()
    return rows
