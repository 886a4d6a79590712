"""How each reader reads a file: in every way there is, with the ways compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import fuzz_samples
import torch

import pcgen
from pcgen import clouds, io
from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter
from pcgen.io import beside, columns, tables
from pcgen.io.tables import arrays, parquet, presets, root, text
from pcgen.tools import conditions, resume
from pcgen.tools.options import MisuseError, options_of
from pcgen.tools.parser import Parser
from pcgen.training import RunFolder, weights


def read(reader: str, path: Path) -> None:
    """Read a file.

    Raises:
        PcgenError: as it shall where the file is damaged.
        AssertionError: two ways differ, or what was read cannot be.
    """
    _READING.get(reader, _events)(path)


def _events(path: Path, columns: tables.Columns | None = None, format: str | None = None) -> None:
    """As a whole, and block by block."""
    with io.open_file(path, format=format, columns=columns) as source:
        whole = source.read()
        parts = list(source.blocks(2))
        if isinstance(source, io.CloudSource):
            again = clouds.concat(parts) if parts else whole
            for name, value in clouds.attributes(whole).items():
                assert torch.equal(value, again[name]), name
                assert bool(torch.isfinite(value).all()), name
            assert torch.equal(source.sizes(), clouds.sizes(whole))
            return
        assert whole.image.shape == (len(source), *source.shape)
        assert not parts or torch.equal(torch.cat([part.image for part in parts]), whole.image)
        assert bool(torch.isfinite(whole.image).all())


def _shape(path: Path) -> None:
    """An array of a data set in folders, which would be images by itself."""
    _events(path, format="shapenet")


def _table(path: Path) -> None:
    """As :func:`_events`, with what the columns of the sound file are."""
    arrays.CHUNK_ROWS = parquet.CHUNK_ROWS = root.CHUNK_ROWS = text._ROWS = 2
    flat = {
        ".csv": {"event": "event"},
        ".npz": {"offsets": "offsets"},
        ".h5": {"offsets": "offsets"},
    }
    words = {"pos": ["x,y:mm"], "weight": "E:GeV", "x": ["kind:-1/0/1"]}
    jagged = {} if path.suffix == ".csv" else {"condition": ["beam:GeV"]}
    words |= jagged | flat.get(path.suffix, {})
    _events(path, tables.from_words(words))


def _preset(path: Path) -> None:
    preset, collection = presets.load(str(path))
    for choice in preset.columns(collection or "Other"):
        assert presets.needed(choice)
        assert len(choice.schema.axes) == len(choice.parts[0].pos)


def _calorimeter(path: Path) -> None:
    calorimeter = Calorimeter.from_xml(path)
    assert len(calorimeter.geometry().volume) == calorimeter.voxels


def _cells(path: Path) -> None:
    calorimeter = io.read_calorimeter(path)
    assert len(calorimeter.geometry().volume) == calorimeter.voxels


def _columns(path: Path) -> None:
    """Numbers, and names of classes."""
    energy, where = columns.read_column(f"{path}:energy", path)
    assert bool(beside.conditions(energy, len(energy), where).isfinite().all())
    kind, where = columns.read_column(f"{path}:kind", path)
    label, names = beside.classes(kind, len(energy), where)
    assert not len(label) or 0 <= int(label.min()) <= int(label.max()) < max(len(names), 2**53)


def _conditions(path: Path) -> None:
    request = conditions.of_table(str(path), fuzz_samples.SCHEMA)
    for value in (request.sizes, request.y, request.label):
        assert value is None or len(value) == request.number
    assert request.y is None or bool(request.y.isfinite().all())
    assert request.sizes is None or int(request.sizes.min()) >= 0


def _command(
    source: str,
    number: int = 1,
    share: float = 0.5,
    raw: bool = False,
    kind: Literal["quick", "full"] = "quick",
    names: list[str] | None = None,
    cells: list[int] | None = None,
    condition: dict[str, float] | None = None,
    phases: dict[str, dict[str, Any]] | None = None,
) -> None:
    """Options of every type.

    Args:
        source: A text.
        number: A whole number.
        share: A number.
        raw: True or false.
        kind: A choice.
        names: Words.
        cells: Whole numbers.
        condition: Numbers by name.
        phases: Options by name.
    """


@cache
def _parser() -> Parser:
    return Parser("pcgen do", "", {"options": options_of(_command)})


def _config(path: Path) -> None:
    try:
        values = _parser().parse(["--config", str(path)])
    except MisuseError as error:  # the command line makes one line of it
        raise ArgumentError(" ".join(str(error).split())) from error
    assert isinstance(values["source"], str)
    assert type(values["number"]) is int
    assert isinstance(values["share"], float)
    assert all(type(each) is int for each in values["cells"] or ())


def _run(path: Path) -> None:
    """What ``pcgen resume`` makes of it, before it opens data and checkpoint."""
    folder = RunFolder(path.parent)
    config = resume._by_present_names(folder.config())
    plan = resume._plan(folder.path, config, None, None, True)
    assert plan.arguments == config["arguments"]


def _checkpoint(path: Path) -> None:
    """The state is that of which its config knows the sum, unless the fuzzer took that away."""
    state = weights.read_model(path)
    known = state.config.get("total")
    assert known is None or known == fuzz_samples.total(state.model)
    model = pcgen.load(path)
    for name, value in model.state_dict().items():
        if value.dtype == state.model[name].dtype:
            assert torch.equal(value, state.model[name]) or not bool(value.isfinite().all()), name


_READING: dict[str, Callable[[Path], None]] = {
    "shapenet": _shape,
    "xml": _calorimeter,
    "cells": _cells,
    "table_csv": _table,
    "table_npz": _table,
    "table_hdf5": _table,
    "table_root": _table,
    "table_rntuple": _table,
    "table_parquet": _table,
    "preset": _preset,
    "columns": _columns,
    "conditions_csv": _conditions,
    "conditions_npy": _conditions,
    "conditions_npz": _conditions,
    "config": _config,
    "run": _run,
    "checkpoint": _checkpoint,
    "weights": _checkpoint,
}
