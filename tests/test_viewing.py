"""Scenes, their drawing by Open3D and matplotlib, the page and the window's keys."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError, FileError, MissingExtraError, PcgenError
from pcgen.schema import Quantity, Schema
from pcgen.viewing import has_display, in_notebook, offscreen, page, picture, pictures, windows
from pcgen.viewing.letters import colour_bar, letters
from pcgen.viewing.scene import COLOURS, Frame, Scene, frame_of, scene_of
from pcgen.viewing.shapes import (
    Camera,
    _sphere,
    arrays,
    balls,
    directions,
    labels,
    scaffold,
    stems,
    together,
)

ENERGY = Quantity("energy", "GeV", symbol="$E$")
SHOWER = Schema(
    axes=(Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "mm")),
    weight=ENERGY,
    labels=("photon", "pion"),
)
JET = Schema(axes=(Quantity("eta"), Quantity("phi", "rad", 2 * math.pi, r"$\phi$")), weight=ENERGY)


def showers(points: int = 40) -> Any:
    pos = torch.rand(points, 3) * torch.tensor([10.0, 20.0, 40.0])
    sizes = [points // 2, 0, points - points // 2]
    weight = torch.rand(points).exp() ** 4
    return cloud.make(pos, sizes, weight=weight, label=torch.tensor([1, 0, 5]))


def jets(points: int = 20) -> Any:
    weight = torch.rand(points).exp() ** 4
    return cloud.make(torch.randn(points, 2), [points // 2, points - points // 2], weight=weight)


def built(batch: Any, schema: Schema, event: int = 0) -> tuple[Frame, Scene]:
    frame = frame_of({"real": batch}, schema, [event])
    return frame, scene_of("real", batch, schema, frame, event)


@pytest.fixture(scope="module")
def context() -> None:
    """Skips where there is no rendering context, which another process may die of."""
    frame, scene = built(showers(), SHOWER)
    if pictures.render([scene], frame, Camera.towards(frame, 40, 30)) is None:
        pytest.skip("Open3D has no rendering context here")


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


def texts(figure: Figure) -> set[str]:
    found = {text.get_text() for text in figure.texts}
    for axes in figure.axes:
        parts = [axes.title, *axes.texts, axes.xaxis.label, axes.yaxis.label]
        parts += [axes.zaxis.label] if hasattr(axes, "zaxis") else []
        found |= {part.get_text() for part in parts}
    return found


def test_open3d_draws_a_ball_where_the_camera_says(context: None) -> None:
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


def test_matplotlib_draws_where_asked() -> None:
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


def test_the_page_is_complete_and_steps_through_events(tmp_path: Path) -> None:
    made = page({"real": jets(), "VAE <b>": jets()}, JET, number=5)
    made.save(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert text == made.html
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text)
    assert "VAE <b>" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "energy = " in text
    assert "[rad]" in text
    with pytest.raises(FileError, match="cannot be written"):
        made.save(tmp_path / "nowhere" / "a.html")


def plotted(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> Any:
    import plotly.basedatatypes

    kept: list[Any] = []
    monkeypatch.setattr(
        plotly.basedatatypes.BaseFigure, "to_html", lambda self, **_: kept.append(self) or ""
    )
    page(*arguments, **options)
    return kept[0]


def test_the_slider_shows_one_event_of_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = jets()
    figure = plotted(monkeypatch, {"a": batch, "b": batch}, JET, first=0, number=9)
    steps = figure.layout.sliders[0].steps
    assert [step.label for step in steps] == ["0", "1"]
    # Points and stems, of two samples, of two events.
    assert len(figure.data) == 8
    assert [list(step.args[0]["visible"]) for step in steps] == [
        [True] * 4 + [False] * 4,
        [False] * 4 + [True] * 4,
    ]
    assert [trace.visible for trace in figure.data] == [True] * 4 + [False] * 4
    assert steps[1].args[1]["annotations"][1]["text"].startswith("b, event 1<br>10 points")
    order = torch.argsort(-batch.weight[:10])
    np.testing.assert_allclose(figure.data[0].x, batch.pos[:10, 0][order])
    np.testing.assert_allclose(figure.data[0].marker.color, batch.weight[:10][order].log10(), 1e-5)
    assert figure.data[0].text[0].endswith(f"energy = {float(batch.weight[:10].max()):.4g} GeV")
    assert figure.layout.coloraxis.colorbar.title.text == "E [GeV]"
    axes = figure.layout.scene
    assert axes.yaxis.title.text == "φ [rad]"
    assert axes.zaxis.title.text == "log<sub>10</sub>(E/GeV)"


def test_a_page_of_points_that_only_count(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema(axes=SHOWER.axes)
    figure = plotted(monkeypatch, {"a": cloud.make(torch.rand(4, 3), [4])}, schema)
    assert len(figure.data) == 1
    np.testing.assert_array_equal(figure.data[0].marker.color, figure.data[0].z)
    assert figure.layout.coloraxis.colorbar.title.text == "z [mm]"
    with pytest.raises(ArgumentError, match="events of 'a': got 5"):
        page({"a": cloud.make(torch.rand(4, 3), [4])}, schema, first=5)


def test_a_notebook_shows_the_page_in_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    html = page({"a": jets()}, JET, number=1)._repr_html_()
    assert html.startswith('<iframe srcdoc="&lt;')
    assert "<script" not in html
    assert not in_notebook()

    class ZMQInteractiveShell:
        pass

    class FakeIPython:
        @staticmethod
        def get_ipython() -> Any:
            return ZMQInteractiveShell()

    monkeypatch.setitem(__import__("sys").modules, "IPython", FakeIPython)
    assert in_notebook()


class FakeWindow:
    """Open3D's visualizer without a screen: remembers keys and geometries."""

    def __init__(self, opens: bool = True) -> None:
        self.keys: dict[int, Any] = {}
        self.shown: list[Any] = []
        self.opens, self.ran, self.says = opens, False, b""

    def create_window(self, *_: Any, **__: Any) -> bool:
        os.write(2, self.says)
        return self.opens

    def register_key_callback(self, key: int, function: Any) -> None:
        self.keys[key] = function

    def clear_geometries(self) -> None:
        self.shown.clear()

    def add_geometry(self, geometry: Any, reset_bounding_box: bool) -> None:
        self.shown.append(geometry)

    def get_render_option(self) -> Any:
        return type("Options", (), {})()

    def get_view_control(self) -> Any:
        names = ("change_field_of_view", "set_front", "set_up", "set_zoom")
        control = type("Control", (), {name: lambda *_: True for name in names})()
        control.get_field_of_view = lambda: 60.0
        return control

    def reset_view_point(self, _: bool) -> None:
        return

    def run(self) -> None:
        self.ran = True

    def destroy_window(self) -> None:
        return


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeWindow:
    import open3d

    drawer = FakeWindow()
    monkeypatch.setattr(windows, "has_display", lambda: True)
    monkeypatch.setattr(
        open3d.visualization, "VisualizerWithKeyCallback", lambda: drawer, raising=True
    )
    return drawer


