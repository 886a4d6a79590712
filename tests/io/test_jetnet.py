"""JetNet's layout: read as jets, written for others, in physical units."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds, io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.jetnet import JetNetWriter
from pcgen.schema import Quantity, Schema


def jets(sizes, particles, seed=0):
    """Arrays in JetNet's layout with the given numbers of particles."""
    rng = np.random.default_rng(seed)
    features = np.zeros((len(sizes), particles, 4), dtype=np.float32)
    for row, size in enumerate(sizes):
        features[row, :size, :2] = rng.normal(0, 0.1, (size, 2))
        features[row, :size, 2] = -np.sort(-rng.uniform(0.001, 0.5, size))
        features[row, :size, 3] = 1
    jet = rng.uniform(800, 1600, (len(sizes), 4)).astype(np.float32)
    jet[:, 3] = sizes
    return features, jet


def write(path, features, jet, **attrs):
    with h5py.File(path, "w") as file:
        file["particle_features"], file["jet_features"] = features, jet
        file.attrs.update(attrs)
    return path


@settings(max_examples=20)
@given(st.lists(st.integers(0, 4), max_size=5), st.booleans())
def test_particles_are_points_with_pt_in_gev(tmp_path_factory, sizes, masked):
    features, jet = jets(sizes, 4)
    path = write(
        tmp_path_factory.mktemp("jets") / "t.hdf5", features[..., : 4 if masked else 3], jet
    )
    with io.open_cloud_file(path) as file:
        assert file.schema == io.JETS
        assert file.sizes().tolist() == sizes
        batch = file.read()
    assert clouds.sizes(batch).tolist() == sizes
    assert torch.equal(batch.y, torch.from_numpy(jet[:, :1]))
    assert batch.label.tolist() == [2] * len(sizes)
    for row, size in enumerate(sizes):
        one = batch[row]
        np.testing.assert_array_equal(one.pos.numpy(), features[row, :size, :2])
        np.testing.assert_allclose(
            one.weight.numpy(), features[row, :size, 2] * jet[row, 0], rtol=1e-6
        )


def test_ranges_are_those_of_the_whole(tmp_path):
    path = write(tmp_path / "g.hdf5", *jets([2, 0, 3, 1], 3))
    with io.open_cloud_file(path) as file:
        part, whole = file.read(1, 3), clouds.select(file.read(), [1, 2])
        assert torch.equal(part.weight, whole.weight)
        assert part.ptr.tolist() == [0, 0, 3]
        again = pickle.loads(pickle.dumps(file))
        assert torch.equal(again.read().pos, file.read().pos)
        again.close()


@pytest.mark.parametrize(
    ("name", "attrs", "requested", "label"),
    [
        ("g.hdf5", {}, None, 0),
        ("q150.hdf5", {}, None, 1),
        ("R04_t.hdf5", {}, None, 2),
        ("w-test.hdf5", {}, None, 3),
        ("z.h5", {}, "g", 0),
        ("jets.hdf5", {"class": "z"}, None, 4),
        ("generated.hdf5", {}, None, None),
        ("top.hdf5", {}, None, None),
        ("top.hdf5", {}, "t", 2),
    ],
)
def test_class_is_requested_stored_or_named(tmp_path, name, attrs, requested, label):
    path = write(tmp_path / name, *jets([1, 2], 2), **attrs)
    batch, _ = io.read_clouds(path, label=requested)
    assert (batch.label.tolist() if "label" in batch else None) == (label and [label] * 2) or (
        label == 0 and batch.label.tolist() == [0, 0]
    )


def test_unknown_class(tmp_path):
    path = write(tmp_path / "g.hdf5", *jets([1], 2))
    with pytest.raises(ArgumentError, match="label: got 'b', expected one of g, q, t, w, z"):
        io.open_cloud_file(path, label="b")


def test_wrong_keys_and_shapes(tmp_path):
    features, jet = jets([1, 2], 3)
    for number, (bad, other, message) in enumerate(
        (
            (features[0], jet, r"particle_features has shape \(3, 4\), expected \[N, P, 4\]"),
            (features[..., :2], jet, r"shape \(2, 3, 2\)"),
            (features, jet[:1], r"jet_features has shape \(1, 4\), expected \(2, 4\)"),
            (features, jet[:, :2], r"jet_features has shape \(2, 2\)"),
        )
    ):
        path = write(tmp_path / f"{number}.hdf5", bad, other)
        with pytest.raises(FileError, match=message):
            io.open_cloud_file(path)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["particle_features"] = features
    with pytest.raises(FileError, match="expected JetNet's particle_features and jet_features"):
        io.open_cloud_file(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["jet_features"], file["label"] = jet, [1, 2, 3]
    with pytest.raises(FileError, match=r"label has shape \(3,\), expected \[B\] for B = 2"):
        io.open_cloud_file(tmp_path / "a.hdf5")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((1, 0, 3), 0.5, "mask of event 1 is not 0 or 1"),
        ((1, 0, 3), np.nan, "mask of event 1 is not 0 or 1"),
        ((1, 1, 0), np.nan, "pos of event 1 is"),
        ((1, 1, 2), -0.1, "weight of event 1 is -"),
        ((1, 1, 2), np.inf, "weight of event 1 is inf"),
    ],
)
def test_bad_values_name_the_event(tmp_path, place, value, message):
    features, jet = jets([1, 2], 3)
    features[place] = value
    path = write(tmp_path / "g.hdf5", features, jet)
    with io.open_cloud_file(path) as file, pytest.raises(DataError, match=message):
        file.read(1, 2)


