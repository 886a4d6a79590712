"""A window with events side by side, to turn with the mouse and to step through by key."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch_geometric.data import Batch

from pcgen import escaping
from pcgen.clouds import select
from pcgen.errors import MissingExtraError, PcgenError
from pcgen.grids import Calorimeter
from pcgen.schema import Schema
from pcgen.viewing.letters import colour_bar, letters
from pcgen.viewing.offscreen import geometries
from pcgen.viewing.panels import panels
from pcgen.viewing.profiles import are_showers, profiles
from pcgen.viewing.scene import Floats, Scene, frame_of, scene_of
from pcgen.viewing.shapes import (
    Lines,
    Mesh,
    arrays,
    balls,
    directions,
    labels,
    scaffold,
    stems,
    together,
    united,
    width_of,
)

_GAP, _SPACE = 1.7, 0.2
"""Least distance of the boxes from middle to middle, and of what is written at them."""
_BELOW, _WIDTH = 1.15, 2.2
"""From the middle of the boxes down to the profiles of showers, and their least width."""
_FORWARD, _BACK = (262, 267, ord(".")), (263, 266, ord(","))
"""Keys of the next and the previous event: arrows, page up and down, full stop and comma."""
_START = ord("R")
_OPENING, _MARGIN = 30.0, 1.1
"""Opening angle in degrees, and how much more is seen than what is drawn."""
_OPENING_STEP = 5.0
"""Degrees in Open3D's unit of opening angles."""
_SEEN = 100
"""The axes fit so many events from the first one shown on."""
HELP = (
    "keys: right and left arrow: next and previous event; R: view of the start; H: help; Q: close"
)


