"""Profiles of showers in a window: drawn as lines below the boxes, for the event that is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from events_to_view import JET, jets

from pcgen import clouds as cloud
from pcgen.grids import Calorimeter
from pcgen.images import shower_to_cloud
from pcgen.schema import Quantity
from pcgen.viewing import windows
from pcgen.viewing.panels import HEIGHT, _dashes, _range, _share, panels
from pcgen.viewing.profiles import Profile
from pcgen.viewing.shapes import directions

STACK = Calorimeter.planar([(-3, 0, 3)] * 3, [(-8, 0, 8)] * 3, depth=[0, 1, 3, 9])
BLUE, ENERGY = (31 / 255, 119 / 255, 180 / 255), Quantity("energy", "MeV")


def showers() -> Any:
    draw = torch.Generator().manual_seed(0)
    return shower_to_cloud(torch.rand(3, STACK.voxels, generator=draw).double() * 9, STACK)


def heights(lines: Any) -> np.ndarray:
    """The ends of blue lines, from the bottom of a panel at 0 to its top at 1."""
    blue = np.isclose(lines.colours, BLUE).all(1)
    return (HEIGHT - lines.ends[lines.pairs[blue].ravel()] @ directions()[1]) / HEIGHT


def test_curves_are_as_high_as_their_energies() -> None:
    event, mean = {"a": np.array([4.0, 1.0])}, {"a": np.array([2.0, 2.0])}
    profile = Profile(Quantity("z", "mm"), np.array([0.0, 1.0, 3.0]), event, mean)
    curve = heights(panels([profile], ENERGY, np.zeros(3), 2.0))
    inside = curve[curve <= 1]  # above are the letters of the legend
    for value in (4.0, 2.0, 1.0):
        assert np.isclose(inside, value / 4.2).any()
    assert inside.max() == pytest.approx(4 / 4.2)


def test_energies_of_many_decades_are_cut_at_four() -> None:
    values = {"a": np.array([1e3, 1e-5, 0.0])}
    profile = Profile(Quantity("r"), np.arange(4.0), values, values)
    low, high = _range(profile, log=True)
    assert (low, high) == pytest.approx((0.1, 1500))
    share = _share(np.array([0.1, 1500, 0]), low, high, log=True)
    assert share[:2] == pytest.approx([0, 1])
    assert share[2] < 0
    empty = Profile(Quantity("r"), np.arange(2.0), {"a": np.zeros(1)}, {"a": np.zeros(1)})
    assert _range(empty, log=False) == pytest.approx((0, 1.05))


def test_dashes_are_half_of_a_line() -> None:
    ends = _dashes(np.array([[0.0, 0, 0], [1.0, 0, 0], [1.0, 1.0, 0]]))
    lengths = np.abs(np.diff(ends, axis=0)).sum(1)[::2]
    assert lengths.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("number", [1, 3])
def test_profiles_follow_the_event_and_all_is_seen(number: int, context: None) -> None:
    samples = {f"sample {k}": showers() for k in range(number)}
    viewer = windows.Viewer(samples, STACK.schema, 0, STACK)
    viewer.open(visible=False)

    def seen() -> Any:
        return np.asarray(viewer.drawer.capture_screen_float_buffer(True)).copy()

    first = seen()
    viewer.step(1)
    below = slice(int(0.7 * len(first)), None)
    assert np.abs(first - seen())[below].max() > 0.3
    viewer.step(-1)
    np.testing.assert_array_equal(seen(), first)
    dark = (first < 0.9).any(2)
    for across in (0, 1):
        filled = np.flatnonzero(dark.any(across))
        assert filled.min() > 0
        assert filled.max() < dark.shape[1 - across] - 1
    viewer.drawer.destroy_window()


def test_other_events_have_none() -> None:
    assert windows.Viewer({"a": jets()}, JET, 0).whole == []
    bare = cloud.replace(showers(), layer=None)
    assert windows.Viewer({"a": bare}, STACK.schema, 0).whole == []
