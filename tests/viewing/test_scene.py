"""What is to be seen: points to scale, titles, axes."""

from __future__ import annotations

import re

import matplotlib
import numpy as np
import pytest
import torch
from events_to_view import ENERGY, JET, SHOWER, built, jets, showers

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError
from pcgen.schema import Quantity, Schema
from pcgen.viewing.scene import COLOURS, frame_of
from pcgen.viewing.shapes import (
    labels,
    stems,
)


def test_frame_and_scene_hold_all_points_to_scale() -> None:
    batch = showers()
    frame, scene = built(batch, SHOWER)
    assert len(scene.points) == 20
    assert np.all((scene.points >= 0) & (scene.points <= frame.size))
    # Equal units: the box is to scale, but for sides below a third.
    scales = (frame.size / (frame.high - frame.low))[1:]
    assert scales[0] == pytest.approx(scales[1])
    assert frame.size.max() == 1
    assert frame.size.min() >= 1 / 3
    order = torch.argsort(-batch.weight[:20])
    np.testing.assert_allclose(scene.values, batch.pos[:20][order])
    np.testing.assert_allclose(frame.place(np.stack([frame.low, frame.high]))[1], frame.size)


def test_area_and_colour_say_the_weight() -> None:
    frame, scene = built(showers(), SHOWER)
    large = scene.radii > 0.2 * scene.radii[0]
    ratio = (scene.radii / scene.radii[0]) ** 2
    np.testing.assert_allclose(ratio[large], (scene.weight / scene.weight[0])[large])
    expected = matplotlib.colormaps[COLOURS](frame.scale(scene.weight))[:, :3]
    np.testing.assert_allclose(scene.colours, expected)
    assert frame.shade == ENERGY
    assert frame.note == "area of a sphere: $E$"


def test_points_that_only_count_are_alike_and_shaded_by_the_third_axis() -> None:
    bare = cloud.make(torch.rand(9, 3), [9])
    schema = Schema(axes=SHOWER.axes)
    frame, scene = built(bare, schema)
    assert np.ptp(scene.radii) == 0
    assert frame.shade == SHOWER.axes[2]
    assert scene.colours[np.argmax(scene.values[:, 2])].sum() > scene.colours.sum(1).min()
    assert frame.note == ""
    assert scene.title == "real, event 0\n9 points"


def test_titles_say_class_multiplicity_and_sum() -> None:
    batch = showers()
    total = float(batch.weight[:20].sum())
    assert built(batch, SHOWER)[1].title == (
        f"real, event 0 (pion)\n20 points, sum {total:.4g} GeV"
    )
    assert built(batch, SHOWER, 1)[1].title == "real, event 1 (photon)\n0 points, sum 0 GeV"
    # A class that the schema does not know has no name.
    assert built(batch, SHOWER, 2)[1].title.startswith("real, event 2\n")


def test_lone_points_far_away_are_counted_not_shown() -> None:
    pos = torch.cat([torch.rand(3000, 3), torch.tensor([[500.0, 0.5, 0.5]])])
    frame, scene = built(cloud.make(pos, [3001], weight=torch.ones(3001)), SHOWER)
    assert frame.high[0] < 2
    assert len(scene.points) < 3001
    assert re.search(r", \d+ outside the frame$", scene.title)
    assert f"{3001 - len(scene.points)} outside" in scene.title


def test_two_coordinates_are_lifted_by_the_logarithm_of_the_weight() -> None:
    batch = cloud.make(torch.rand(4, 2), [4], weight=torch.tensor([1.0, 100.0, 0.0, 10.0]))
    frame, scene = built(batch, JET)
    assert frame.axes[2].label == r"$\log_{10}$($E$/GeV)"
    assert frame.lift.startswith("height: ")
    # Without a logarithm: on the floor.
    np.testing.assert_allclose(scene.values[:, 2], [2.0, 1.0, 0.0, frame.low[2]])
    assert frame.low[2] < 0
    ends = stems(scene)
    assert np.all(ends.ends[0::2, 2] == 0)
    np.testing.assert_allclose(ends.ends[1::2], scene.points)


def test_two_coordinates_with_layers_stand_at_their_layer() -> None:
    schema = Schema(axes=JET.axes, weight=ENERGY, layers=("ECAL", "HCAL", "tracks"))
    batch = cloud.make(torch.rand(3, 2), [3], weight=torch.ones(3), layer=torch.tensor([0, 1, 1]))
    frame, scene = built(batch, schema)
    assert frame.ticks[2] == ((0.0, "ECAL"), (1.0, "HCAL"), (2.0, "tracks"))
    assert sorted(scene.values[:, 2]) == [0, 1, 1]
    assert frame.note.endswith("height: layer")


def test_one_coordinate_and_no_weight_lie_on_a_line() -> None:
    frame, scene = built(cloud.make(torch.rand(3, 1), [3]), Schema(axes=(Quantity("t", "ns"),)))
    assert np.all(scene.values[:, 1:] == 0)
    assert frame.lift == "height: none"
    assert [label.text for label in labels(frame) if label.title] == ["t [ns]", "", ""]


def test_events_and_axes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ArgumentError, match="events of 'real': got 3, expected numbers from 0 to 2"
    ):
        frame_of({"real": showers()}, SHOWER, [3])
    with pytest.raises(ArgumentError, match="got -1"):
        frame_of({"real": showers()}, SHOWER, [-1])
    with pytest.raises(ArgumentError, match="got none"):
        frame_of({"real": showers()}, SHOWER, [])
    with pytest.raises(ArgumentError, match="samples: got none"):
        frame_of({}, SHOWER, [0])
    with pytest.raises(ArgumentError, match="clouds of 'jets': got 2 coordinates, expected the 3"):
        frame_of({"jets": jets()}, SHOWER, [0])


def test_weights_that_are_all_zero_shade_nothing() -> None:
    """Hits of Delphes have E = 0: a bar from 0.1 to 1 GeV would be made up."""
    frame, scene = built(cloud.make(torch.rand(9, 3), [9], weight=torch.zeros(9)), SHOWER)
    assert frame.weight is None
    assert frame.shade == SHOWER.axes[2]
    assert np.ptp(scene.radii) == 0
    frame, scene = built(cloud.make(torch.rand(1, 2), [1], weight=torch.zeros(1)), JET)
    assert frame.weight is None
    assert scene.title == "real, event 0\n1 point, sum 0 GeV"
    assert scene.values[0, 2] == frame.low[2]


def test_a_point_of_next_to_nothing_does_not_press_the_others_together() -> None:
    weight = torch.tensor([100.0, 10.0, 1.0, 1e-14])
    frame, scene = built(cloud.make(torch.rand(4, 2), [4], weight=weight), JET)
    assert frame.scale.vmin == pytest.approx(0.01)
    assert -2.8 < frame.low[2] < -2
    np.testing.assert_allclose(scene.values[:, 2], [2.0, 1.0, 0.0, frame.low[2]])
    assert len(scene.points) == 4
