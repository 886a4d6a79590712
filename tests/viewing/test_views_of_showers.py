"""Showers: layers of the calorimeter behind the points, profiles beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pcgen import clouds as cloud
from pcgen import viewing
from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter
from pcgen.images import shower_to_cloud
from pcgen.io import write_clouds
from pcgen.schema import Quantity, Schema
from pcgen.tools import cli
from pcgen.viewing.layers import outlines, widened
from pcgen.viewing.profiles import Profile, are_showers, profiles
from pcgen.viewing.scene import frame_of
from pcgen.viewing.shapes import scaffold

RINGS = (0.0, 2.0, 5.0, 9.0)
CYLINDER = Calorimeter.cylindrical([RINGS] * 30, [6] * 30, depth=[4.0 * k for k in range(31)])
STACK = Calorimeter.planar([(-3, 0, 3)] * 3, [(-8, 0, 8)] * 3, depth=[0, 1, 3, 9])


def showers(calorimeter: Calorimeter, number: int = 4) -> tuple[torch.Tensor, Any]:
    voxels = torch.rand(number, calorimeter.voxels, dtype=torch.double) ** 8 * 100
    return voxels, shower_to_cloud(voxels, calorimeter, y=torch.ones(number, 1).double())


@pytest.mark.parametrize("calorimeter", [CYLINDER, STACK])
def test_profiles_hold_the_energies_of_layers_and_all_energy(calorimeter):
    voxels, clouds = showers(calorimeter)
    samples, schema = {"a": clouds, "b": clouds}, calorimeter.schema
    frame = frame_of(samples, schema, [2], calorimeter)
    depth, radius = profiles(samples, schema, frame, 2, calorimeter)
    layers = [voxels[:, a:b] for a, b in zip(
        calorimeter.boundaries[:-1], calorimeter.boundaries[1:], strict=True)]  # fmt: skip
    for name in samples:
        np.testing.assert_allclose(depth.event[name], [float(e[2].sum()) for e in layers])
        np.testing.assert_allclose(depth.mean[name], [float(e.sum()) / 4 for e in layers])
        assert radius.event[name].sum() == pytest.approx(float(voxels[2].sum()))
    if calorimeter.cylinder:
        assert radius.edges.tolist() == list(RINGS)


def test_rims_are_circles_at_the_faces_of_a_dozen_layers():
    low, high = widened(np.full(3, -1.0), np.full(3, 8.0), CYLINDER)
    assert low[2] == -1.0
    assert high[2] == CYLINDER.depth[-1]
    assert np.all(low[:2] < -9)
    assert np.all(high[:2] > 9)
    rims = outlines(low, high, CYLINDER)
    assert len(rims) == 11  # every third of 30 faces, and the back
    for rim in rims:
        np.testing.assert_allclose(np.hypot(rim[:, 0], rim[:, 1]), 9.0)
        np.testing.assert_array_equal(rim[0], rim[-1])
    assert [rim[0, 2] for rim in rims] == [12.0 * k for k in range(11)]


def test_a_calorimeter_that_is_far_wider_than_its_points_is_cut():
    low, high = widened(np.full(3, -0.5), np.full(3, 0.5), STACK)
    assert low.tolist() == [-0.5, -0.5, -0.5]
    assert high.tolist() == [0.5, 0.5, 9.0]
    for rim in outlines(low, high, STACK):
        assert rim[:, :2].min() == -0.5
        assert rim[:, :2].max() == 0.5


def test_rims_join_the_lines_of_the_box():
    _, clouds = showers(STACK)
    plain = frame_of({"a": clouds}, STACK.schema, [0])
    framed = frame_of({"a": clouds}, STACK.schema, [0], STACK)
    rims = sum(len(rim) - 1 for rim in framed.rims)
    assert rims == 4 * 4
    lines = scaffold(framed)
    assert np.all((lines.ends[-2 * rims :] >= -0.1) & (lines.ends[-2 * rims :] <= 1.1))
    assert plain.rims == ()


def test_axes_in_another_order_are_refused():
    _, clouds = showers(STACK)
    schema = STACK.schema
    turned = type(schema)(schema.axes[::-1], schema.weight, layers=schema.layers)
    with pytest.raises(ArgumentError, match="another order, expected x, y and z"):
        frame_of({"a": clouds}, turned, [0], STACK)


def test_profiles_stand_only_beside_showers():
    _, clouds = showers(STACK)
    assert are_showers(STACK.schema, {"a": clouds})
    bare = cloud.replace(clouds, layer=None)
    assert not are_showers(STACK.schema, {"a": clouds, "b": bare})


def test_an_empty_shower_is_seen_too():
    empty = shower_to_cloud(torch.zeros(2, STACK.voxels), STACK)
    figure = viewing.picture({"a": empty}, STACK.schema, calorimeter=STACK, open3d=False)
    assert [axes.get_xlabel() for axes in figure.axes[-2:]] == ["z [mm]", "r [mm]"]


@pytest.mark.parametrize("ending", ["png", "html"])
def test_view_of_showers_is_typed(ending, tmp_path, capsys):
    files = [str(tmp_path / name) for name in ("truth.h5", "generated.h5")]
    for file in files:
        attrs = {"calorimeter": CYLINDER.to_dict()}
        write_clouds(file, showers(CYLINDER)[1], CYLINDER.schema, attrs=attrs)
    output = tmp_path / f"showers.{ending}"
    assert not cli.main(["view", *files, "--event", "1", "--output", str(output)])
    assert capsys.readouterr().out == f"written: {output}\n"
    assert output.stat().st_size > 10_000
    if ending == "html":
        text = output.read_text()
        assert text.count("generated, mean of all") == 6  # three events, two profiles
        assert text.count('"hoverinfo":"skip"') == 6  # rims of two scenes of three events


def test_layers_without_a_depth_have_profiles_too():
    """The challenge's XML states no depth: z counts the layers, which are its bins."""
    flat = Calorimeter.cylindrical([RINGS] * 3, [6] * 3)
    voxels, clouds = showers(flat)
    assert flat.schema.axes[2].unit == ""
    assert are_showers(flat.schema, {"a": clouds})
    frame = frame_of({"a": clouds}, flat.schema, [1])
    for calorimeter in (flat, None):  # hits of ShowerData know no calorimeter
        depth, _ = profiles({"a": clouds}, flat.schema, frame, 1, calorimeter)
        assert depth.edges.tolist() == [0, 1, 2, 3]
        np.testing.assert_allclose(depth.event["a"], voxels[1].reshape(3, -1).sum(1))


