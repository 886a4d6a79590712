"""Shapes in folders: classes, parts and order of ShapeNet and ModelNet, and meshes of OFF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pcgen import clouds as pc
from pcgen import io
from pcgen.datasets import open_clouds
from pcgen.errors import FileError, PcgenError
from pcgen.io import off
from pcgen.io.shape_folders import SYNSETS
from pcgen.ops.surfaces import triangle_areas
from pcgen.tools import cli

TETRAHEDRON = """OFF
4 4 6
0 0 0
1 0 0
0 1 0
0 0 2
3 0 2 1
3 0 1 3
3 0 3 2
3 1 2 3
"""


@pytest.fixture
def pc15k(tmp_path: Path) -> Path:
    """Two classes of ShapeNet, with parts of 11, 1 and 2 shapes, whose x is their number."""
    root, number = tmp_path / "PC15k", 0
    for synset in ("03001627", "02691156"):
        for part, shapes in (("train", 11), ("val", 1), ("test", 2)):
            (root / synset / part).mkdir(parents=True)
            for shape in range(shapes):
                points = np.full((3 + shape, 3), number, np.float32)
                np.save(root / synset / part / f"s{shape}.npy", points)
                number += 1
    (root / ".cache").mkdir()
    (root / "README.md").write_text("text")
    return root


def first_x(path: Path) -> tuple[list[int], list[int], tuple[str, ...]]:
    """Number and class of each shape, and the names of the classes."""
    with io.open_cloud_file(path) as source:
        clouds = source.read()
        labels = source.labels()
        assert labels is not None
        assert torch.equal(labels, clouds.label)
        assert torch.equal(source.sizes(), pc.sizes(clouds))
        return clouds.pos[clouds.ptr[:-1], 0].int().tolist(), labels.tolist(), source.schema.labels


def test_a_data_set_a_class_and_a_part_have_the_same_classes(pc15k: Path) -> None:
    names = ("airplane", "chair")
    # Class by class in the order of the synsets, part by part, in the order of the numbers.
    airplanes, chairs = list(range(14, 28)), list(range(14))
    assert first_x(pc15k) == (airplanes + chairs, [0] * 14 + [1] * 14, names)
    assert first_x(pc15k / "03001627") == (chairs, [1] * 14, names)
    assert first_x(pc15k / "03001627" / "test") == ([12, 13], [1, 1], names)
    assert io.read_format(pc15k) == io.read_format(pc15k / "02691156" / "val") == "shapenet"


def test_the_same_parts_of_all_classes_are_one_data_set(pc15k: Path) -> None:
    parts = sorted(pc15k.glob("*/train"))
    data = open_clouds(parts, "all")
    assert len(data) == 22
    assert data.load().label.tolist() == [0] * 11 + [1] * 11
    assert len(open_clouds(parts, "all", classes=["chair"])) == 11
    assert len(set(data.digests())) == 2


def test_a_relative_path_knows_its_neighbours(pc15k: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pc15k / "03001627" / "val")
    assert first_x(Path())[1:] == ([1], ("airplane", "chair"))
    assert first_x(Path(".."))[1:] == ([1] * 14, ("airplane", "chair"))


def test_blocks_are_read_by_themselves(pc15k: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with io.open_cloud_file(pc15k) as source:
        whole = source.read()
        parts = list(source.blocks(5))
        assert [part.num_graphs for part in parts] == [5, 5, 5, 5, 5, 3]
        assert torch.equal(pc.concat(parts).pos, whole.pos)
        (pc15k / "03001627" / "test" / "s1.npy").unlink()
        assert source.read(0, 27).num_graphs == 27
        with pytest.raises(FileError, match=r"s1\.npy: no such file"):
            source.read(27, 28)


def test_points_that_are_not_finite_name_their_file(pc15k: Path) -> None:
    points = np.ones((3, 3), np.float32)
    points[1, 2] = np.nan
    np.save(pc15k / "02691156" / "val" / "s0.npy", points)
    with (
        io.open_cloud_file(pc15k) as source,
        pytest.raises(PcgenError, match=r"02691156/val/s0\.npy: pos of event 11 is .*nan"),
    ):
        source.read()


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.ones((3, 2)), r"got an array \[3, 2\], expected points \[N, 3\]"),
        (np.ones((3, 3, 3)), r"got an array \[3, 3, 3\], expected points"),
        (np.array([[1, "a", None]], object), "no Python objects"),
        (np.array([["a", "b", "c"]]), "expected real numbers"),
        (np.full((2, 3), 1e300), "expected finite values"),
    ],
)
def test_arrays_that_are_no_points_are_refused(tmp_path: Path, array: object, error: str) -> None:
    path = tmp_path / "chair" / "train" / "a.npy"
    path.parent.mkdir(parents=True)
    np.save(path, array, allow_pickle=True)
    with pytest.raises(PcgenError, match=error), io.open_cloud_file(path.parent) as source:
        source.read()


def test_a_single_array_is_images_and_by_its_format_a_shape(pc15k: Path) -> None:
    path = pc15k / "02691156" / "val" / "s0.npy"
    assert io.read_format(path) == "npy"
    clouds, schema = io.read_clouds(path, format="shapenet")
    assert (clouds.num_graphs, schema.labels, clouds.get("label")) == (1, (), None)


def test_folders_without_shapes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "chair" / "more" / "deeper").mkdir(parents=True)
    np.save(tmp_path / "chair" / "more" / "deeper" / "a.npy", np.ones((3, 3)))
    with pytest.raises(FileError, match="is a folder with no point files or pictures"):
        io.open_file(tmp_path)
    with pytest.raises(FileError, match=r"got no \.off files, expected some in it, or in a folder"):
        io.open_file(tmp_path, format="modelnet")


def test_synsets_have_names_of_their_own_that_can_be_typed() -> None:
    assert len(SYNSETS) == len(set(SYNSETS.values())) == 55
    assert all(len(number) == 8 and number.isdigit() for number in SYNSETS)
    assert all(name.replace("-", "").isalpha() and name.islower() for name in SYNSETS.values())


# --- OFF ------------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> Path:
    path = folder / "a.off"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        TETRAHEDRON,
        TETRAHEDRON.replace("OFF\n", "OFF"),  # glued, as in some files of ModelNet
        TETRAHEDRON.replace("OFF\n", "OFF "),
        TETRAHEDRON.replace("OFF\n", "# a comment\n\noff\n# another\n"),
        TETRAHEDRON.replace("\n", "\r\n"),
        TETRAHEDRON.replace("4 4 6", "4 4"),
        TETRAHEDRON.replace("3 1 2 3", "3 1 2 3 255 0 0  # red"),
    ],
)
def test_headers_of_all_kinds_give_one_mesh(tmp_path: Path, text: str) -> None:
    vertices, triangles = off.read(written(tmp_path, text))
    assert vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 2]]
    assert triangles.tolist() == [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]


def test_polygons_are_cut_and_points_and_edges_passed_over(tmp_path: Path) -> None:
    text = "OFF5 3 0\n0 0 0\n1 0 0\n2 1 0\n1 2 0\n0 1 0\n5 0 1 2 3 4\n2 0 1\n1 3\n"
    vertices, triangles = off.read(written(tmp_path, text))
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4]]
    assert float(triangle_areas(vertices, triangles).sum()) == pytest.approx(2.5)


def test_a_long_mesh_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = off.read(written(tmp_path, TETRAHEDRON))
    monkeypatch.setattr(off, "_BLOCK", 3)
    parts = off.read(tmp_path / "a.off")
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_points_lie_on_the_mesh_and_are_a_function_of_it(tmp_path: Path) -> None:
    points = off.sampled(written(tmp_path, TETRAHEDRON))
    assert points.shape == (off.POINTS, 3)
    # The box of the mesh is 1 x 1 x 2: its middle is moved, its diagonal is 1.
    back = points.double() * 6**0.5 + torch.tensor([0.5, 0.5, 1.0])
    planes = torch.stack([*back.unbind(1), (back @ torch.tensor([1, 1, 0.5]).double()) - 1], 1)
    assert float(planes.abs().amin(1).max()) < 1e-6
    (tmp_path / "other").mkdir()
    other = written(tmp_path / "other", TETRAHEDRON.replace("\n", "\r\n"))
    assert torch.equal(off.sampled(other), points)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("OFF", "PLY", "it begins with b'PLY', expected OFF"),
        ("OFF", "COFF", "it begins with b'COFF', expected OFF"),
        ("4 4 6", "4 x 6", "expected the numbers of vertices, faces and edges"),
        ("4 4 6", "-4 4 6", "expected the numbers of vertices, faces and edges"),
        ("4 4 6", "5 4 6", "3 of 4 faces are there"),
        ("4 4 6", "4 5 6", "4 of 5 faces are there"),
        ("4 4 6", "4 3 6", "1 further lines"),
        ("4 4 6", "999999999999999999 4 6", "8 of 999999999999999999 vertices are there"),
        ("0 1 0", "0 1", "a vertex has fewer than 3 numbers"),
        ("0 1 0", "0 nan 0", "a vertex is not finite"),
        ("3 1 2 3", "3 1 2 4", "a face has a vertex that is none of the 4"),
        ("3 1 2 3", "3 1 2", "a face of 3 corners has 2"),
        ("3 1 2 3", "0 1 2", "a face of 0 corners has 0"),
        ("3 1 2 3", "3 1 2 " + "9" * 5000, "a number of 5000 digits"),
    ],
)
def test_damage_is_named(tmp_path: Path, old: str, new: str, error: str) -> None:
    with pytest.raises(FileError, match=error):
        off.read(written(tmp_path, TETRAHEDRON.replace(old, new, 1)))


def test_a_mesh_without_a_surface_is_refused(tmp_path: Path) -> None:
    for text, error in (
        ("OFF 3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n", "of area 0"),
        ("OFF 3 0 0\n0 0 0\n1 0 0\n2 0 0\n", "got no triangle"),
    ):
        with pytest.raises(FileError, match=f"a.off: surface: .*{error}"):
            off.sampled(written(tmp_path, text))


def test_modelnet_is_read_by_its_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("desk", "bed"):
        for part, number in (("train", 3), ("test", 2)):
            folder = tmp_path / "ModelNet10" / name / part
            folder.mkdir(parents=True)
            for shape in range(number):
                text = TETRAHEDRON.replace("0 0 2", f"0 0 {1 + shape}")
                (folder / f"{name}_{shape:04d}.off").write_text(text)
    root = tmp_path / "ModelNet10"
    with io.open_cloud_file(root) as source:
        assert source.schema.labels == ("bed", "desk")
        assert source.sizes().tolist() == [off.POINTS] * 10
    target = tmp_path / "a.h5"
    assert cli.main(["convert", f"{root}/desk/train", str(target), "--max-points", "100"]) == 0
    clouds, schema = io.read_clouds(target)
    assert schema.labels == ("bed", "desk")
    assert (clouds.label.tolist(), pc.sizes(clouds).tolist()) == ([1] * 3, [100] * 3)
    for command in ("info {root}", "view {root} --output {root}/a.png --label desk"):
        assert cli.main(command.format(root=root).split()) == 0
    assert "bed: 5, desk: 5" in capsys.readouterr().out
