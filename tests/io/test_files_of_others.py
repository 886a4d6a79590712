"""Images, jets and showers as other people store them: read right, or refused in one line."""

from __future__ import annotations

import json
import warnings

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pcgen import clouds, io
from pcgen.errors import ArgumentError, DataError, FileError, PcgenError
from pcgen.grids import Grid
from pcgen.images import image_to_cloud
from pcgen.schema import Quantity, Schema

IMAGE = np.arange(24, dtype=np.float32).reshape(3, 4, 2)


def save(path, **arrays):
    """The arrays as npz or as HDF5; dictionaries are groups."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
        return path
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            if isinstance(value, dict):
                file.create_group(name).update(value)
            else:
                text = np.asarray(value).dtype.kind == "U"
                file[name] = np.asarray(value).tolist() if text else value
    return path


def read(path):
    with io.open_file(path) as source:
        return source.read(), source.schema


both = pytest.mark.parametrize("name", ["a.npz", "a.h5"])


@both
@pytest.mark.parametrize("kind", ["i1", "u8", "f4", "f8", "?"])
def test_classes_may_be_whole_numbers_of_any_type(tmp_path, name, kind):
    images, _ = read(save(tmp_path / name, image=IMAGE, label=np.array([1, 0, 1], dtype=kind)))
    assert images.label.dtype == torch.int64
    assert images.label.tolist() == [1, 0, 1]


@both
@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([0, 1, np.nan], r"label of event 2 is nan, expected a class as a whole number"),
        ([0, 0.5, 1], r"label of event 1 is 0\.5"),
        ([0, -1, 1], r"label of event 1 is -1"),
        ([[0], [1], [1]], r"label has shape \(3, 1\)"),
        ([0, 1], r"label has shape \(2,\), expected \[B\] for B = 3 events"),
    ],
)
def test_what_is_no_class_names_file_event_and_value(tmp_path, name, label, message):
    path = save(tmp_path / name, image=IMAGE, label=np.array(label))
    with pytest.raises(PcgenError, match=f"{name}: {message}"):
        io.open_file(path)


@both
@pytest.mark.parametrize("words", [["g", "q", "g"], ["τ", "e", "τ"], ["1", "0", "1"]])
def test_text_becomes_classes_with_names(tmp_path, name, words):
    images, schema = read(save(tmp_path / name, images=IMAGE, labels=np.array(words)))
    assert [schema.labels[k] for k in images.label.tolist()] == words
    assert list(schema.labels) == sorted(set(words))


def test_text_of_fixed_length_too(tmp_path):
    images, schema = read(save(tmp_path / "a.h5", image=IMAGE, label=np.array([b"g", b"qq", b"g"])))
    assert (images.label.tolist(), schema.labels) == ([0, 1, 0], ("g", "qq"))
    path = save(tmp_path / "b.h5", image=IMAGE, label=np.array([b"g", b"\xff", b"g"]))
    with pytest.raises(PcgenError, match=r"b\.h5.*UTF-8"):
        io.open_file(path)


@both
@pytest.mark.parametrize("columns", [0, 1, 3])
def test_conditions_are_columns_or_one_flat_array(tmp_path, name, columns):
    y = np.arange(3.0 * max(columns, 1)).reshape(3, -1)
    images, schema = read(save(tmp_path / name, image=IMAGE, y=y if columns else y[:, 0]))
    np.testing.assert_array_equal(images.y.numpy(), y)
    names = {0: ["y"], 1: ["y"], 3: ["y_0", "y_1", "y_2"]}[columns]
    assert [quantity.name for quantity in schema.condition] == names
    with io.open_file(tmp_path / name) as source:
        np.testing.assert_array_equal(source.read(1, 2).y.numpy(), y[1:2])


@both
def test_whole_numbers_that_float64_does_not_hold_are_refused(tmp_path, name):
    image = IMAGE.astype(np.int64)
    assert read(save(tmp_path / name, image=image + 2**52))[0].image[2, 3, 1] == 2**52 + 23
    with pytest.raises(DataError, match=f"{name}: got the whole number {2**53 + 1}"):
        read(save(tmp_path / name, image=image + 2**53))


class Trap:
    """Unpickling this would leave a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_objects_beside_images_are_neither_opened_nor_hidden(tmp_path):
    trap = np.array([Trap(str(tmp_path / "trace"))], dtype=object)
    path = save(tmp_path / "a.npz", images=IMAGE, meta=trap, energy=np.ones(3))
    with pytest.warns(UserWarning, match=r"a\.npz: meta, energy passed over"):
        images, _ = read(path)
    assert len(images.image) == 3
    for name in ("y", "label", "axes"):
        with pytest.raises(FileError, match=rf"a\.npz: array {name} cannot be read"):
            io.open_file(save(path, images=IMAGE, **{name: trap}))
    assert not (tmp_path / "trace").exists()


