"""pcgen convert refuses what is wrong, names it, and leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_files import TEXT, files

from pcgen import clouds, io
from pcgen.errors import ArgumentError, DataError, FileError, PcgenError
from pcgen.tools.convert import convert


@pytest.mark.parametrize("target", ["a.h5", "a.npz", "a_%d.png", "a_%d.ply", "a.hdf5"])
def test_no_events_or_empty_ones_only_are_refused(here, image, target):
    """One of seven images is empty and kept (see above); none but empty ones are a mistake."""
    np.save("none.npy", np.zeros((0, 5, 4)))
    np.save("dark.npy", np.zeros((3, 5, 4)))
    far = clouds.make(torch.full((2, 2), 9.0), [1, 1], weight=torch.ones(2))
    io.write_clouds("far.h5", far, io.JETS)
    before = files(here)
    with pytest.raises(DataError, match=r"none\.npy: holds no events"):
        convert("none.npy", target, grid=TEXT)
    named = {"grid": f"{TEXT}:rad:2pi", "weight": "pt [GeV]"}
    with pytest.raises(DataError, match=r"dark\.npy: got 3 events without a filled cell"):
        convert("dark.npy", target, **named)
    if target in ("a.npz", "a_%d.png"):
        with pytest.raises(DataError, match=r"far\.h5: got 2 events without"):
            convert("far.h5", target, grid=TEXT, outside="drop")
    if target in ("a.h5", "a_%d.ply"):
        with pytest.raises(DataError, match=r"image\.npy: got 7 events without"):
            convert("image.npy", target, grid=TEXT, threshold=1e6)
    assert files(here) == before


def _nan(image):
    image[4, 1, 2] = np.nan


def _inf(image):
    image[4, 1, 2] = np.inf


def _negative(image):
    image[4, 1, 2] = -1


@pytest.mark.parametrize("spoil", [_nan, _inf, _negative])
@pytest.mark.parametrize("target", ["a.h5", "a.npz", "a.ply", "a_%d.ply", "a_%d.png", "a.hdf5"])
def test_bad_images_name_the_event_and_leave_nothing(here, image, spoil, target):
    values = image.numpy().copy()
    spoil(values)
    np.save("bad.npy", values)
    before = files(here)
    with pytest.raises(PcgenError) as caught:
        convert("bad.npy", target, grid=TEXT, block=2)
    if target in ("a.h5", "a.npz", "a_%d.png", "a_%d.ply"):
        assert "bad.npy: image of event 4 at (1, 2)" in str(caught.value)
    assert files(here) == before


def test_old_target_survives_a_failure(here, jets, image):
    old = (here / "jets.h5").read_bytes()
    np.save("bad.npy", -np.ones((3, 5, 4)))
    with pytest.raises(DataError, match=r"bad\.npy: image of event 0"):
        convert("bad.npy", "jets.h5", grid=TEXT)
    assert (here / "jets.h5").read_bytes() == old


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "none.h5", "target": "a.npz"}, r"none\.h5: no such file"),
        ({"source": "jets.h5", "target": "a.foo"}, r"a\.foo: got the ending '\.foo', expected"),
        ({"source": "a.foo", "target": "a.h5"}, r"a\.foo: got the ending '\.foo', expected"),
        ({"source": "image.npy.gz", "target": "a.h5"}, r"'\.npy\.gz', .*unpack it with gunzip"),
        ({"source": "image.npy", "target": "a.h5", "grid": "y:0:1:4"}, "named by layers=c0/c1/c2/"),
        ({"source": "jets.h5", "target": "jets.h5"}, r"got the source jets\.h5 itself"),
        ({"source": "jets.h5", "target": "no/a.npz", "grid": TEXT}, r"no/a\.npz: cannot be writ"),
        ({"source": "image.npy", "target": "a.h5"}, "does not know its cells, expected .*--grid"),
        ({"source": "jets.h5", "target": "a.npz"}, "does not know its cells"),
        ({"source": "image.npy", "target": "a.h5", "grid": "x:0:1:3"}, r"expected the shape \(5,"),
        ({"source": "image.npy", "target": "a.h5", "grid": "x:1:0"}, "axis of grid: got 'x:1:0'"),
        ({"source": "jets.h5", "target": "a.npz", "grid": "x:0:1:3"}, "axes of grid: got 'x'"),
        ({"source": "jets.h5", "target": "b.h5", "grid": TEXT}, "grid: .* clouds stay clouds"),
        ({"source": "jets.h5", "target": "b.h5", "threshold": 1}, "threshold: .* images become cl"),
        ({"source": "jets.h5", "target": "b.h5", "jitter": True}, "jitter: .* images become cl"),
        ({"source": "jets.h5", "target": "b.h5", "outside": "clip"}, "outside: .* become images"),
        ({"source": "jets.h5", "target": "b.h5", "particles": 3}, "particles: .* JetNet's layout"),
        ({"source": "jets.h5", "target": "b.h5", "weight": "[]"}, r"weight: got '\[\]', expected"),
        ({"source": "jets.h5", "target": "b.h5", "block": 0}, "block: got 0"),
        ({"source": "jets.h5", "target": "b.h5", "from_format": "npy"}, r"jets\.h5: no NumPy arr"),
        ({"source": "image.npy", "target": "b", "from_format": "clouds"}, "expected one of .h5"),
        ({"source": "image.npy", "target": "b.h5", "threshold": -1, "grid": TEXT}, "threshold: "),
    ],
)
def test_what_cannot_be_done_is_reported_and_leaves_nothing(here, jets, image, arguments, message):
    before = files(here)
    with pytest.raises(PcgenError, match=message) as caught:
        convert(**arguments)
    assert "\n" not in str(caught.value)
    assert files(here) == before


def test_target_that_is_a_folder(here, jets):
    (here / "out.h5").mkdir()
    with pytest.raises(FileError, match=r"out\.h5: is a folder"):
        convert("jets.h5", "out.h5")


@pytest.mark.parametrize("particles", [0, -1, 10**18])
def test_jets_of_no_or_too_many_particles_are_refused(here, jets, particles):
    with pytest.raises(ArgumentError, match=f"particles: got {particles}, expected 1 to 2"):
        convert("jets.h5", "b.hdf5", particles=particles)
    assert not (here / "b.hdf5").exists()
