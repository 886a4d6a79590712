"""ShowerData's layout: what h5py and the package see in it, padding, particles, units, damage."""

from __future__ import annotations

import dataclasses
import pickle

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds, io
from pcgen.errors import ArgumentError, DataError, FileError, PcgenError
from pcgen.io.showerdata import HITS, PARTICLES, TIME, ShowerDataFile, ShowerDataWriter
from pcgen.schema import Quantity

NAMES = tuple(PARTICLES.values())


def rows(sizes, columns=4, seed=0):
    """Hits of each shower [n, columns], float32, as the layout has them."""
    rng = np.random.default_rng(seed)
    found = [rng.uniform(1, 9, (n, columns)).astype("f4") for n in sizes]
    for each in found:
        each[:, 2] = rng.integers(0, 6, len(each))
    return found


def write(path, hits, **other):
    """A file as the package writes it, without the package."""
    number, columns = len(hits), hits[0].shape[1] if hits else 4
    values = {
        "shape": np.array([number, max(map(len, hits), default=0), columns]),
        "energies": np.full((number, 1), 20, "f4"),
        "directions": np.tile(np.array([[0.6, 0, 0.8]], "f4"), (number, 1)),
        "pdg": np.array([22, -211, 13, 0, 11] * number, "i4")[:number],
        "shower_ids": np.arange(number, dtype="i4"),
        "num_points": np.array([len(each) for each in hits], "i4"),
        **other,
    }
    with h5py.File(path, "w") as file:
        data = file.create_dataset("showers", (number,), h5py.vlen_dtype("f4"))
        for event, each in enumerate(hits):
            data[event] = each.reshape(-1)
        for name, value in values.items():
            if value is not None:
                file[name] = value
    return path


def test_values_are_those_of_the_file(tmp_path):
    hits = rows([3, 0, 5, 5], 5)
    with io.open_file(write(tmp_path / "a.h5", hits)) as file:
        assert isinstance(file, ShowerDataFile)
        whole, schema = file.read(), file.schema
        assert file.sizes().tolist() == [3, 0, 5, 5]
        assert len(file) == 4
        with pickle.loads(pickle.dumps(file)) as again:
            assert torch.equal(again.read(1, 3).pos, whole.pos[3:8])
        blocks = list(file.blocks(3))
        assert torch.equal(torch.cat([block.pos for block in blocks]), whole.pos)
    flat = np.concatenate(hits)
    np.testing.assert_array_equal(whole.pos[:, :2], flat[:, :2])
    np.testing.assert_array_equal(whole.pos[:, 2], flat[:, 2] + 0.5)
    np.testing.assert_array_equal(whole.layer, flat[:, 2])
    np.testing.assert_array_equal(whole.weight, flat[:, 3])
    np.testing.assert_array_equal(whole.x[:, 0], flat[:, 4])
    np.testing.assert_allclose(whole.y, [[20, 0.6, 0, 0.8]] * 4, rtol=1e-6)
    assert schema.features == (TIME,)
    assert len(schema.layers) == int(flat[:, 2].max()) + 1
    assert (schema.weight.unit, schema.condition[0].unit) == ("GeV", "GeV")
    # Particles without a name of their own come behind, by their numbers.
    assert schema.labels == (*NAMES, "0", "13")
    assert [schema.labels[each] for each in whole.label] == ["gamma", "pi-", "13", "0"]


def test_the_table_of_particles_is_by_size_and_sign():
    assert list(PARTICLES) == sorted(PARTICLES, key=lambda number: (abs(number), -number))


def test_rows_without_energy_are_left_out_wherever_they_are(tmp_path):
    hits = rows([4, 3, 2])
    hits[0][1, 3] = 0
    hits[1][:, 3] = 0
    hits[2][1, 3] = -0.0
    path = write(tmp_path / "a.h5", hits)
    with pytest.warns(UserWarning, match=r"a\.h5: points without energy are left out"):
        file = ShowerDataFile(path)
    assert file.sizes().tolist() == [3, 0, 1]
    assert torch.equal(file.sizes(), clouds.sizes(file.read()))
    np.testing.assert_array_equal(file.read(0, 1).weight, hits[0][[0, 2, 3], 3])


