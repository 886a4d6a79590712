"""The ragged file gives back exactly what was written, or reports what is wrong with it."""

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
from pcgen.schema import Quantity, Schema

SCHEMA = Schema(
    axes=(Quantity("x", "mm"), Quantity("phi", "rad", 6.28)),
    weight=Quantity("energy", "MeV"),
    features=(Quantity("time", "ns"), Quantity("charge"), Quantity("kind")),
    condition=(Quantity("incident", "GeV"),),
    labels=("e", "pi", "mu"),
    layers=("ECAL", "HCAL"),
    description="invented",
)


def make(sizes, *, dtype=torch.float32, seed=0, plain=False):
    g = torch.Generator().manual_seed(seed)
    rows, number = sum(sizes), len(sizes)
    pos = torch.randn(rows, 2, generator=g, dtype=dtype)
    if plain:
        return clouds.make(pos, sizes)
    return clouds.make(
        pos,
        sizes,
        weight=torch.rand(rows, generator=g, dtype=dtype),
        x=torch.randn(rows, 3, generator=g, dtype=dtype),
        y=torch.rand(number, 1, generator=g, dtype=dtype),
        label=torch.randint(3, (number,), generator=g),
        layer=torch.randint(2, (rows,), generator=g),
        cell=torch.randint(99, (rows, 2), generator=g),
    )


def assert_same(a, b):
    assert a.ptr.tolist() == b.ptr.tolist()
    left, right = clouds.attributes(a), clouds.attributes(b)
    assert set(left) == set(right)
    for name, value in left.items():
        assert value.dtype == right[name].dtype
        assert torch.equal(value, right[name]), name


def write(path, *batches):
    with io.CloudWriter(path, SCHEMA) as writer:
        for batch in batches:
            writer.append(batch)


@pytest.fixture
def path(tmp_path):
    """A good file of four events, two of them empty."""
    io.write_clouds(tmp_path / "good.h5", make([2, 0, 3, 0]), SCHEMA)
    return tmp_path / "good.h5"


@settings(max_examples=25)
@given(
    parts=st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=4),
    double=st.booleans(),
    plain=st.booleans(),
    first=st.integers(0, 8),
    block=st.integers(1, 6),
)
def test_what_is_written_in_blocks_is_read_in_blocks(
    tmp_path_factory, parts, double, plain, first, block
):
    path = tmp_path_factory.mktemp("ragged") / "a.h5"
    dtype = torch.float64 if double else torch.float32
    batches = [make(sizes, dtype=dtype, seed=i, plain=plain) for i, sizes in enumerate(parts)]
    write(path, *batches)
    expected = clouds.concat(batches)
    with io.CloudFile(path) as file:
        assert len(file) == expected.num_graphs
        assert file.sizes().tolist() == clouds.sizes(expected).tolist()
        assert_same(file.read(), expected)
        start = min(first, len(file))
        stop = min(start + block, len(file))
        assert_same(file.read(start, stop), clouds.select(expected, slice(start, stop)))
        if len(file):
            assert_same(clouds.concat(file.blocks(block)), expected)


def test_schema_attrs_and_layout_are_kept(tmp_path):
    facts = {"seed": 3, "grid": {"axes": ["x"]}}
    with io.CloudWriter(tmp_path / "a.h5", SCHEMA, attrs=facts) as writer:
        writer.append(make([1, 2]))
    file = io.CloudFile(tmp_path / "a.h5")
    assert file.schema == SCHEMA
    assert file.attrs == facts
    with h5py.File(tmp_path / "a.h5") as raw:
        assert raw.attrs["format"] == "pcgen-clouds"
        assert raw.attrs["version"] == 1
        assert raw["ptr"][:].tolist() == [0, 1, 3]
        assert raw["pos"].compression == "gzip"
        assert raw["pos"].shuffle
    file.close()


def test_no_cloud_at_all_is_a_file(tmp_path):
    with io.CloudWriter(tmp_path / "a.h5", SCHEMA):
        pass
    with io.CloudFile(tmp_path / "a.h5") as file:
        assert len(file) == 0
        assert file.sizes().tolist() == []
        assert file.read().pos.shape == (0, 2)
        assert list(file.blocks()) == []


def test_half_precision_is_widened_exactly(tmp_path):
    batch = clouds.make(torch.randn(3, 2).bfloat16(), [3])
    io.write_clouds(tmp_path / "a.h5", batch, SCHEMA)
    read, _ = io.read_clouds(tmp_path / "a.h5")
    assert torch.equal(read.pos, batch.pos.float())


def test_open_file_can_be_pickled(path):
    file = io.CloudFile(path)
    other = pickle.loads(pickle.dumps(file))
    assert_same(file.read(), other.read())
    file.close()
    other.close()


def test_ranges_are_checked(path):
    with io.CloudFile(path) as file:
        with pytest.raises(ArgumentError, match="range 3 to 5, expected one within 0 to 4"):
            file.read(3, 5)
        with pytest.raises(ArgumentError, match="range -1 to 2"):
            file.read(-1, 2)
        with pytest.raises(ArgumentError, match="block: got 0"):
            next(file.blocks(0))


