"""``pcgen.convert`` is the command: the same bytes, the same refusals, and no printout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pcgen
from pcgen import clouds, io
from pcgen.conversion import Converted
from pcgen.conversion import convert as of_package
from pcgen.errors import ArgumentError, PcgenError
from pcgen.schema import Quantity, Schema
from pcgen.tools.cli import main

GRID = "eta_rel:-0.4:0.4:5,phi_rel:-0.4:0.4:4"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Images of noise, and jets."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    image = rng.normal(0.5, 1, (6, 5, 4))
    np.savez("images.npz", image=image, energy=np.arange(6.0), kind=np.arange(6) % 2)
    batch = clouds.make(
        torch.rand(9, 2) * 0.8 - 0.4, [4, 0, 5], weight=torch.rand(9) + 0.1, x=torch.rand(9, 1)
    )
    schema = Schema(io.JETS.axes, Quantity("pt", "GeV"), (Quantity("time", "ns"),))
    io.write_clouds("jets.h5", batch, schema)
    io.write_clouds("plain.h5", clouds.replace(batch, x=None), io.JETS)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "ending", "options"),
    [
        ("images.npz", ".h5", {"grid": GRID, "threshold": 0.5, "jitter": True, "seed": 3}),
        ("images.npz", ".h5", {"grid": GRID, "threshold": 0.5, "dtype": "float64", "block": 2}),
        ("images.npz", ".npy", {"grid": GRID, "event": 4}),
        ("images.npz", ".h5", {"grid": GRID, "threshold": 0.5, "max_points": 3}),
        ("plain.h5", ".hdf5", {"particles": 3}),
        ("plain.h5", ".hdf5", {}),
        (
            "images.npz",
            ".ply",
            {
                "grid": GRID,
                "threshold": 0.5,
                "event": 1,
                "condition": ["E [GeV]=energy"],
                "labels": "kind",
                "classes": ["e", "pi"],
            },
        ),
        ("jets.h5", ".npz", {"grid": GRID, "outside": "clip"}),
        ("jets.h5", ".npz", {"to_format": "arrays"}),
        ("jets.h5", ".xyz", {"event": 2}),
        ("jets.h5", ".png", {"grid": GRID, "event": 0}),
    ],
)
def test_library_and_command_write_the_same_bytes(here, capsys, source, ending, options):
    if source == "images.npz" and ending == ".npy":
        options = {**options}
        np.savez("images.npz", image=np.abs(np.load("images.npz")["image"]))
    done = pcgen.convert(Path(source), here / f"library{ending}", **options)
    assert capsys.readouterr() == ("", "")
    words = ["convert", source, f"command{ending}"]
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            words += [
                f"--{name.replace('_', '-')}",
                str(each).lower() if each is True else str(each),
            ]
    assert main(words) == 0
    assert Path(f"library{ending}").read_bytes() == Path(f"command{ending}").read_bytes()
    first = capsys.readouterr().out.splitlines()[0]
    many = "s" * (done.events != 1)
    assert first.startswith(f"command{ending}: {done.events} event{many}, {done.points} points")


def test_what_is_left_out_is_in_the_result(here):
    image = np.load("images.npz")["image"]
    done = pcgen.convert("images.npz", "a.h5", grid=GRID, threshold=0.1)
    points, negative = int((image > 0.1).sum()), int((image < 0).sum())
    assert done == Converted(
        6,
        points,
        format="clouds",
        negative=negative,
        rounded=True,
        passed_over=("energy", "kind"),
    )
    dead = np.abs(image)
    dead[2, 1] = np.nan
    np.save("dead.npy", dead)
    done = pcgen.convert("dead.npy", "b.h5", grid=GRID, nan="unobserved")
    assert (done.unobserved, done.negative) == (4, 0)
    done = pcgen.convert(
        "jets.h5", "c.npy", grid="eta_rel:-0.1:0.1:2,phi_rel:-3:3:2", outside="drop"
    )
    pos, weight = (getattr(io.read_clouds("jets.h5")[0], name) for name in ("pos", "weight"))
    out = pos[:, 0].abs() > 0.1
    assert done.outside == int(out.sum())
    assert done.outside_weight == pytest.approx(float(weight[out].sum()))
    assert (done.lost, done.format) == (("time",), "npy")


def test_points_without_coordinates_and_wide_values_are_in_the_result(here):
    Path("a.xyz").write_text("0 0 0\nnan 1 1\n16777217 0 0\n")
    done = pcgen.convert("a.xyz", "a.h5", missing="drop")
    assert (done.points, done.missing, done.rounded) == (2, 1, False)
    assert "[16777217.0, 0.0, 0.0]" in done.wide
    assert io.read_clouds("a.h5")[0].pos.dtype == torch.float64


def test_angles_in_another_unit_are_a_doubt(here):
    axes = (Quantity("eta"), Quantity("phi", "rad", 6.28))
    batch = clouds.make(torch.tensor([[0.0, 180.0]]), [1], weight=torch.ones(1))
    io.write_clouds("degrees.h5", batch, Schema(axes, Quantity("E")))
    (doubt,) = pcgen.convert("degrees.h5", "a.ply").doubts
    assert doubt == "degrees.h5: phi [rad] reaches 180, beyond its period of 6.28: another unit?"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"grid": GRID},
        {"grid": GRID, "threshold": 0.5, "seed": -1},
        {"grid": GRID, "threshold": 0.5, "particles": 3},
        {"grid": GRID, "threshold": 0.5, "event": 6},
        {"grid": GRID, "threshold": 0.5, "labels": "nothing"},
    ],
)
def test_library_and_command_refuse_the_same(here, capsys, options):
    with pytest.raises(PcgenError) as caught:
        pcgen.convert("images.npz", "a.h5", **options)
    words = [f"--{name}={value}" for name, value in options.items()]
    assert main(["convert", "images.npz", "a.h5", *words]) == 1
    assert capsys.readouterr().err == f"pcgen: {caught.value}\n"
    assert not Path("a.h5").exists()


def test_the_function_has_one_place(here):
    assert pcgen.convert is of_package
    with pytest.raises(ArgumentError, match="format: got 'gif', expected clouds"):
        pcgen.convert("images.npz", "a.h5", grid=GRID, to_format="gif")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_points": 2.5}, "max_points: got 2.5, expected a whole number"),
        ({"max_points": True}, "max_points: got True, expected a whole number"),
        ({"dtype": "f4"}, "dtype: got 'f4', expected float32, float64"),
        ({"nan": "x"}, "nan: got 'x', expected error, unobserved"),
        ({"missing": None}, "missing: got None, expected error, drop"),
        ({"jitter": "no"}, "jitter: got 'no', expected True or False"),
        ({"classes": "ab"}, "classes: got 'ab', expected a list of texts"),
        ({"condition": [3]}, r"condition: got \[3\], expected a list of texts"),
        ({"threshold": "a"}, "threshold: got 'a', expected a number"),
        ({"seed": 1.5}, "seed: got 1.5, expected a whole number"),
        ({"event": "1"}, "event: got '1', expected the number of an event"),
        ({"grid": 3}, "grid: got 3, expected text"),
        ({"to_format": "h5"}, "to_format: got 'h5', expected clouds, jetnet"),
        ({"geometry": 3}, "geometry: got 3, expected the path of a file"),
        ({"threshold": True}, "threshold: got True, expected a number"),
        ({"source": None}, "source: got None, expected the path of a file"),
        ({"target": ""}, "target: got '', expected the path of a file"),
    ],
)
def test_options_of_another_kind_are_one_error(tmp_path, options, message):
    given = {"source": tmp_path / "a.h5", "target": tmp_path / "b.h5", **options}
    with pytest.raises(ArgumentError, match=message):
        pcgen.convert(**given)
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_and_paths_are_taken(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(3)[None])
    done = pcgen.convert(
        tmp_path / "a.npy",
        tmp_path / "b.h5",
        grid="x:0:1:3,y:0:1:3",
        threshold=np.float32(0.5),
        max_points=np.int64(2),
        seed=np.int32(1),
    )
    assert done.points == 2
