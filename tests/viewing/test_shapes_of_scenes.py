"""Spheres, camera, letters and lines."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from events_to_view import ENERGY, JET, SHOWER, built, jets, showers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pcgen import clouds as cloud
from pcgen.schema import Schema
from pcgen.viewing.letters import colour_bar, letters
from pcgen.viewing.scene import COLOURS
from pcgen.viewing.shapes import (
    Camera,
    Label,
    _sphere,
    arrays,
    balls,
    directions,
    labels,
    scaffold,
    together,
)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_spheres_are_closed_round_and_face_outwards(level: int) -> None:
    vertices, triangles = _sphere(level)
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1)
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    assert np.all(counts == 2)
    # Euler: vertices - edges + faces = 2.
    assert len(vertices) - len(unique) + len(triangles) == 2
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    assert np.all((np.cross(b - a, c - a) * (a + b + c)).sum(1) > 0)


def test_balls_are_where_the_points_are_and_look_like_the_colour_bar() -> None:
    _, scene = built(showers(), SHOWER)
    mesh = balls(scene)
    corners = mesh.vertices.reshape(len(scene.points), -1, 3)
    np.testing.assert_allclose(corners.mean(1), scene.points, atol=1e-12)
    reach = np.linalg.norm(corners - scene.points[:, None], axis=2)
    np.testing.assert_allclose(reach, np.tile(scene.radii[:, None], reach.shape[1]))
    # What faces the camera is, on the mean, not far from the colour that the bar shows.
    towards = (corners - scene.points[:, None]) @ -directions()[2] > 0
    colours = mesh.colours.reshape(corners.shape)
    seen = np.stack([c[t].mean(0) for c, t in zip(colours, towards, strict=True)])
    assert np.abs(seen - scene.colours).max() < 0.12
    assert mesh.triangles.max() == len(mesh.vertices) - 1


def test_the_camera_sees_the_box_and_its_labels_upright() -> None:
    for batch, schema in ((showers(), SHOWER), (jets(), JET)):
        frame, _ = built(batch, schema)
        camera = Camera.towards(frame, 1000, 800)
        places = camera.project(np.stack([label.point for label in labels(frame)]))
        assert np.all((places >= 0) & (places <= [1000, 800]))
        assert (
            np.ptp(np.concatenate([places, camera.project(frame.size[None])]), axis=0).max() > 700
        )
        floor, roof = camera.project(np.array([[0, 0, 0], [0, 0, frame.size[2]]]))
        assert roof[1] < floor[1]
        start, end = camera.project(np.array([[0, 0, 0], [frame.size[0], 0, 0]]))
        assert end[0] > start[0]


def test_ticks_and_labels_are_at_their_places() -> None:
    frame, _ = built(showers(), SHOWER)
    written = labels(frame)
    assert [label.text for label in written if label.title] == ["x [mm]", "y [mm]", "z [mm]"]
    for axis, ticks in enumerate(frame.ticks):
        assert len(ticks) >= 2
        for value, text in ticks:
            assert float(text) == pytest.approx(value, abs=1e-3)
            place = frame.place(np.full(3, value))[axis]
            near = [label for label in written if label.text == text and not label.title]
            assert any(label.point[axis] == pytest.approx(place) for label in near)
    lines = scaffold(frame)
    assert np.all((lines.ends >= -0.03) & (lines.ends <= frame.size + 1e-9))
    assert len(lines.colours) == len(lines.pairs)
    assert lines.pairs.max() == len(lines.ends) - 1


def test_letters_face_the_camera_and_keep_to_their_side() -> None:
    right, _, ahead = directions()
    place = np.array([0.3, 0.2, 0.1])
    for side, low, high in (("left", 0, 9), ("right", -9, 0), ("center", -9, 9)):
        lines = letters("Energy [GeV]", place, side=side)
        offset = (lines.ends - place) @ right
        assert low - 0.01 <= offset.min() < offset.max() <= high + 0.01
        np.testing.assert_allclose((lines.ends - place) @ ahead, 0, atol=1e-12)
    two = letters("one\n$\\eta^2$", place)
    assert len(two.ends) > len(letters("one", place).ends)
    assert len(letters("", place).pairs) == 0
    assert len(letters(" \n", place).pairs) == 0


def test_the_colour_bar_of_the_window_shows_the_scale() -> None:
    frame, _ = built(showers(), SHOWER)
    mesh, lines = colour_bar(frame, np.zeros(3))
    _, down, _ = directions()
    height = -mesh.vertices @ down
    top = matplotlib.colormaps[COLOURS](1.0)[:3]
    np.testing.assert_allclose(mesh.colours[np.argmax(height)], top, atol=0.05)
    assert np.abs(height).max() == pytest.approx(0.45)
    assert len(lines.pairs) > 50


def test_lines_are_joined_with_their_numbers_moved() -> None:
    frame, _ = built(showers(), SHOWER)
    one = scaffold(frame)
    both = together([one, one])
    np.testing.assert_array_equal(both.pairs[len(one.pairs) :], one.pairs + len(one.ends))
    np.testing.assert_array_equal(both.ends[both.pairs[-1]], one.ends[one.pairs[-1]])


def test_arrays_carry_the_number_of_their_scene() -> None:
    frame, scene = built(showers(), SHOWER)
    assert all(name.endswith("_7") for name in arrays(balls(scene), scaffold(frame), 7))


def extents(label: Label) -> np.ndarray:
    """Least and greatest place of a text, to the right and down [2, 2]."""
    lines = letters(label.text, label.point, side=label.side, upright=label.upright)
    places = lines.ends @ directions()[:2].T
    return np.stack([places.min(0), places.max(0)])


@given(
    low=st.tuples(*[st.floats(-50, 50)] * 3),
    size=st.tuples(*[st.floats(0.1, 1000)] * 3),
    weight=st.booleans(),
    dimensions=st.sampled_from([2, 3]),
)
@example(low=(9.25, 0.0, 0.0), size=(1.5, 1.0, 5.0), weight=False, dimensions=3)
@settings(max_examples=60)
def test_nothing_that_is_written_lies_on_something_else(
    low: Any, size: Any, weight: bool, dimensions: int
) -> None:
    ends = torch.tensor([low, [a + b for a, b in zip(low, size, strict=True)]])[:, :dimensions]
    weights = torch.tensor([1.0, 50.0]) if weight else None
    frame, _ = built(
        cloud.make(ends, [2], weight=weights), Schema(SHOWER.axes[:dimensions], ENERGY)
    )
    numbers = [label for label in labels(frame) if not label.title and label.text]
    boxes = [extents(label) for label in numbers]
    for place, one in enumerate(boxes):
        for other in boxes[:place]:
            assert np.any((one[1] <= other[0]) | (other[1] <= one[0]))
    # The name of the third axis is beside its numbers.
    upright = next(label for label in labels(frame) if label.upright)
    if upright.text:
        name = extents(upright)
        assert all(np.any((name[1] <= box[0]) | (box[1] <= name[0])) for box in boxes)


def test_numbers_are_left_out_only_where_others_would_lie_on_them() -> None:
    frame, _ = built(showers(), SHOWER)
    for axis, ticks in enumerate(frame.ticks):
        texts = {text for _, text in ticks}
        shown = {label.text for label in labels(frame) if not label.title}
        assert len(texts - shown) <= 1, axis


def test_upright_letters_are_read_from_below() -> None:
    right, down, _ = directions()
    flat, turned = (letters("long text", np.zeros(3), upright=u).ends for u in (False, True))
    np.testing.assert_allclose(turned @ -down, flat @ right, atol=1e-12)
    np.testing.assert_allclose(turned @ right, flat @ down, atol=1e-12)