@both
def test_what_is_passed_over_is_named_once(tmp_path, name):
    path = save(tmp_path / name, image=IMAGE, images=IMAGE, label=[0, 1, 0], labels=[1, 1, 1])
    with io.open_file(path) as source:
        assert sorted(source.passed_over) == ["images", "labels"]
        with pytest.warns(UserWarning, match="images, labels passed over"):
            assert source.read(0, 2).label.tolist() == [0, 1]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            source.read()


@pytest.mark.parametrize("group", ["y", "label", "labels"])
def test_groups_beside_images_are_passed_over(tmp_path, group):
    path = save(tmp_path / "a.h5", image=IMAGE, **{group: {"pt": np.ones(3)}})
    with pytest.warns(UserWarning, match=rf"{group} \(a group\) passed over"):
        images, _ = read(path)
    assert (len(images.image), images.y, images.label) == (3, None, None)


def test_links_to_nothing_are_passed_over_or_refused(tmp_path):
    path = save(tmp_path / "a.h5", image=IMAGE)
    with h5py.File(path, "r+") as file:
        file["label"], file["more"] = h5py.SoftLink("/no"), h5py.ExternalLink("no.h5", "/y")
    message = r"label \(a link to nothing\), more \(a link that leads elsewhere\)"
    with pytest.warns(UserWarning, match=message):
        assert len(read(path)[0].image) == 3
    with h5py.File(path, "w") as file:
        file["image"] = h5py.SoftLink("/no")
    with pytest.raises(FileError, match=r"a\.h5: got the data sets .*expected image"):
        io.open_file(path)


def test_groups_where_data_sets_are_needed(tmp_path):
    group = {"a": np.ones(3)}
    with pytest.raises(FileError, match="expected image among them"):
        io.open_file(save(tmp_path / "a.h5", image=group))
    batch = clouds.make(torch.ones(2, 1), [2], weight=torch.ones(2))
    for name in ("pos", "ptr", "weight"):
        io.write_clouds(tmp_path / "b.h5", batch, Schema((Quantity("x"),), Quantity("E")))
        with h5py.File(tmp_path / "b.h5", "r+") as file:
            del file[name]
            file.create_group(name)
        with pytest.raises(FileError, match=rf"b\.h5: got the data sets .*expected .*{name}"):
            io.open_file(tmp_path / "b.h5")
    jets = {"particle_features": np.ones((3, 2, 4)), "jet_features": np.full((3, 4), 2.0)}
    for name in jets:
        with pytest.raises(FileError, match="expected JetNet's particle_features and jet_features"):
            io.open_file(save(tmp_path / "c.hdf5", **{**jets, name: group}))
    with pytest.warns(UserWarning, match=r"label \(a group\) passed over"):
        assert "label" not in io.read_clouds(save(tmp_path / "c.hdf5", **jets, label=group))[0]
    showers = {"showers": np.ones((3, 9)), "incident_energies": np.ones((3, 1))}
    for name in showers:
        with pytest.raises(FileError, match="expected CaloChallenge's"):
            io.open_file(save(tmp_path / "d.hdf5", **{**showers, name: group}))


def test_hdf5_of_another_layout_hears_of_all_that_are_known(tmp_path):
    with pytest.raises(FileError) as caught:
        io.open_file(save(tmp_path / "a.h5", X=IMAGE, y=np.ones(3)))
    for word in ("X, y", "image or images", "particle_features", "showers", "clouds"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("label", "expected"),
    [(["g", "z", "t"], [0, 4, 2]), ([0.0, 4.0, 2.0], [0, 4, 2]), ([0, 4, 2], [0, 4, 2])],
)
def test_classes_of_jets_are_numbers_or_names(tmp_path, label, expected):
    features, jets = np.ones((3, 2, 4)), np.full((3, 4), 2.0)
    data = {"particle_features": features, "jet_features": jets, "label": np.array(label)}
    assert io.read_clouds(save(tmp_path / "a.hdf5", **data))[0].label.tolist() == expected
    for bad in ([0, np.nan, 1], [0, 0.5, 1], [0, 5, 1], [0, -1, 1]):
        data["label"] = np.array(bad)
        with pytest.raises(DataError, match=r"a\.hdf5: label of event 1 is"):
            io.open_file(save(tmp_path / "a.hdf5", **data))
    data["label"] = np.array(["g", "x", "q"])
    with pytest.raises(DataError, match="label of event 1 is x, expected one of the classes g, q"):
        io.open_file(save(tmp_path / "a.hdf5", **data))


