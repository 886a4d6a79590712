"""The window and its keys."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
from events_to_view import JET, SHOWER, jets, showers

from pcgen import clouds as cloud
from pcgen.errors import MissingExtraError, PcgenError
from pcgen.schema import Quantity, Schema
from pcgen.viewing import has_display, windows
from pcgen.viewing.shapes import directions


class FakeWindow:
    """Open3D's visualizer without a screen: remembers keys and geometries."""

    def __init__(self, opens: bool = True) -> None:
        self.keys: dict[int, Any] = {}
        self.shown: list[Any] = []
        self.opens, self.ran, self.prints = opens, False, b""

    def create_window(self, *_: Any, **__: Any) -> bool:
        os.write(2, self.prints)
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
    fake.opens, fake.prints = True, b"[Open3D INFO] No display, falling back to EGL offscreen\n"
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


def components(lines: Any) -> int:
    """In how many parts, side by side with a gap of at least 0.1, the lines fall."""
    places = np.asarray(lines.points) @ directions()[0]
    spans = np.sort(places[np.asarray(lines.lines)], axis=1)
    spans = spans[np.argsort(spans[:, 0])]
    reached = np.maximum.accumulate(spans[:, 1])
    return 1 + int((spans[1:, 0] - reached[:-1] > 0.1).sum())


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_is_written_at_a_box_crosses_no_other(number: int, fake: FakeWindow) -> None:
    axes = tuple(Quantity(f"a rather long name of an axis, {k}", "mm") for k in range(3))
    bare = cloud.make(torch.rand(9, 3), [9])
    samples = {f"a generator with a long name {'x' * 40}, {k}": bare for k in range(number)}
    viewer = windows.Viewer(samples, Schema(axes), 0)
    viewer.open()
    # The boxes and the colour bar.
    assert components(fake.shown[1]) == number + 1
