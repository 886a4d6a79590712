"""The grid of the images in conftest.py, and what two files have in common."""

from __future__ import annotations

import torch

from pcgen import clouds, io
from pcgen.grids import Grid

TEXT = "eta_rel:-0.4:0.4:5,phi_rel:-0.4:0.4:4"
GRID = Grid.parse(TEXT, io.JETS.axes)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_same(a, b):
    left, right = clouds.attributes(a), clouds.attributes(b)
    assert a.ptr.tolist() == b.ptr.tolist()
    assert set(left) == set(right)
    for name, value in left.items():
        assert torch.equal(value, right[name]), name
