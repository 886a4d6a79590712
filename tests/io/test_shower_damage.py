"""What is wrong with a file of showers is an error, in every layout: nothing is lost in silence."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from pcgen import clouds, io
from pcgen.conversion import convert
from pcgen.errors import DataError, PcgenError
from pcgen.grids import Calorimeter
from pcgen.io.showerdata import HITS

RINGS = Calorimeter.cylindrical([(0, 1, 2), (0, 5)], [4, 1])
CELLS = Calorimeter.cells([[0, 9], [0, 9, 18]], [[0, 0], [0, 0, 0]], [[9, 9], [9, 9, 9]])
LAYOUTS = ("calochallenge", "hgcal", "calogan", "caloclouds", "showerdata")
PLACES = {
    "calochallenge": ("showers", (2, 3)),
    "hgcal": ("showers", (2, 1, 1)),
    "calogan": ("layer_1", (2, 3, 4)),
    "caloclouds": ("events", (2, 1, 3)),
}
"""Of the energy of a cell or hit of event 2."""


def write(path, layout):
    """Four events, of which the second is empty, and no event has energy in all layers."""
    rng = np.random.default_rng(0)
    if layout == "showerdata":
        batch = clouds.make(
            torch.rand(6, 3).floor() + 0.5,
            [2, 0, 3, 1],
            weight=torch.rand(6) + 0.1,
            y=torch.ones(4, 4),
        )
        io.write_clouds(path, batch, HITS, format="showerdata")
        return path
    values = {
        "calochallenge": {"showers": (4, 9), "incident_energies": (4, 1)},
        "hgcal": {"showers": (4, 2, 3), "gen_info": (4, 3)},
        "calogan": {"layer_0": (4, 3, 96), "layer_1": (4, 12, 12), "layer_2": (4, 12, 6)}
        | {"energy": (4, 1)},
        "caloclouds": {"events": (4, 5, 4), "energy": (4, 1)},
    }[layout]
    with h5py.File(path, "w") as file:
        for name, shape in values.items():
            value = rng.uniform(1, 9, shape)
            if name in ("showers", "events") or name.startswith("layer"):
                value[1] = 0
                value[:, :1] = 0
            if layout == "hgcal" and name == "showers":
                value[:, 0, 2:] = 0
            file[name] = value
    return path


def opened(path, layout):
    known = {"calochallenge": RINGS, "hgcal": CELLS}
    return io.open_file(path, calorimeter=known.get(layout))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_empty_showers_and_layers_are_kept(tmp_path, layout):
    path = write(tmp_path / "a.h5", layout)
    with opened(path, layout) as source:
        block = source.read()
        assert io.read_format(path) == layout
        if isinstance(source, io.CloudSource):
            assert source.sizes()[1] == 0
            assert block.num_graphs == 4
            return
        assert block.image.shape == (4, *source.shape)
        assert not bool(block.image[1].any())
        assert bool((block.image[[0, 2, 3]].sum(1) > 0).all())


@pytest.mark.parametrize("layout", PLACES)
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_an_energy_that_is_none_is_named_by_its_event(tmp_path, layout, value):
    path = write(tmp_path / "a.h5", layout)
    name, place = PLACES[layout]
    with h5py.File(path, "r+") as file:
        file[name][place] = value
    message = r"a\.h5: .* of (a point of )?event 2"
    with pytest.raises(DataError, match=message), opened(path, layout) as source:
        source.read(1, 4)
    geometry = tmp_path / "cells.json"
    io.write_calorimeter(geometry, CELLS if layout == "hgcal" else RINGS)
    known = {"geometry": geometry} if layout in ("calochallenge", "hgcal") else {}
    with pytest.raises(DataError, match=message):
        convert(path, tmp_path / "b.h5", **known)
    assert not (tmp_path / "b.h5").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_that_was_cut_is_an_error(tmp_path, layout):
    path = write(tmp_path / "a.h5", layout)
    data = path.read_bytes()
    for share in (0.0, 0.01, 0.3, 0.5, 0.7, 0.9, 0.99):
        cut = tmp_path / "cut.h5"
        cut.write_bytes(data[: int(share * len(data))])
        with pytest.raises(PcgenError, match=r"cut\.h5"), opened(cut, layout) as source:
            source.read()


@pytest.mark.parametrize(
    ("layout", "calorimeter"),
    [
        ("calochallenge", CELLS),
        ("hgcal", RINGS),
        ("hgcal", Calorimeter.cells([[0]], [[0]], [[1]])),
        ("calogan", RINGS),
    ],
)
def test_a_calorimeter_that_does_not_fit_is_refused(tmp_path, layout, calorimeter):
    path = write(tmp_path / "a.h5", layout)
    with pytest.raises(PcgenError, match=r"expected"):
        io.open_file(path, calorimeter=calorimeter)


INCIDENT = {
    "calochallenge": "incident_energies",
    "hgcal": "gen_info",
    "calogan": "energy",
    "caloclouds": "energy",
    "showerdata": "energies",
}


@pytest.mark.parametrize("energy", [-5.0, 0.0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_particle_without_energy_is_refused(tmp_path, layout, energy):
    path = write(tmp_path / "a.h5", layout)
    with h5py.File(path, "r+") as file:
        file[INCIDENT[layout]][2, 0] = energy
    message = r"a\.h5: incident_energy of event 2 is .*, expected a positive energy"
    with opened(path, layout) as source:
        source.read(0, 2)
        with pytest.raises(DataError, match=message):
            source.read(1, 4)
    known = {"calochallenge": RINGS, "hgcal": CELLS}.get(layout)
    geometry = None
    if known is not None:
        geometry = tmp_path / "cells.json"
        io.write_calorimeter(geometry, known)
    with pytest.raises(DataError, match=message):
        convert(path, tmp_path / "b.h5", geometry=geometry)
    assert not (tmp_path / "b.h5").exists()
