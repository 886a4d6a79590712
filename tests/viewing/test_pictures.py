"""Pictures by Open3D, and by matplotlib where it fails."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from events_to_view import ENERGY, JET, SHOWER, built, jets, showers
from matplotlib.figure import Figure

from pcgen import clouds as cloud
from pcgen.schema import Quantity, Schema
from pcgen.viewing import offscreen, picture, pictures
from pcgen.viewing.shapes import (
    Camera,
)


def texts(figure: Figure) -> set[str]:
    found = {text.get_text() for text in figure.texts}
    for axes in figure.axes:
        parts = [axes.title, *axes.texts, axes.xaxis.label, axes.yaxis.label]
        parts += [axes.zaxis.label] if hasattr(axes, "zaxis") else []
        found |= {part.get_text() for part in parts}
    return found


def test_open3d_draws_a_ball_where_the_camera_looks(context: None) -> None:
    batch = cloud.make(torch.rand(2, 3), [2], weight=torch.tensor([1.0, 1e-4]))
    frame, scene = built(batch, SHOWER)
    camera = Camera.towards(frame, 400, 300)
    pixels = pictures.render([scene], frame, camera)
    assert pixels is not None
    assert pixels.shape == (1, 300, 400, 3)
    picture_of = pixels[0].astype(float)
    # The heaviest ball is the only yellow thing: red and green, but little blue.
    yellow = (picture_of[..., 0] > 150) & (picture_of[..., 2] < 120)
    rows, columns = np.nonzero(yellow)
    place = camera.project(scene.points[:1])[0]
    assert [columns.mean(), rows.mean()] == pytest.approx(place, abs=1.0)
    depth = (scene.points[0] @ camera.extrinsic[2, :3]) + camera.extrinsic[2, 3]
    radius = camera.intrinsic[0, 0] * scene.radii[0] / depth
    assert yellow.sum() == pytest.approx(math.pi * radius**2, rel=0.15)


def test_open3d_in_this_process_draws_the_same(context: None) -> None:
    frame, scene = built(jets(), JET)
    camera = Camera.towards(frame, 120, 90)
    packed = pictures.pack([scene, scene], frame, camera)
    pixels = offscreen.render(packed)
    assert pixels.shape == (2, 180, 240, 3)
    np.testing.assert_array_equal(pixels[0], pixels[1])
    assert pixels.min() < 100 < pixels.max() == 255


def test_a_picture_states_axes_units_and_scale(context: None) -> None:
    empty = cloud.make(torch.zeros(0, 2), [0, 0], weight=torch.zeros(0))
    figure = picture({"real": jets(), "generated": empty}, JET, event=1)
    figure.draw_without_rendering()
    written = texts(figure)
    assert {"eta", r"$\phi$ [rad]", r"$\log_{10}$($E$/GeV)", "$E$ [GeV]"} <= written
    assert "area of a sphere: $E$; height: $\\log_{10}$($E$/GeV)" in written
    assert any(text.startswith("real, event 1\n10 points, sum ") for text in written)
    assert "generated, event 1\n0 points, sum 0 GeV" in written
    images = [axes.images for axes in figure.axes]
    assert sum(map(len, images)) == 2


def test_no_name_of_an_axis_is_cut_off(context: None) -> None:
    long = Quantity("phi", "rad", symbol="azimuth relative to the jet")
    figure = picture({"real": jets()}, Schema((JET.axes[0], long), ENERGY))
    figure.draw_without_rendering()
    inside = figure.bbox
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert inside.x0 <= box.x0
            assert box.x1 <= inside.x1


def test_matplotlib_draws_where_requested() -> None:
    figure = picture({"real": jets()}, JET, open3d=False)
    figure.draw_without_rendering()
    assert {"eta", r"$\phi$ [rad]", r"$\log_{10}$($E$/GeV)", "$E$ [GeV]"} <= texts(figure)
    panel: Any = next(axes for axes in figure.axes if hasattr(axes, "zaxis"))
    assert len(panel.collections[0].get_offsets()) == 10


@pytest.mark.parametrize(
    ("program", "patience", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 30.0, "status -11"),
        ("raise RuntimeError('no context')", 30.0, "RuntimeError: no context"),
        ("import time; time.sleep(60)", 0.5, "timed out"),
    ],
)
def test_matplotlib_draws_where_open3d_fails(
    program: str,
    patience: float,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = tmp_path / "broken.py"
    script.write_text(program)
    monkeypatch.setattr(offscreen, "__file__", str(script))
    monkeypatch.setattr(pictures, "_PATIENCE", patience)
    monkeypatch.setenv("DISPLAY", ":77")
    figure = picture({"real": showers()}, SHOWER)
    assert any(hasattr(axes, "zaxis") for axes in figure.axes)
    assert reason in caplog.text
    assert "matplotlib draws instead" in caplog.text


def test_matplotlib_draws_points_where_its_axes_say() -> None:
    figure = picture({"a": showers(), "b": showers()}, SHOWER, open3d=False)
    figure.draw_without_rendering()
    panels: Any = [axes for axes in figure.axes if hasattr(axes, "zaxis")]
    for panel in panels:
        limits = [panel.get_xlim(), panel.get_ylim(), panel.get_zlim()]
        # The longest side of the box is 1.
        assert max(high for _, high in limits) == pytest.approx(1.0)
        points = np.stack(panel.collections[0]._offsets3d, 1)
        np.testing.assert_allclose(points.max(0), [high for _, high in limits], rtol=0.2)


@pytest.mark.parametrize("open3d", [True, False])
def test_names_of_any_kind_are_written_as_they_are(open3d: bool, tmp_path: Path) -> None:
    odd = "$\\frac{ <b> 5 $"
    schema = Schema((Quantity(odd, odd), Quantity("y")), Quantity(odd), labels=(odd,))
    batch = cloud.make(torch.rand(3, 2), [3], weight=torch.rand(3), label=torch.tensor([0]))
    figure = picture({odd: batch}, schema, open3d=open3d)
    figure.savefig(tmp_path / "a.png", dpi=40)
    plain = {text.replace(r"\$", "$") for text in texts(figure)}
    assert any(text.startswith(f"{odd}, event 0 ({odd})\n3 points") for text in plain)
    assert {f"{odd} [{odd}]", odd} <= plain


def test_points_on_a_line_are_drawn() -> None:
    line = Schema((Quantity("x", "mm"),), weight=ENERGY)
    clouds = cloud.make(torch.rand(4, 1), [4], weight=torch.rand(4))
    figure = picture({"real": clouds}, line, open3d=False)
    assert "x [mm]" in texts(figure)


def test_long_names_of_axes_have_room_on_both_sides() -> None:
    axes = tuple(Quantity(f"photons.sensor_pos_{name}", "m") for name in "xyz")
    frame, _ = built(cloud.make(torch.rand(5, 3), [5]), Schema(axes))
    left, right = pictures._overhang(frame, Camera.towards(frame, 1000, 800))
    assert min(left, right) > 0.2
    figure, panels, bar = pictures._layout(2, (left, right), 0.0)
    width = figure.get_figwidth()
    first, second = (panel.get_position(figure) for panel in panels)
    assert first.x0 * width >= left - 0.01
    assert (second.x0 - first.x1) * width >= left + right - 0.01
    assert (bar.get_position().x0 - second.x1) * width >= right
    assert (1 - bar.get_position().x1) * width > 0.9  # its numbers and its name