def test_nan_without_a_mask_is_not_padding(tmp_path):
    features, jet = jets([1, 2], 3)
    features[1, 2, 2] = np.nan
    path = write(tmp_path / "g.hdf5", features[..., :3], jet)
    with (
        io.open_cloud_file(path) as file,
        pytest.raises(DataError, match="event 1 holds NaN, expected zeros as padding, or a mask"),
    ):
        file.read()


def test_truncated(tmp_path):
    path = write(tmp_path / "g.hdf5", *jets([30] * 50, 30))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileError, match=r"g\.hdf5: .*truncated"):
        io.open_cloud_file(path)


@settings(max_examples=20)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_written_jets_come_back(tmp_path_factory, parts, seed):
    path = tmp_path_factory.mktemp("jets") / "jets.hdf5"
    batches = []
    for sizes in parts:
        rows = torch.rand(sum(sizes), 3, generator=torch.Generator().manual_seed(seed))
        batch = clouds.make(
            rows[:, :2] - 0.5,
            sizes,
            weight=100 * rows[:, 2] + 1,
            y=1000 * torch.ones(len(sizes), 1),
            label=torch.arange(len(sizes)),
        )
        batches.append(batch)
    with JetNetWriter(path, io.JETS, particles=4) as writer:
        for batch in batches:
            writer.append(batch)
    whole = clouds.concat(batches)
    read, schema = io.read_clouds(path)
    assert schema == io.JETS
    assert read.ptr.tolist() == whole.ptr.tolist()
    assert read.label.tolist() == whole.label.tolist()
    assert torch.equal(read.y, whole.y)
    for event in range(whole.num_graphs):
        order = whole[event].weight.argsort(descending=True)
        assert torch.equal(read[event].pos, whole[event].pos[order])
        torch.testing.assert_close(read[event].weight, whole[event].weight[order])


def test_only_the_hardest_particles_are_kept_and_the_number_is_true(tmp_path):
    batch = clouds.make(
        torch.arange(8.0).view(4, 2) / 100,
        [3, 1],
        weight=torch.tensor([1.0, 3.0, 2.0, 5.0]),
        y=torch.tensor([[10.0], [5.0]]),
    )
    with JetNetWriter(tmp_path / "a.hdf5", io.JETS, particles=2) as writer:
        writer.append(batch)
    with h5py.File(tmp_path / "a.hdf5") as file:
        features, jet = file["particle_features"][:], file["jet_features"][:]
    np.testing.assert_allclose(features[0, :, 2:], [[0.3, 1], [0.2, 1]])
    np.testing.assert_allclose(features[0, :, :2], [[0.02, 0.03], [0.04, 0.05]])
    np.testing.assert_allclose(features[1], [[0.06, 0.07, 1, 1], [0, 0, 0, 0]])
    assert jet[:, 0].tolist() == [10, 5]
    assert jet[:, 3].tolist() == [3, 1]


def test_pt_and_mass_are_those_of_the_four_vectors(tmp_path):
    """The jet is put anywhere in the detector: the mass does not notice."""
    rng = np.random.default_rng(1)
    pt, eta, phi = rng.uniform(1, 100, 9), rng.normal(0, 0.3, 9), rng.normal(0, 0.3, 9)
    there = pt[:, None] * np.stack(
        [np.cosh(eta + 1.3), np.cos(phi + 2), np.sin(phi + 2), np.sinh(eta + 1.3)], 1
    )
    energy, px, py, pz = there.sum(0)
    batch = clouds.make(
        torch.tensor(np.stack([eta, phi], 1)), [9], weight=torch.tensor(pt, dtype=torch.float64)
    )
    with JetNetWriter(tmp_path / "a.hdf5", io.JETS, particles=9) as writer:
        writer.append(batch)
    with h5py.File(tmp_path / "a.hdf5") as file:
        jet = file["jet_features"][0]
    assert jet[0] == pytest.approx(np.hypot(px, py), rel=1e-6)
    assert jet[2] == pytest.approx(np.sqrt(energy**2 - px**2 - py**2 - pz**2), rel=1e-5)