def test_layers_of_observables_are_believed(tmp_path):
    path = write(tmp_path / "a.h5", rows([3]), pdg=np.zeros((1, 1), "i4"))
    with h5py.File(path, "r+") as file:
        file["observables/num_points_per_layer"] = np.zeros((1, 78), "i4")
    with ShowerDataFile(path) as source:
        assert len(source.schema.layers) == 78
        assert source.passed_over == ("observables (a group)",)
        source.passed_over = ()
        assert source.schema.labels == ()
        assert source.labels() is None
        assert "label" not in source.read()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"shape": None}, "got the data sets .*, expected ShowerData's showers, shape"),
        ({"shape": [3, 9, 4]}, r"shape is \[3, 9, 4\], expected \[2, points, 4 or 5\]"),
        ({"shape": [2, 9, 6]}, r"shape is \[2, 9, 6\]"),
        ({"shape": [2.0, 9.0, 4.0]}, r"shape has shape \(3,\) of float64"),
        ({"shape": [2, 9, 5]}, "shower 0 has 12 numbers, expected a multiple of 5"),
        ({"energies": np.ones(2)}, r"energies has shape \(2,\) of float64, expected \(2, 1\)"),
        ({"directions": np.ones((2, 2))}, "directions has shape"),
        ({"pdg": np.ones(3, "i4")}, "pdg has shape"),
        ({"pdg": np.ones(2, "f4")}, "pdg has shape"),
    ],
)
def test_other_layouts_are_refused(tmp_path, other, message):
    with pytest.raises(FileError, match=message):
        ShowerDataFile(write(tmp_path / "a.h5", rows([3, 2]), **other))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (3, -1.0, "energy of a point of event 1 is -1.0, expected a finite value"),
        (3, np.nan, "energy of a point of event 1 is nan"),
        (3, np.inf, "energy of a point of event 1 is inf"),
        (0, np.nan, "pos of event 1 is"),
        (2, 1.5, "layer of a point of event 1 is 1.5, expected a whole number"),
        (2, -1.0, "layer of a point of event 1 is -1.0"),
        (2, np.nan, "layer of a point of event 1 is nan"),
    ],
)
def test_bad_hits_are_named(tmp_path, column, value, message):
    hits = rows([3, 2])
    hits[1][1, column] = value
    path = write(tmp_path / "a.h5", hits)
    with pytest.raises(DataError, match=message), ShowerDataFile(path) as file:
        file.read()


def test_references_that_stand_for_more_than_the_file_are_refused(tmp_path):
    path = write(tmp_path / "a.h5", rows([3, 900]))
    with h5py.File(path) as file:
        place = file["showers"].id.get_offset()
    data = bytearray(path.read_bytes())
    # The second row stands for the first one too, and both say to be long.
    data[place : place + 16] = data[place + 16 : place + 32]
    many = tmp_path / "b.h5"
    many.write_bytes(data)
    with h5py.File(many) as file:
        assert len(file["showers"][0]) == 3600
    with pytest.raises(FileError, match=r"its rows hold 7200 numbers, more than the file"):
        ShowerDataFile(many)
    data[place : place + 4] = (7).to_bytes(4, "little")
    many.write_bytes(data)
    with pytest.raises(FileError):
        ShowerDataFile(many)
    many.write_bytes(data[: place + 20])
    with pytest.raises(FileError):
        ShowerDataFile(many)


def test_packed_references_are_refused_with_the_way_out(tmp_path):
    path = write(tmp_path / "a.h5", rows([3, 2]))
    with h5py.File(path, "r+") as file:
        values = file["showers"][:]
        del file["showers"]
        packed = file.create_dataset(
            "showers", (2,), h5py.vlen_dtype("f4"), chunks=(2,), compression="gzip"
        )
        for event in range(2):
            packed[event] = values[event]
    with pytest.raises(FileError, match="packed by a filter, expected plain ones; h5repack"):
        ShowerDataFile(path)