def test_keys_step_through_the_events_that_all_samples_have(
    fake: FakeWindow, capsys: pytest.CaptureFixture[str]
) -> None:
    viewer = windows.Viewer({"real": showers(), "fake": cloud.select(showers(), [0, 1])}, SHOWER, 1)
    viewer.open()
    right, left = 262, 263
    seen = [viewer.event]
    for key in (right, right, left, left, left):
        assert fake.keys[key](fake)
        seen.append(viewer.event)
    assert seen == [1, 0, 1, 0, 1, 0]
    assert fake.keys[ord("R")](fake)
    mesh, lines = fake.shown
    assert len(mesh.triangles) > 0
    assert len(lines.lines) > 100


def test_the_window_is_run_until_closed(
    fake: FakeWindow, capsys: pytest.CaptureFixture[str]
) -> None:
    windows.window({"real": jets()}, JET)
    assert fake.ran
    assert "right and left arrow" in capsys.readouterr().out


def test_a_window_that_cannot_be_opened(fake: FakeWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.opens = False
    with pytest.raises(PcgenError, match="window: Open3D cannot open one here"):
        windows.window({"real": jets()}, JET)
    fake.opens, fake.says = True, b"[Open3D INFO] No display, falling back to EGL offscreen\n"
    with pytest.raises(PcgenError, match="window: Open3D cannot open one here"):
        windows.window({"real": jets()}, JET)
    assert not fake.ran
    monkeypatch.setitem(__import__("sys").modules, "open3d", None)
    with pytest.raises(MissingExtraError, match="open3d is needed for a window"):
        windows.window({"real": jets()}, JET)


def test_without_a_display_no_window_is_tried(
    fake: FakeWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "has_display", lambda: False)
    with pytest.raises(PcgenError, match=r"window: got no display .* viewing\.picture") as caught:
        windows.window({"real": jets()}, JET)
    assert "\n" not in str(caught.value)
    assert not fake.ran


def test_a_real_window_out_of_sight(context: None) -> None:
    viewer = windows.Viewer({"real": jets(), "generated": jets()}, JET, 0)
    viewer.open(visible=False)

    def seen() -> Any:
        return np.asarray(viewer.drawer.capture_screen_float_buffer(True)).copy()

    first = seen()
    viewer.step(1)
    second = seen()
    viewer.step(1)
    np.testing.assert_array_equal(seen(), first)
    assert np.abs(first - second).max() > 0.3
    # Both boxes, the colour bar and nothing cut off.
    columns = np.flatnonzero((first < 0.9).any((0, 2)))
    assert 0 < columns.min() < first.shape[1] / 4
    assert 3 * first.shape[1] / 4 < columns.max() < first.shape[1] - 1
    viewer.drawer.destroy_window()


def test_displays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_display()
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.delenv("DISPLAY")
    assert has_display()


def test_arrays_carry_the_number_of_their_scene() -> None:
    frame, scene = built(showers(), SHOWER)
    assert all(name.endswith("_7") for name in arrays(balls(scene), scaffold(frame), 7))