def has_display() -> bool:
    """Whether there is a screen that a window could be on."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def window(
    samples: Mapping[str, Batch],
    schema: Schema,
    *,
    event: int = 0,
    calorimeter: Calorimeter | None = None,
) -> None:
    """Show events side by side in an Open3D window until it is closed.

    The arrow keys go to the next and the previous event; title and number of points of the event
    stand above each box. Below showers are their profiles, as in :func:`~pcgen.viewing.picture`.

    Args:
        samples: Clouds by the name of their origin, ``{"real": ..., "generated": ...}``.
        schema: What the numbers mean.
        event: First event to show.
        calorimeter: Its layers are drawn faintly, and are the bins of the profile in depth.

    Raises:
        ArgumentError: a sample has no such event, or has not the axes of the schema.
        MissingExtraError: Open3D cannot be imported.
        PcgenError: there is no display, or no window can be opened on it.
    """
    if not has_display():
        # Open3D would open a window that nobody sees and nothing closes.
        raise PcgenError(
            "window: got no display (DISPLAY is not set), expected one; viewing.picture makes a "
            "picture and viewing.page a page without it"
        )
    viewer = Viewer(samples, schema, event, calorimeter)
    viewer.open()
    print(HELP)
    viewer.drawer.run()
    viewer.drawer.destroy_window()


class Viewer:
    """The window and which event it shows.

    Args:
        samples: Clouds by the name of their origin.
        schema: What the numbers mean.
        event: First event to show.
        calorimeter: Its layers are drawn faintly; None: there are none.
    """

    def __init__(
        self,
        samples: Mapping[str, Batch],
        schema: Schema,
        event: int,
        calorimeter: Calorimeter | None = None,
    ) -> None:
        self.samples, self.schema, self.event = samples, schema, event
        self.number = min(batch.num_graphs for batch in samples.values())
        seen = range(event, min(event + _SEEN, self.number)) or [event]
        self.frame = frame_of(samples, schema, seen, calorimeter)
        self.calorimeter = calorimeter
        self.whole = (
            profiles(samples, schema, self.frame, event, calorimeter)
            if are_showers(schema, samples)
            else []
        )
        self.size = (min(700 * len(samples), 1600), 900 if self.whole else 800)
        self.zoom = 1.0
        self.open3d = _open3d()
        self.drawer = self.open3d.visualization.VisualizerWithKeyCallback()

    def open(self, *, visible: bool = True) -> None:
        """Make the window with the first event in it.

        Raises:
            PcgenError: no window can be opened.
        """
        title = "pcgen: " + " | ".join(self.samples)
        with _overheard() as printed:
            opened = self.drawer.create_window(title, *self.size, visible=visible)
            options = self.drawer.get_render_option()
        # Where Open3D finds no display it draws unseen instead, and only prints a line.
        unseen = visible and any("offscreen" in line for line in printed)
        if not opened or options is None or unseen:
            raise PcgenError("window: Open3D cannot open one here, expected a display with OpenGL")
        options.light_on, options.line_width = False, 1.0
        options.background_color = np.ones(3)
        options.mesh_shade_option = self.open3d.visualization.MeshShadeOption.Color
        self.draw(reset=True)
        self.look()
        self.drawer.register_key_callback(_START, lambda _: self.look())
        for keys, step in ((_FORWARD, 1), (_BACK, -1)):
            for key in keys:
                self.drawer.register_key_callback(key, lambda _, step=step: self.step(step))

    def look(self) -> bool:
        """Take the view of the start."""
        _, down, ahead = directions()
        self.drawer.reset_view_point(True)
        control = self.drawer.get_view_control()
        control.change_field_of_view((_OPENING - control.get_field_of_view()) / _OPENING_STEP)
        control.set_front(-ahead)
        control.set_up(-down)
        control.set_zoom(self.zoom)
        return True

    def step(self, number: int) -> bool:
        """Go ``number`` events on, round and round."""
        self.event = (self.event + number) % self.number
        self.draw()
        return True

    def draw(self, *, reset: bool = False) -> None:
        """Put the event into the window, with the view of the start where ``reset``."""
        right, down, _ = directions()
        boxes = [
            self._box(scene_of(name, batch, self.schema, self.frame, self.event))
            for name, batch in self.samples.items()
        ]
        # As far apart as their names and numbers reach.
        reach = np.concatenate([written.ends @ right for _, written in boxes])
        gap = max(float(np.ptp(reach)) + _SPACE, _GAP)
        meshes, lines = [], []
        for place, (mesh, written) in enumerate(boxes):
            offset = place * gap * right
            meshes.append(Mesh(mesh.vertices + offset, mesh.triangles, mesh.colours))
            lines.append(Lines(written.ends + offset, written.pairs, written.colours))
        middle = self.frame.size / 2
        side = (len(boxes) - 1) * gap + float(reach.max() - middle @ right)
        half = max(width_of(escaping.label(self.frame.shade)) / 2, 0.05)
        bar, marks = colour_bar(self.frame, middle + (side + _SPACE + half) * right)
        note = letters(self.frame.note, middle + 0.95 * down - 0.7 * right, side="left")
        corner = middle + float(reach.min() - middle @ right) * right + _BELOW * down
        curves = self._profiles(corner, max(float(np.ptp(reach)) + (len(boxes) - 1) * gap, _WIDTH))
        mesh, line = united([*meshes, bar]), together([*lines, marks, note, *curves])
        self.drawer.clear_geometries()
        if reset:
            self.zoom = _zoom(np.concatenate([mesh.vertices, line.ends]), self.size)
        for geometry in geometries(self.open3d, arrays(mesh, line, 0), 0):
            self.drawer.add_geometry(geometry, reset_bounding_box=reset)

    def _profiles(self, corner: Floats, width: float) -> list[Lines]:
        """Those of the event, and of all, of showers; ``corner`` is the upper left one."""
        if not self.whole or self.schema.weight is None:
            return []
        one = {name: select(batch, [self.event]) for name, batch in self.samples.items()}
        found = profiles(one, self.schema, self.frame, 0, self.calorimeter)
        both = [
            dataclasses.replace(mine, mean=every.mean)
            for mine, every in zip(found, self.whole, strict=True)
        ]
        return [panels(both, self.schema.weight, corner, width)]

    def _box(self, scene: Scene) -> tuple[Mesh, Lines]:
        frame = self.frame
        parts = [scaffold(frame), *([stems(scene)] if frame.lift else [])]
        for label in labels(frame):
            parts.append(letters(label.text, label.point, side=label.side, upright=label.upright))
        above = frame.size * [0.5, 0.5, 1.0] + [0.0, 0.0, 0.33]
        return balls(scene), together([*parts, letters(scene.title, above, height=0.055)])


def _zoom(points: Floats, size: tuple[int, int]) -> float:
    """Open3D's zoom at which all points [n, 3] are seen in a window of so many pixels.

    It is half the height that is seen at the middle of the points' box, in longest sides of it.
    """
    right, down, ahead = directions()
    low, high = points.min(0), points.max(0)
    away = points - (low + high) / 2
    half = np.maximum(np.abs(away @ down), np.abs(away @ right) * size[1] / size[0])
    # Nearer than the middle it looks larger.
    needed = float((half - away @ ahead * np.tan(np.radians(_OPENING / 2))).max())
    return _MARGIN * needed / float((high - low).max())


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Inside, what libraries in C++ print is kept; its lines are in the list afterwards."""
    lines: list[str] = []
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile() as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            yield lines
        finally:
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines()


def _open3d() -> Any:
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise MissingExtraError(
            f"open3d is needed for a window and cannot be imported ({error}): install it and its "
            "system libraries, or write a picture or a page"
        ) from error
    return open3d