def test_missing_empty_and_foreign_files(tmp_path):
    with pytest.raises(FileError, match=r"none\.h5: no such file"):
        io.CloudFile(tmp_path / "none.h5")
    with pytest.raises(FileError, match="is a folder, expected a file"):
        io.CloudFile(tmp_path)
    (tmp_path / "empty.h5").touch()
    with pytest.raises(FileError, match=r"the file is empty \(0 bytes\)"):
        io.CloudFile(tmp_path / "empty.h5")
    (tmp_path / "text.h5").write_text("energy,eta,phi\n" * 100)
    with pytest.raises(FileError, match=r"text\.h5: cannot be opened as HDF5"):
        io.CloudFile(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["events"] = np.zeros(3)
    with pytest.raises(FileError, match=r"format None with the data sets events, expected .*pcgen"):
        io.CloudFile(tmp_path / "other.h5")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_truncated_file(tmp_path, share):
    io.write_clouds(tmp_path / "good.h5", make([50] * 100), SCHEMA)
    data = (tmp_path / "good.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FileError, match=r"cut\.h5: .*truncated"):
        io.CloudFile(tmp_path / "cut.h5")


def test_damaged_block(path):
    with h5py.File(path) as file:
        chunk = file["pos"].id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)
    with io.CloudFile(path) as file, pytest.raises(FileError, match="damaged, a block cannot be"):
        file.read()


def _change(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def _set(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


BROKEN = {
    "version": (
        lambda file: file.attrs.__setitem__("version", 2),
        FileError,
        "version 2 of pcgen-clouds, expected 1",
    ),
    "schema": (
        lambda file: file.attrs.__setitem__("schema", "{"),
        FileError,
        "header cannot be read",
    ),
    "schema fields": (
        lambda file: file.attrs.__setitem__("schema", '{"axes": [{"nom": "x"}]}'),
        FileError,
        "header cannot be read",
    ),
    "no pos": (
        lambda file: file.__delitem__("pos"),
        FileError,
        "expected pos and ptr among them",
    ),
    "no ptr": (
        lambda file: file.__delitem__("ptr"),
        FileError,
        "expected pos and ptr among them",
    ),
    "columns of pos": (_set("pos", np.zeros((5, 3))), FileError, r"/pos has shape \(5, 3\)"),
    "rows of weight": (_set("weight", np.zeros(4)), FileError, r"expected .* \(5,\)"),
    "text": (_set("weight", [b"a"] * 5), FileError, "expected numbers"),
    "rows of y": (_set("y", np.zeros((5, 1))), FileError, r"/y has shape \(5, 1\)"),
    "falling ptr": (
        _set("ptr", [0, 2, 1, 5, 5]),
        DataError,
        "ptr of event 1 goes from row 2 to 1",
    ),
    "long ptr": (_set("ptr", [0, 2, 2, 5, 6]), DataError, "event 3 ends at row 6, .* 5 rows"),
    "first ptr": (_set("ptr", [1, 2, 2, 5, 5]), DataError, "integers .* that begin with 0"),
    "float ptr": (_set("ptr", [0.0, 2, 2, 5, 5]), DataError, "integers .* that begin with 0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_names_what_is_wrong(path, name):
    change, error, message = BROKEN[name]
    _change(path, change)
    with pytest.raises(error, match=message) as caught:
        io.CloudFile(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


BAD = {
    "nan": ("pos", 3, np.nan, "pos of event 2 is .*nan.* expected finite values"),
    "inf": ("x", 1, np.inf, "x of event 0 is"),
    "negative": ("weight", 2, -1.0, r"weight of event 2 is -1\.0, .* not negative"),
    "nan weight": ("weight", 0, np.nan, "weight of event 0 is nan"),
    "condition": ("y", 3, np.nan, "y of event 3 is"),
    "class": ("label", 1, 7, "label of event 1 is 7, expected one of the 3 names"),
    "layer": ("layer", 4, -1, "layer of event 2 is -1"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("start", [0, None])
def test_bad_values_name_the_event_of_the_file(path, name, start):
    dataset, row, value, message = BAD[name]

    def change(file):
        file[dataset][row] = value

    _change(path, change)
    points = dataset not in ("y", "label")
    event = [0, 0, 2, 2, 2][row] if points else row
    with io.CloudFile(path) as file, pytest.raises(DataError, match=message) as caught:
        # Read alone, an event still has its number in the file.
        file.read(start if start is not None else event, event + 1)
    assert "good.h5" in str(caught.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_bad_values_are_not_written(tmp_path, bad):
    good = make([1, 2])
    weight = good.weight.clone()
    weight[1] = bad
    with pytest.raises(DataError, match="weight of event 3 is"):
        write(tmp_path / "a.h5", good, clouds.replace(good, weight=weight))
    assert list(tmp_path.iterdir()) == []


def test_blocks_must_agree_with_each_other_and_the_schema(tmp_path):
    first = make([1, 2])
    for second, message in (
        (make([1], plain=True), "expected the same attributes in all"),
        (make([1], dtype=torch.float64), r"pos \(float64\).* behind clouds with pos \(float32\)"),
        (clouds.make(torch.zeros(1, 3), [1]), "pos has 3 columns, expected the 2 of the schema"),
        (clouds.replace(make([1]), x=torch.zeros(1, 1)), "x has 1 columns, expected the 3"),
        (clouds.replace(make([1]), y=torch.zeros(1, 4)), r"expected the 1 .* \(incident\)"),
    ):
        with pytest.raises(DataError, match=message):
            write(tmp_path / "a.h5", first, second)
    assert list(tmp_path.iterdir()) == []


def test_compression_is_a_gzip_level(tmp_path):
    with pytest.raises(ArgumentError, match="compression: got 10"):
        io.CloudWriter(tmp_path / "a.h5", SCHEMA, compression=10)
    with io.CloudWriter(tmp_path / "a.h5", SCHEMA, compression=0) as writer:
        writer.append(make([1]))
    with h5py.File(tmp_path / "a.h5") as raw:
        assert raw["pos"].compression is None