def test_conditions_that_say_more_are_used(tmp_path):
    names = ("jet_mass", "jet_pt", "jet_eta")
    schema = Schema(io.JETS.axes, io.JETS.weight, condition=tuple(map(Quantity, names)))
    batch = clouds.make(
        torch.zeros(1, 2), [1], weight=torch.ones(1), y=torch.tensor([[80.4, 900, -1.5]])
    )
    io.write_clouds(tmp_path / "a.hdf5", batch, schema)
    with h5py.File(tmp_path / "a.hdf5") as file:
        np.testing.assert_allclose(file["jet_features"][0], [900, -1.5, 80.4, 1], rtol=1e-6)


def test_other_class_orders_are_translated(tmp_path):
    schema = Schema(io.JETS.axes, io.JETS.weight, labels=("t", "g"))
    batch = clouds.make(torch.zeros(2, 2), [1, 1], weight=torch.ones(2), label=torch.tensor([0, 1]))
    with JetNetWriter(tmp_path / "a.hdf5", schema, particles=1) as writer:
        writer.append(batch)
    assert io.read_clouds(tmp_path / "a.hdf5")[0].label.tolist() == [2, 0]


def test_what_is_no_jet_is_refused(tmp_path):
    weight = Quantity("energy", "MeV")
    for schema, message in (
        (Schema((Quantity("x", "mm"), Quantity("y", "mm")), weight), r"axes \['x \[mm\]'"),
        (Schema(io.JETS.axes, weight), "a weight in 'MeV', expected .* GeV"),
        (Schema(io.JETS.axes), "a weight in 'nothing'"),
        (Schema(io.JETS.axes, io.JETS.weight, labels=("b",)), "classes b, expected"),
    ):
        with pytest.raises(ArgumentError, match=message):
            JetNetWriter(tmp_path / "a.hdf5", schema, particles=3)
    with pytest.raises(ArgumentError, match="particles: got 0"):
        JetNetWriter(tmp_path / "a.hdf5", io.JETS, particles=0)


def test_a_jet_of_no_pt_cannot_hold_particles(tmp_path):
    batch = clouds.make(
        torch.zeros(1, 2), [0, 1], weight=torch.ones(1), y=torch.tensor([[0.0], [0.0]])
    )
    writer = JetNetWriter(tmp_path / "a.hdf5", io.JETS, particles=1)
    with pytest.raises(DataError, match=r"jet pt of event 1 is 0\.0"), writer:
        writer.append(batch)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=20)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.data())
def test_a_number_of_particles_that_the_mask_denies_is_refused(tmp_path_factory, sizes, data):
    features, jet = jets(sizes, 4)
    event = data.draw(st.integers(0, len(sizes) - 1))
    jet[event, 3] = data.draw(st.integers(1, 3).filter(lambda n: n != sizes[event]))
    columns = data.draw(st.sampled_from([3, 4]))
    path = write(tmp_path_factory.mktemp("jets") / "t.hdf5", features[..., :columns], jet)
    message = f"event {event} has {sizes[event]} particles, expected {jet[event, 3]:g} as jet_feat"
    with io.open_cloud_file(path) as file, pytest.raises(DataError, match=message):
        file.sizes()
    with pytest.raises(DataError, match=message):
        io.read_clouds(path)


@pytest.mark.parametrize("wrong", [np.nan, 1.5, -2.0])
def test_a_number_of_particles_is_a_number(tmp_path, wrong):
    features, jet = jets([1, 2], 3)
    jet[1, 3] = wrong
    with pytest.raises(DataError, match="event 1 has 2 particles, expected"):
        io.read_clouds(write(tmp_path / "t.hdf5", features, jet))


def test_more_particles_than_rows_and_none_stated_are_read(tmp_path):
    """JetNet keeps the particles of highest pT; some files leave the column at zero."""
    features, jet = jets([3, 2], 3)
    jet[0, 3] = 41
    batch = io.read_clouds(write(tmp_path / "a.hdf5", features, jet))[0]
    assert clouds.sizes(batch).tolist() == [3, 2]
    jet[:, 3] = 0
    batch = io.read_clouds(write(tmp_path / "b.hdf5", features, jet))[0]
    assert clouds.sizes(batch).tolist() == [3, 2]


def test_an_inverted_mask_is_refused(tmp_path):
    features, jet = jets([3, 2, 2], 4)
    features[1:, :, 3] = 1 - features[1:, :, 3]  # two of four: the number alone is right
    with pytest.raises(DataError, match=r"of event 1 is .* under the mask 0, expected zeros"):
        io.read_clouds(write(tmp_path / "t.hdf5", features, jet))
