"""A picture of events side by side: rendered by Open3D, labelled by matplotlib."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy.typing import NDArray
from torch_geometric.data import Batch

from pcgen import escaping
from pcgen.escaping import mathtext
from pcgen.grids import Calorimeter
from pcgen.schema import Schema
from pcgen.viewing import offscreen
from pcgen.viewing.profiles import Profile, are_showers, hues, profiles
from pcgen.viewing.scene import COLOURS, Frame, Scene, frame_of, scene_of
from pcgen.viewing.shapes import (
    VIEW,
    Camera,
    arrays,
    balls,
    labels,
    scaffold,
    stems,
    together,
    width_of,
)

log = logging.getLogger(__name__)

_WIDTH, _HEIGHT = 1000, 800
_FINER = 2
"""Pictures are rendered so many times finer and averaged, which smooths the edges."""
_PATIENCE = 180.0
_PANEL, _TITLE = 5.6, 13
"""Width of a panel in inches, and size of the names of its axes in points."""
_PADS = (4.0, 4.0, 16.0)
"""Of the names of the axes from their numbers where matplotlib draws, in points."""
_PROFILES = 3.2
"""Height of the profiles of showers in inches."""
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def picture(
    samples: Mapping[str, Batch],
    schema: Schema,
    *,
    event: int = 0,
    calorimeter: Calorimeter | None = None,
    open3d: bool = True,
) -> Figure:
    """One event of each sample, side by side in the same box, with axes, units and colour bar.

    Below showers (three lengths, in layers) are their profiles along the depth and away from the
    axis: of the event, and dashed the mean of all events of the sample.

    Args:
        samples: Clouds by the name of their origin, ``{"real": ..., "generated": ...}``.
        schema: What the numbers mean.
        event: Which event of each sample.
        calorimeter: Its layers are drawn faintly, and are the bins of the profile in depth.
        open3d: Draw with Open3D, without a display too; with matplotlib where False, or where no
            rendering context can be had (then a warning is logged).

    Raises:
        ArgumentError: a sample has no such event, or has not the axes of the schema.
    """
    frame = frame_of(samples, schema, [event], calorimeter)
    scenes = [scene_of(name, batch, schema, frame, event) for name, batch in samples.items()]
    camera = Camera.towards(frame, _WIDTH, _HEIGHT)
    below = _PROFILES if are_showers(schema, samples) else 0.0
    figure, panels, bar = _layout(len(scenes), _overhang(frame, camera), below)
    pixels = render(scenes, frame, camera) if open3d else None
    for number, scene in enumerate(scenes):
        if pixels is None:
            _draw(figure.add_subplot(panels[number], projection="3d"), scene, frame)
        else:
            _show(figure.add_subplot(panels[number]), pixels[number], scene, frame, camera)
    scale = ScalarMappable(frame.scale, COLOURS)
    figure.colorbar(scale, cax=bar).set_label(escaping.label(frame.shade), fontsize=13)
    figure.text(0.01, 0.015, frame.note, fontsize=9, color="0.35")
    if below:
        _draw_profiles(figure, profiles(samples, schema, frame, event, calorimeter), schema)
    return figure


def _draw_profiles(figure: Figure, found: Sequence[Profile], schema: Schema) -> None:
    """Two panels at the bottom of the figure."""
    width, height = figure.get_size_inches()
    grid = figure.add_gridspec(
        1,
        len(found),
        left=0.8 / width,
        right=1 - 0.3 / width,
        bottom=0.85 / height,
        top=(_PROFILES - 0.1) / height,
        wspace=0.25,
    )
    for place, profile in enumerate(found):
        axes = figure.add_subplot(grid[place])
        for colour, name in zip(hues(len(profile.event)), profile.event, strict=True):
            axes.stairs(profile.event[name], profile.edges, color=colour, label=mathtext(name))
            axes.stairs(profile.mean[name], profile.edges, color=colour, linestyle="--")
        axes.set_xlabel(escaping.label(profile.axis))
        axes.set_ylabel(escaping.label(schema.weight) if schema.weight else "")
        if place and profile.decades:
            axes.set_yscale("log")  # energies fall by decades along the radius
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].legend(frameon=False, title="dashed: mean of all", fontsize=9)


def _overhang(frame: Frame, camera: Camera) -> tuple[float, float]:
    """Inches by which the names of axes reach beyond the left and the right side of a panel."""
    left, right = [0.0], [0.0]
    for label in labels(frame):
        if label.title and not label.upright:
            place = float(camera.project(label.point[None])[0, 0]) / camera.width * _PANEL
            length = width_of(label.text, _TITLE) / 72 + 0.15
            if label.side == "right":
                left.append(length - place)
            else:
                right.append(place + length - _PANEL)
    return max(left), max(right)


def _layout(
    number: int, overhangs: tuple[float, float], below: float
) -> tuple[Figure, list[SubplotSpec], Axes]:
    """A figure with places for ``number`` panels, at most three in a row, and for a colour bar.

    ``overhangs`` inches on the left and the right of each panel, and ``below`` at the bottom, stay
    free.
    """
    columns = number if number <= 3 else math.ceil(math.sqrt(number))
    left, overhang = overhangs[0], sum(overhangs)
    rows, side = math.ceil(number / columns), 1.4 + overhangs[1]
    width, height = (_PANEL + overhang) * columns + 1.4, 5.1 * rows + 0.3 + below
    figure = Figure(figsize=(width, height), facecolor="white")
    right = 1 - side / width
    panels = figure.add_gridspec(
        rows,
        columns,
        left=left / width,
        right=right,
        bottom=(below + 0.27) / height,
        top=1 - 0.54 / height,
        wspace=0.02 + overhang / _PANEL,
        hspace=0.12,
    )
    bar = figure.add_axes(
        (1 - 1.15 / width, 0.5 + (below / 2 - 1.9) / height, 0.2 / width, 3.5 / height)
    )
    return figure, [panels[place] for place in range(number)], bar


def render(scenes: Sequence[Scene], frame: Frame, camera: Camera) -> NDArray[np.uint8] | None:
    """Pictures [K, height, width, 3] of scenes by Open3D, or None where it cannot draw.

    It runs in another process: first without a display, as the software renderer needs none, then
    with the one there is.
    """
    hidden = {key: value for key, value in os.environ.items() if key not in _DISPLAYS}
    shown = any(os.environ.get(key) for key in _DISPLAYS)
    reason = ""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "scenes.npz", Path(folder) / "pixels.npy"
        np.savez(source, **pack(scenes, frame, camera))
        for environment in (hidden, dict(os.environ)) if shown else (hidden,):
            reason = _run([sys.executable, offscreen.__file__, source, target], environment)
            if not reason:
                fine = np.load(target).astype(np.uint16)
                size = (len(scenes), camera.height, _FINER, camera.width, _FINER, 3)
                coarse: NDArray[np.uint8] = (fine.reshape(size).mean((2, 4))).astype(np.uint8)
                return coarse
    log.warning("Open3D cannot draw here (%s): matplotlib draws instead", reason)
    return None


def _run(command: Sequence[str | Path], environment: Mapping[str, str]) -> str:
    """Why the command failed; empty where it did not."""
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    last = done.stderr.strip().splitlines() or [""]
    return f"status {done.returncode}: {last[-1]}"


def pack(scenes: Sequence[Scene], frame: Frame, camera: Camera) -> dict[str, Any]:
    """The scenes as :func:`pcgen.viewing.offscreen.render` takes them, finer than ``camera``."""
    # Pixels are points here: halving their size moves their centres by half a pixel.
    finer = np.array([[_FINER, 0, (_FINER - 1) / 2], [0, _FINER, (_FINER - 1) / 2], [0, 0, 1]])
    packed: dict[str, Any] = {
        "number": len(scenes),
        "shape": (_FINER * camera.height, _FINER * camera.width),
        "intrinsic": finer @ camera.intrinsic,
        "extrinsic": camera.extrinsic,
    }
    for number, scene in enumerate(scenes):
        parts = [scaffold(frame), *([stems(scene)] if frame.lift else [])]
        packed |= arrays(balls(scene), together(parts), number)
    return packed


def _show(
    axes: Axes, pixels: NDArray[np.uint8], scene: Scene, frame: Frame, camera: Camera
) -> None:
    """The rendered picture with ticks and titles where the camera sees them."""
    axes.imshow(pixels)
    axes.set_axis_off()
    axes.set_title(scene.title, fontsize=12)
    written = labels(frame)
    places = camera.project(np.stack([label.point for label in written]))
    for (right, down), label in zip(places, written, strict=True):
        style: dict[str, Any] = {"fontsize": _TITLE} if label.title else {"color": "0.25"}
        turn = 90 if label.upright else 0
        axes.text(right, down, label.text, ha=label.side, va="center", rotation=turn, **style)


def _draw(axes: Any, scene: Scene, frame: Frame) -> None:
    """The same scene by matplotlib alone."""
    x, y, z = scene.points.T
    if frame.lift:
        for point in scene.points:
            axes.plot([point[0]] * 2, [point[1]] * 2, [0, point[2]], color="0.7", linewidth=0.7)
    # A box of length 1 is about 300 points of typography long in a panel.
    for rim in map(frame.place, frame.rims):
        axes.plot(*rim.T, color="0.85", linewidth=0.5)
    axes.scatter(x, y, z, s=(2 * 300 * scene.radii) ** 2, c=scene.colours, depthshade=False)
    # A copy, as matplotlib scales what it is given; smaller, or labels would be cut off.
    axes.set_box_aspect(tuple(frame.size.tolist()), zoom=0.85)
    axes.view_init(*VIEW)
    axes.set_title(scene.title, fontsize=12)
    for k, name in enumerate("xyz"):
        span, low = frame.high[k] - frame.low[k], frame.low[k]
        places = [(place - low) / span * frame.size[k] for place, _ in frame.ticks[k]]
        getattr(axes, f"set_{name}lim")(0, frame.size[k])
        getattr(axes, f"set_{name}ticks")(places, [text for _, text in frame.ticks[k]])
        getattr(axes, f"set_{name}label")(escaping.label(frame.axes[k]), labelpad=_PADS[k])
