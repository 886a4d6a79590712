"""The table of formats: who reads and writes, what is recognised, and every way there and back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import get_args

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds, formats, io
from pcgen.errors import ArgumentError, FileError
from pcgen.formats import FORMATS, readable, writable
from pcgen.grids import Grid
from pcgen.io.files import _loaded
from pcgen.schema import Quantity, Schema

SHOWERS: dict[str, dict[str, tuple[int, ...]]] = {
    "hgcal": {"showers": (4, 2, 9), "gen_info": (4, 3)},
    "calogan": {
        "energy": (4, 1),
        "layer_0": (4, 3, 96),
        "layer_1": (4, 12, 12),
        "layer_2": (4, 12, 6),
    },
    "caloclouds": {"events": (4, 9, 4), "energy": (4, 1)},
}
"""Shapes of the arrays of files of showers, of which all values are 1."""
SOURCES = {"clouds": io.CloudSource, "images": io.ImageSource, "showers": io.ShowerSource}
SINKS = {"clouds": io.CloudSink, "images": io.ImageSink, "showers": io.ShowerSink}
# HepMC keeps momenta and not the axis that jets are relative to: tests/io/test_hepmc.py.
BOTH = set(readable()) & set(writable()) - {"hepmc"}
HITS = ("showerdata",)
"""Formats of clouds that hold hits of showers alone; tests of their own read them again."""


def target(folder: Path, name: str) -> Path:
    """Where to write many events of a format."""
    layout = FORMATS[name]
    return folder / f"event_%d{layout.ending}" if layout.one_event else folder / f"a{layout.ending}"


def opened_as(name: str, path: Path) -> bool:
    """Whether a file is recognised as this format, and is of its kind."""
    with io.open_file(path) as source:
        of_kind = type(source).kind == FORMATS[name].kind
        return of_kind and io.read_format(path) == name


@pytest.mark.parametrize("name", FORMATS)
def test_readers_and_writers_are_there_and_of_the_kind_of_their_format(name):
    layout = FORMATS[name]
    assert layout.reader or layout.writer
    assert layout.ending == layout.ending.lower()
    for place, kinds in ((layout.reader, SOURCES), (layout.writer, SINKS)):
        if place:
            found = _loaded(place)
            assert issubclass(getattr(found, "func", found), kinds[layout.kind])
    if layout.reader:
        found = _loaded(layout.reader)
        assert getattr(found, "func", found).kind == layout.kind


def test_help_and_library_read_the_names_in_one_place():
    assert get_args(formats.Format) == tuple(FORMATS)
    assert get_args(formats.Readable) == readable()
    assert get_args(formats.Writable) == writable()
    assert {*readable(), *writable()} == set(FORMATS)


def test_an_ending_alone_is_written_as_its_first_format():
    first = {}
    for name in writable():
        first.setdefault(FORMATS[name].ending, name)
    assert {ending: io.written_format(f"a{ending.upper()}") for ending in first} == first
    assert (first[".h5"], first[".hdf5"], first[".npz"]) == ("clouds", "jetnet", "npz")


@given(
    name=st.sampled_from([n for n in writable("clouds") if n in BOTH and n not in HITS]),
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_clouds_are_read_again_as_what_they_were(name, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    pos = torch.rand(sum(sizes), 2, generator=generator) - 0.5
    weight = torch.rand(sum(sizes), generator=generator) + 0.1
    written = clouds.make(pos, sizes, weight=weight)
    with tempfile.TemporaryDirectory() as folder:
        path = target(Path(folder), name)
        io.write_clouds(path, written, io.JETS, format=name)
        assert opened_as(name, path)
        read, schema = io.read_clouds(path)
        if FORMATS[name].one_event:
            assert io.read_format(folder) == name
    assert schema.axes == io.JETS.axes
    assert read.ptr.tolist() == written.ptr.tolist()
    # JetNet's layout keeps particles by falling transverse momentum, as fractions of their jet's.
    rows = [
        torch.cat([each.pos, each.weight[:, None]], 1)[each.weight.argsort(descending=True)]
        for each in (*written.to_data_list(), *read.to_data_list())
    ]
    torch.testing.assert_close(torch.cat(rows[: len(sizes)]), torch.cat(rows[len(sizes) :]))


@given(
    name=st.sampled_from([n for n in writable("images") if n in BOTH]),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    layers=st.booleans(),
    number=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_images_are_read_again_as_what_they_were(name, shape, layers, number, seed):
    axes = tuple(Quantity(axis, "mm") for axis in "xyz"[: len(shape)])
    edges = tuple(tuple(map(float, range(cells + 1))) for cells in shape)
    grid = Grid(axes, edges, ("front", "back") if layers else ())
    schema = Schema(axes, Quantity("energy", "MeV"), layers=grid.layers)
    generator = torch.Generator().manual_seed(seed)
    # Whole numbers: the grey values of pictures hold them exactly.
    image = torch.randint(0, 9, (number, *grid.shape), generator=generator).float()
    with tempfile.TemporaryDirectory() as folder:
        path = target(Path(folder), name)
        with io.image_writer(path, number, grid, schema, format=name) as sink:
            sink.append(io.Images(image))
        assert opened_as(name, path)
        with io.open_file(path) as source:
            assert torch.equal(source.read().image, image)
            assert source.shape == grid.shape
            assert (source.grid, source.schema) == (
                (None, None) if name == "npy" else (grid, schema)
            )


@pytest.mark.parametrize("ending", [".h5", ".hdf5"])
def test_hdf5_is_what_it_holds_under_both_endings(tmp_path, ending):
    batch = clouds.make(torch.rand(3, 2), [1, 2], weight=torch.rand(3))
    for name in ("clouds", "jetnet"):
        path = tmp_path / f"{name}{ending}"
        io.write_clouds(path, batch, io.JETS, format=name)
        assert opened_as(name, path)
    for name, arrays in (
        ("images", {"image": (4, 2, 3)}),
        ("images", {"images": (4, 2, 3)}),
        ("calochallenge", {"showers": (4, 9), "incident_energies": (4, 1)}),
        *SHOWERS.items(),
    ):
        path = tmp_path / f"other{ending}"
        with h5py.File(path, "w") as file:
            for array, shape in arrays.items():
                file[array] = np.ones(shape)
        assert opened_as(name, path)


def test_what_is_not_read_or_not_written_is_refused_by_name(tmp_path, monkeypatch):
    layout = FORMATS["hepmc"]._replace(ending=".out", about="a picture", reader="")
    monkeypatch.setitem(FORMATS, "out", layout)
    with pytest.raises(FileError, match=r"a\.out: is a picture, which pcgen writes and does not"):
        io.open_file(tmp_path / "a.out")
    with pytest.raises(FileError, match="is a picture, which pcgen writes and does not read"):
        io.open_file(tmp_path / "a.h5", format="out")
    with pytest.raises(
        ArgumentError, match=r"got the format 'calochallenge', expected one of clou"
    ):
        io.cloud_writer(tmp_path / "a.hdf5", io.JETS, format="calochallenge")
    with pytest.raises(ArgumentError) as caught:
        io.written_format(tmp_path / "a.txt")
    for name in writable():
        assert f"{name} ({FORMATS[name].ending})" in str(caught.value)


def test_a_pcgen_file_of_which_something_is_missing_is_named_by_its_reader(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["format"] = "pcgen-clouds"
    with pytest.raises(FileError, match=r"a\.h5: (?!got the data sets none, expected pos)"):
        io.open_file(tmp_path / "a.h5")


def test_the_page_of_formats_is_the_table():
    page = (Path(__file__).parents[2] / "docs/your-data.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for name, layout in FORMATS.items():
        ways = " and ".join(
            word for word, place in (("read", layout.reader), ("written", layout.writer)) if place
        )
        names = [f"`{each}`" for part in layout.content for each in part.split()]
        joined = (" and " if len(layout.content) == 1 else " or ").join(names)
        row = f"| `{name}` | {layout.ending} | {layout.kind} | {layout.about} | {ways} | {joined} |"
        assert row.replace("|  |", "| |") in rows, row