def test_classes_of_clouds_are_whole_numbers(tmp_path):
    batch = clouds.make(torch.ones(2, 1), [1, 1], label=torch.tensor([0, 1]))
    for bad, message in ((np.array([0.5, 1]), "whole numbers"), (np.array([0, 7]), "event 1 is 7")):
        io.write_clouds(tmp_path / "a.h5", batch, Schema((Quantity("x"),), labels=("e", "pi")))
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            del file["label"]
            file["label"] = bad
        with pytest.raises(PcgenError, match=message), io.open_file(tmp_path / "a.h5") as source:
            source.labels()


def test_a_filter_that_is_not_installed_is_no_damage(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((3, 4, 2))
        # Optional, so that this machine may write the chunk without it; 32015 is Zstandard.
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((3, 4, 2))
        data = h5py.h5d.create(file.id, b"image", h5py.h5t.NATIVE_FLOAT, space, properties)
        data.write_direct_chunk((0, 0, 0), IMAGE.tobytes(), 0)
    message = r"a\.h5: /image is packed by the HDF5 filter 32015 \(Zstandard\).*hdf5plugin"
    with pytest.raises(FileError, match=message):
        read(path)


def bits_picture(path, values, bits):
    """A greyscale PNG of few bits, as Pillow itself cannot write one of mode L."""
    import struct
    import zlib

    def chunk(name, data):
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    rows = b""
    for row in values:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + bytes(int(text[k : k + 8], 2) for k in range(0, len(text), 8))
    head = struct.pack(">IIBBBBB", len(values[0]), len(values), bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_values_are_those_of_the_picture_whatever_its_bits(tmp_path, bits):
    values = np.random.default_rng(bits).integers(0, 2**bits, (5, 3))
    bits_picture(tmp_path / "a.png", values.tolist(), bits)
    images, _ = read(tmp_path / "a.png")
    assert np.array_equal(images.image[0].numpy(), values[::-1].T)


@pytest.mark.parametrize(
    "change",
    [{"label": 0.5}, {"label": "e"}, {"label": 2}, {"label": True}, {"y": [1.0, 2.0]}, {"y": ["a"]},
     {"y": [float("nan")]}],
)  # fmt: skip
def test_a_picture_whose_condition_or_class_is_none(tmp_path, change):
    grid = Grid.regular({"x": (0, 1, 3), "y": (0, 1, 2)})
    schema = Schema(grid.axes, Quantity("E"), condition=(Quantity("T"),), labels=("e", "pi"))
    with io.image_writer(tmp_path / "a.png", 1, grid, schema) as sink:
        sink.append(io.Images(torch.ones(1, 3, 2), torch.ones(1, 1), torch.tensor([1])))
    with Image.open(tmp_path / "a.png") as picture:
        grey, facts = np.array(picture), json.loads(picture.text["pcgen"])
    text = PngInfo()
    text.add_text("pcgen", json.dumps({**facts, **change}))
    Image.fromarray(grey).save(tmp_path / "a.png", pnginfo=text)
    with pytest.raises(FileError, match=r"a\.png: its text 'pcgen' cannot be used"):
        io.open_file(tmp_path / "a.png")


def test_pictures_that_do_not_mean_the_same(tmp_path):
    grid = Grid.regular({"x": (0, 1, 3), "y": (0, 1, 2)})
    for number, labels in enumerate((("e", "pi"), ("pi", "e"))):
        schema = Schema(grid.axes, Quantity("E"), labels=labels)
        with io.image_writer(tmp_path / f"e_{number}.png", 1, grid, schema) as sink:
            sink.append(io.Images(torch.ones(1, 3, 2), None, torch.tensor([1])))
    with pytest.raises(FileError, match=r"e_1\.png: picture has another schema than .*e_0\.png"):
        read(tmp_path / "e_%d.png")


def test_the_grid_of_clouds_is_stored_on_request(tmp_path):
    grid = Grid.regular({"x": (0, 1, 4), "y": (0, 1, 2)})
    schema = Schema(grid.axes, Quantity("E", "GeV"))
    batch = image_to_cloud(torch.from_numpy(IMAGE), grid)
    io.write_clouds(tmp_path / "a.h5", batch, schema, grid=grid, attrs={"made": "here"})
    with io.open_file(tmp_path / "a.h5") as source:
        assert Grid.from_dict(source.attrs["grid"]) == grid
        assert source.attrs["made"] == "here"
    with pytest.raises(ArgumentError, match=r"a\.xyz: got a grid"):
        io.write_clouds(tmp_path / "a.xyz", batch, schema, grid=grid)
    other = Grid.regular({"eta": (0, 1, 4), "y": (0, 1, 2)})
    with pytest.raises(ArgumentError, match="axes of grid: got 'eta'"):
        io.write_clouds(tmp_path / "b.h5", batch, schema, grid=other)
    assert not (tmp_path / "b.h5").exists()
