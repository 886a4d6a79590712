"""Shapes: on the surface of their primitive, functions of seed and number, in a unit box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pcgen import clouds as pc
from pcgen.datasets import shapes, simulate_shapes
from pcgen.datasets.primitives import PRIMITIVES, _affine, _rotation, primitive
from pcgen.datasets.shapes import SHAPES, generate
from pcgen.errors import ArgumentError, FileError
from pcgen.io import CloudFile
from pcgen.tools import cli


def test_there_are_seven_classes_or_more_and_each_makes_a_closed_or_open_surface() -> None:
    assert len(PRIMITIVES) >= 7
    for number, name in enumerate(PRIMITIVES):
        vertices, triangles = primitive(name, np.random.default_rng(number))
        assert vertices.shape[1:] == triangles.shape[1:] == (3,)
        assert np.isfinite(vertices).all()
        # A closed surface has each edge twice, once in either direction; a mobius band has a rim.
        edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
        seen = np.unique(edges, axis=0, return_counts=True)[1]
        assert (name == "mobius") == bool((seen == 1).any()), name


def test_points_of_a_sphere_lie_on_the_ellipsoid_of_its_map() -> None:
    """|A⁻¹(p - c)| is constant to the error of the mesh, 20 rings of flat triangles."""
    made = generate(3, 0, 1, ["sphere"], 500, "any")
    random = np.random.default_rng((3, 0))
    back = np.linalg.inv(_affine(random, "any"))
    radius = np.linalg.norm(made.pos[0].astype(float) @ back.T, axis=1)
    assert radius.std() / radius.mean() < 0.01


def test_maps_turn_as_they_are_asked() -> None:
    quaternions = np.random.default_rng(0).normal(size=(20, 4))
    for each in quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True):
        turn = _rotation(each)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
    upright = _affine(np.random.default_rng(1), "upright")
    still = _affine(np.random.default_rng(1), "none")
    np.testing.assert_allclose(upright[2], still[2])
    np.testing.assert_allclose(np.linalg.det(upright), np.linalg.det(still))
    assert not np.allclose(upright[:2], still[:2])
    assert still[1, 0] == still[2, 0] == still[2, 1] == 0


def test_a_shape_is_a_function_of_seed_and_number() -> None:
    whole = generate(1, 0, 9, ["box", "torus"], 16, "upright")
    part = generate(1, 5, 2, ["box", "torus"], 16, "upright")
    np.testing.assert_array_equal(whole.pos[5:7], part.pos)
    assert part.label.tolist() == [SHAPES.labels.index("torus"), SHAPES.labels.index("box")]
    assert not np.array_equal(whole.pos, generate(2, 0, 9, ["box", "torus"], 16, "upright").pos)


def test_a_file_of_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "CHUNK", 4)
    path = simulate_shapes(tmp_path / "a.h5", number=2, points=64, seed=1, progress=False)
    with CloudFile(path) as file:
        clouds, schema, record = file.read(), file.schema, file.attrs["simulation"]
    assert schema == SHAPES
    assert pc.sizes(clouds).tolist() == [64] * 2 * len(PRIMITIVES)
    assert torch.bincount(clouds.label).tolist() == [2] * len(PRIMITIVES)
    assert float(clouds.pos.norm(dim=1).max()) <= 0.5
    assert (record["seed"], record["points"], record["shapes_per_class"]) == (1, 64, 2)
    assert clouds.get("weight") is None
    # The same file again, whatever the chunks; other settings are another file.
    monkeypatch.setattr(shapes, "CHUNK", 100)
    other = simulate_shapes(tmp_path / "b.h5", number=2, points=64, seed=1, progress=False)
    with CloudFile(other) as file:
        assert torch.equal(file.read().pos, clouds.pos)
    before = path.read_bytes()
    assert simulate_shapes(path, number=2, points=64, seed=1, progress=False) == path
    assert path.read_bytes() == before
    with pytest.raises(FileError, match="holds other data"):
        simulate_shapes(path, number=2, points=64, seed=2, progress=False)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("a.csv", "output: got 'a.csv', expected a name that ends in .h5 or .hdf5"),
        ("a.h5 --number 0", "number: got 0, expected >= 1"),
        ("a.h5 --points 0", "points: got 0, expected >= 1"),
        (
            "a.h5 --points 1000000 --number 90000000",
            "number: got 810000000 events in all, of about 1000000 points, expected",
        ),
        ("a.h5 --classes cube", "classes: got cube, expected different ones of box, sphere"),
        ("a.h5 --classes box box", "classes: got box, box, expected different ones of box"),
    ],
)
def test_refusals(
    words: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["simulate", "shapes", *words.split()]) == 1
    assert f"pcgen: {error}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_refusals_in_python(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="rotation: got 'free', expected none, upright or any"):
        simulate_shapes(tmp_path / "a.h5", number=1, rotation="free", progress=False)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="classes: got 'cube'"):
        primitive("cube", np.random.default_rng(0))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--number 2 --points 10 --classes torus cone --rotation any --seed 3 --processes 1"
    assert cli.main(["simulate", "shapes", f"{tmp_path}/a.h5", *words.split()]) == 0
    assert "4 shapes, 40 points" in capsys.readouterr().out