def hits_of(sizes, time=False, seed=0):
    """Clouds as a file of the layout has them, and their schema."""
    generator = torch.Generator().manual_seed(seed)
    number = sum(sizes)
    layer = torch.randint(0, 7, (number,), generator=generator)
    plane = 20 * torch.rand(number, 2, generator=generator) - 10
    batch = clouds.make(
        torch.cat([plane, layer[:, None] + 0.5], 1),
        sizes,
        weight=torch.rand(number, generator=generator) + 0.01,
        layer=layer,
        x=torch.rand(number, 1, generator=generator) if time else None,
        y=torch.rand(len(sizes), 4, generator=generator) + 1,
        label=torch.randint(0, len(NAMES), (len(sizes),), generator=generator),
    )
    features = (TIME,) if time else ()
    layers = tuple(map(str, range(7)))
    return batch, dataclasses.replace(HITS, labels=NAMES, features=features, layers=layers)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.booleans(), st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_clouds_are_read_again_as_what_they_were(tmp_path_factory, sizes, time, seed):
    batch, schema = hits_of(sizes, time, seed)
    path = tmp_path_factory.mktemp("a") / "a.h5"
    with ShowerDataWriter(path, schema) as writer:
        for start in range(0, len(sizes), 2):
            writer.append(clouds.select(batch, torch.arange(start, min(start + 2, len(sizes)))))
    with io.open_file(path) as file:
        again = file.read()
        assert again.label is not None
    for name, value in clouds.attributes(batch).items():
        assert torch.equal(value, again[name]), name
    with h5py.File(path) as file:
        assert file.attrs["showerdata_version"]
        assert file["shape"].dtype == np.int64
        assert file["shape"][:].tolist() == [len(sizes), max(sizes), 5 if time else 4]
        assert file["num_points"][:].tolist() == sizes
        assert file["shower_ids"][:].tolist() == list(range(len(sizes)))
        assert [file[name].dtype for name in ("pdg", "energies")] == ["i4", "f4"]
        assert [len(row) for row in file["showers"]] == [n * (5 if time else 4) for n in sizes]


def test_units_are_converted_and_what_lacks_has_its_default(tmp_path):
    batch, schema = hits_of([2, 1])
    plain = clouds.replace(batch, y=batch.y[:, :1], label=None, layer=None)
    meaning = dataclasses.replace(
        schema,
        axes=(Quantity("x", "cm"), Quantity("y", "m"), Quantity("z")),
        weight=Quantity("E", "MeV"),
        condition=(Quantity("incident_energy", "TeV"),),
        labels=(),
        layers=(),
    )
    with ShowerDataWriter(tmp_path / "a.h5", meaning) as writer:
        writer.append(plain)
    with io.open_file(tmp_path / "a.h5") as file:
        again = file.read()
    torch.testing.assert_close(again.pos, batch.pos * torch.tensor([10.0, 1000.0, 1.0]))
    torch.testing.assert_close(again.weight, batch.weight / 1000)
    torch.testing.assert_close(again.y[:, 0], 1000 * batch.y[:, 0])
    assert again.y[:, 1:].tolist() == [[0, 0, 1]] * 2
    assert torch.equal(again.layer, batch.layer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": None}, "got clouds without a weight"),
        ({"weight": Quantity("E", "J")}, "E: got unit 'J', expected one of eV, keV"),
        ({"axes": HITS.axes[1:]}, r"got the axes y, z, expected x \[mm\] among them"),
        ({"condition": ()}, "got the condition none, expected incident_energy"),
        ({"condition": HITS.condition[:2]}, "condition has some of direction_x"),
        ({"labels": ("electron",)}, "got the class 'electron', expected particles"),
    ],
)
def test_what_the_layout_cannot_mean_is_refused(tmp_path, change, message):
    with pytest.raises(ArgumentError, match=message):
        ShowerDataWriter(tmp_path / "a.h5", dataclasses.replace(HITS, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.tensor([1.0, 0.0])}, "weight of a point of event 0 is 0.0, expected pos"),
        (
            {"weight": torch.tensor([1.0, 1e-50], dtype=torch.double)},
            "weight of a point of event 0 is 1e-50",
        ),
        ({"y": None}, "got clouds without y"),
        ({"layer": None}, "got clouds without layer, whose z is a length"),
    ],
)
def test_points_that_readers_would_lose_are_refused(tmp_path, change, message):
    batch, schema = hits_of([2])
    axes = (*schema.axes[:2], Quantity("z", "mm"))
    with (
        pytest.raises(PcgenError, match=message),
        ShowerDataWriter(tmp_path / "a.h5", dataclasses.replace(schema, axes=axes)) as writer,
    ):
        writer.append(clouds.replace(batch, **change))
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore")
def test_the_package_reads_what_is_written_and_is_read(tmp_path):
    package = pytest.importorskip("showerdata", reason="pip install showerdata")
    batch, schema = hits_of([3, 0, 4], time=True)
    with ShowerDataWriter(tmp_path / "a.h5", schema) as writer:
        writer.append(batch)
    showers = package.load(tmp_path / "a.h5")
    assert showers.points.shape == (3, 4, 5)
    np.testing.assert_array_equal(showers.points[2, :, 3], batch.weight[3:])
    assert [NAMES[each] for each in batch.label] == [PARTICLES[each] for each in showers.pdg]
    showers.save(tmp_path / "b.h5")
    with io.open_file(tmp_path / "b.h5") as file:
        again = file.read()
    for name, value in clouds.attributes(batch).items():
        assert torch.equal(value, again[name]), name