def test_an_empty_shower_stands_in_its_whole_calorimeter():
    empty = shower_to_cloud(torch.zeros(2, CYLINDER.voxels), CYLINDER)
    frame = frame_of({"a": empty}, CYLINDER.schema, [0], CYLINDER)
    assert (frame.low[2], frame.high[2]) == (0.0, CYLINDER.depth[-1])
    assert np.all(frame.low[:2] < -9)
    assert np.all(frame.high[:2] > 9)
    assert frame.weight == CYLINDER.schema.weight


def test_voxels_without_units_have_a_depth_of_their_own():
    """Where no axis has a unit, the third one is a place as the others are."""
    axes = tuple(Quantity(name) for name in "xyz")
    schema = Schema(axes, Quantity("weight"), layers=("voxel",))
    pos = torch.tensor([[0.5, 0.5, 0.5], [7.5, 4.5, 30.5]])
    clouds = cloud.make(pos, [0, 2], weight=torch.ones(2), layer=torch.zeros(2, dtype=torch.long))
    for event in range(2):  # the first is empty: seen in the box of all
        frame = frame_of({"a": clouds}, schema, [event])
        depth, _ = profiles({"a": clouds}, schema, frame, event)
        assert depth.edges[0] <= 0.5
        assert depth.edges[-1] >= 30.5
        assert depth.event["a"].sum() == 2 * event
        assert depth.mean["a"].sum() == 1.0


def test_energies_of_one_size_are_on_a_linear_axis():
    edges, axis = np.array([0.0, 1.0, 2.0]), Quantity("r", "mm")
    few = {"a": np.array([21.2, 22.3])}
    assert not Profile(axis, edges, {"a": np.zeros(2)}, few).decades
    assert not Profile(axis, edges, {"a": np.zeros(2)}, {"a": np.zeros(2)}).decades
    assert Profile(axis, edges, {"a": np.array([1.0, 0.0])}, few).decades
