"""PLY, PCD and XYZ: exact round trips, and the files that others write."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds, io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.schema import Quantity, Schema

ENDINGS = [".ply", ".pcd", ".xyz"]
AXES = (Quantity("a", "mm"), Quantity("b", "mm"), Quantity("phi", "rad", 6.28), Quantity("time"))


def assert_same(a, b):
    assert a.ptr.tolist() == b.ptr.tolist()
    left, right = clouds.attributes(a), clouds.attributes(b)
    assert set(left) == set(right)
    for name, value in left.items():
        assert value.dtype == right[name].dtype
        assert torch.equal(value, right[name]), name


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=20)
@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    dimensions=st.integers(1, 4),
    double=st.booleans(),
    plain=st.booleans(),
    seed=st.integers(0, 99),
)
def test_round_trip_is_exact(tmp_path_factory, ending, sizes, dimensions, double, plain, seed):
    folder, g = tmp_path_factory.mktemp("points"), torch.Generator().manual_seed(seed)
    dtype = torch.float64 if double else torch.float32
    rows, number = sum(sizes), len(sizes)
    # Names that collide with columns, or with each other once they are words.
    features = (Quantity("y"), Quantity("weight"), Quantity("time of flight", "ns"), Quantity("z"))
    schema = Schema(
        AXES[:dimensions],
        Quantity("energy", "MeV"),
        features,
        condition=(Quantity("p"), Quantity("q")),
        labels=("e", "mu"),
        layers=("one", "two"),
    )
    batch = clouds.make(1e3 * torch.randn(rows, dimensions, generator=g, dtype=dtype), sizes)
    if not plain:
        batch = clouds.replace(
            batch,
            weight=torch.rand(rows, generator=g, dtype=dtype),
            x=torch.randn(rows, 4, generator=g),
            y=torch.randn(number, 2, generator=g, dtype=dtype),
            label=torch.randint(2, (number,), generator=g),
            layer=torch.randint(2, (rows,), generator=g),
            cell=torch.randint(100, (rows, dimensions), generator=g),
        )
    io.write_clouds(folder / f"event_%d{ending}", batch, schema)
    with io.open_cloud_file(folder) as source:
        assert source.schema == schema
        assert source.sizes().tolist() == sizes
        assert_same(source.read(), batch)
        assert_same(source.read(1, number), clouds.select(batch, slice(1, None)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_event_one_file(tmp_path, ending):
    schema = Schema(AXES[:3])
    path = tmp_path / f"a{ending}"
    io.write_clouds(path, clouds.make(torch.rand(5, 3), [5]), schema)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert len(io.open_cloud_file(path)) == 1
    with pytest.raises(ArgumentError, match=r"more than one event, .* a_%05d"):
        io.write_clouds(path, clouds.make(torch.rand(5, 3), [2, 3]), schema)
    with pytest.raises(DataError, match="got no event"):
        io.write_clouds(path, clouds.make(torch.rand(0, 3), []), schema)
    assert io.read_clouds(path)[0].ptr.tolist() == [0, 5]


def test_numbered_files_are_in_the_order_of_their_numbers(tmp_path):
    batch = clouds.make(torch.arange(12.0)[:, None].expand(12, 3).contiguous(), [1] * 12)
    io.write_clouds(tmp_path / "new" / "e_%d.xyz", batch, Schema(AXES[:3]))
    (tmp_path / "new" / "e_x.xyz").write_text("")
    for path in (tmp_path / "new" / "e_%d.xyz", tmp_path / "new" / "e_%05d.xyz"):
        assert io.read_clouds(path)[0].pos[:, 0].tolist() == list(range(12))


def test_two_files_of_one_number_are_refused(tmp_path):
    for name in ("e_1.xyz", "e_01.xyz"):
        (tmp_path / name).write_text("1 2 3\n")
    with pytest.raises(FileError, match=r"e_01\.xyz and e_1\.xyz have the same number, expected"):
        io.open_file(tmp_path / "e_%d.xyz")


def test_old_and_new_events_do_not_mix(tmp_path):
    batch, schema = clouds.make(torch.rand(3, 3), [1] * 3), Schema(AXES[:3])
    io.write_clouds(tmp_path / "e_%d.ply", batch, schema)
    for path in (tmp_path / "e_%d.ply", tmp_path):
        with pytest.raises(FileError, match=r"3 such files are there already \(e_0\.ply\)"):
            io.write_clouds(path, batch, schema, format="ply")
    io.write_clouds(tmp_path / "folder", batch, schema, format="ply")
    names = sorted(file.name for file in (tmp_path / "folder").iterdir())
    assert names == ["event_000000.ply", "event_000001.ply", "event_000002.ply"]


def test_failed_event_takes_the_others_with_it(tmp_path):
    bad = clouds.make(torch.tensor([[0.0] * 3, [float("nan")] * 3]), [1, 1])

    def write():
        with io.cloud_writer(tmp_path / "e_%d.ply", Schema(AXES[:3])) as writer:
            writer.append(clouds.select(bad, [0]))
            writer.append(bad)

    with pytest.raises(DataError, match="pos of event 2"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_folder_must_agree(tmp_path):
    (tmp_path / "0.xyz").write_text("# x y z\n1 2 3\n")
    (tmp_path / "1.xyz").write_text("# x y z energy\n1 2 3 4\n")
    with pytest.raises(DataError, match=r"1\.xyz: got the columns x, y, z, energy of another"):
        io.read_clouds(tmp_path)
    with pytest.raises(FileError, match=r"expected some ending in \.ply"):
        io.open_file(tmp_path, format="ply")
    schema = Schema(AXES[:3], Quantity("e"))
    io.write_clouds(tmp_path / "a" / "0_%d.ply", clouds.make(torch.rand(1, 3), [1]), schema)
    weighted = clouds.make(torch.rand(1, 3), [1], weight=torch.ones(1))
    io.write_clouds(tmp_path / "a" / "1_%d.ply", weighted, schema)
    with pytest.raises(DataError, match=r"1_0\.ply: got pos, weight, expected pos as in"):
        io.read_clouds(tmp_path / "a")


def test_damaged_comment_of_pcgen(tmp_path):
    path = tmp_path / "a.xyz"
    io.write_clouds(path, clouds.make(torch.rand(1, 3), [1]), Schema(AXES[:3]))
    text = path.read_text()
    for old, new in (('{"schema"', "{schema"), ("float32", "float8"), ('"attributes"', '"other"')):
        path.write_text(text.replace(old, new))
        with pytest.raises(FileError, match=r"a\.xyz: pcgen's comment is damaged"):
            io.read_clouds(path)
    path.write_text(text.replace("# x y z", "# x y w"))
    with pytest.raises(FileError, match="expected z too as in its pcgen comment"):
        io.read_clouds(path)


@pytest.mark.slow
def test_open3d_reads_and_writes_the_same(tmp_path):
    o3d = pytest.importorskip("open3d", exc_type=ImportError)
    points = np.random.default_rng(0).normal(size=(500, 3))
    points[100:300] = 0.25  # something to compress
    batch = clouds.make(torch.from_numpy(points), [500], weight=torch.ones(500))
    schema = Schema((Quantity("x"), Quantity("y"), Quantity("z")), Quantity("energy"))
    theirs = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    theirs.colors = o3d.utility.Vector3dVector(np.linspace(0, 1, 1500).reshape(500, 3))
    for ending in ENDINGS:
        path = tmp_path / f"ours{ending}"
        io.write_clouds(path, batch, schema)
        read = np.asarray(o3d.io.read_point_cloud(str(path)).points)
        np.testing.assert_allclose(read, points, atol=1e-5)
        for text in (False, True):
            path = tmp_path / f"theirs{text}{ending}"
            assert o3d.io.write_point_cloud(
                str(path), theirs, write_ascii=text, compressed=not text
            )
            back, found = io.read_clouds(path)
            np.testing.assert_allclose(back.pos.numpy(), points, atol=1e-5)
            if ending != ".xyz":
                assert [f.name for f in found.features] == ["red", "green", "blue"]
                np.testing.assert_allclose(
                    back.x.numpy() / 255, np.asarray(theirs.colors), atol=1 / 255
                )


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_that_mean_something_to_a_format_come_back(tmp_path, ending):
    names = ("_", "rgb", "rgba", "in", "f[0]", "t [ns]", "X", "Weight", "x,y;z", '"quoted"', "µ")
    features = tuple(Quantity(name) for name in names)
    schema = Schema(AXES[:3], Quantity("energy"), features, description="x and y of 5 points")
    batch = clouds.make(torch.rand(3, 3), [3], weight=torch.rand(3), x=torch.rand(3, len(names)))
    io.write_clouds(tmp_path / f"a{ending}", batch, schema)
    back, found = io.read_clouds(tmp_path / f"a{ending}")
    assert found == schema
    assert_same(back, batch)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["layer", "cell"])
def test_whole_numbers_of_more_than_32_bits_are_not_written(tmp_path, ending, name):
    value = {"layer": torch.tensor([2**31]), "cell": torch.tensor([[0, 0, -(2**31) - 1]])}[name]
    batch = clouds.make(torch.rand(1, 3), [1], **{name: value})
    with pytest.raises(DataError, match=f"{name}: got -?21474836.., expected whole numbers of 32"):
        io.write_clouds(tmp_path / f"a{ending}", batch, Schema(AXES[:3]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"), [("2 0 0", "2.5 0 0"), ("0.5", "1e39"), ("2 0 0", "nan 0 0")]
)
def test_changed_columns_fit_the_types_of_pcgens_comment(tmp_path, old, new):
    path = tmp_path / "a.xyz"
    batch = clouds.make(torch.full((1, 3), 0.5), [1], cell=torch.tensor([[2, 0, 0]]))
    io.write_clouds(path, batch, Schema(AXES[:3]))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FileError, match=r"a\.xyz: \w+ of point 0 is .*, expected a number that"):
        io.read_clouds(path)


def test_pcgens_own_files_of_two_types_are_read_in_the_wider_one(tmp_path):
    points, schema = torch.rand(1, 3, dtype=torch.float64), Schema(AXES[:3])
    for number, dtype in enumerate((torch.float32, torch.float64)):
        io.write_clouds(tmp_path / f"{number}.xyz", clouds.make(points.to(dtype), [1]), schema)
    with io.open_cloud_file(tmp_path) as source:
        first, second = source.blocks(1)
    assert first.pos.dtype == second.pos.dtype == torch.float64
    assert torch.equal(second.pos, points)
    assert torch.equal(first.pos.float(), points.float())
