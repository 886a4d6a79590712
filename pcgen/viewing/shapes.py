"""Spheres, lines and a camera, in numpy: what Open3D is given to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from pcgen import escaping
from pcgen.viewing.scene import Floats, Frame, Scene

Integers = NDArray[np.int32]

VIEW = (22.0, -127.0)
"""Elevation and azimuth in degrees from which the box is seen."""
_LIGHT = np.array([-0.1, -0.75, 0.65])
DARK, _PALE, _STEM = (0.25, 0.25, 0.25), (0.87, 0.87, 0.87), (0.7, 0.7, 0.7)
LETTER = 0.045
"""Height of a line of text."""
_MEETING = 0.15
"""Numbers nearer to the corner of the first two axes go apart."""
_OPENING = 24.0
"""Vertical opening angle of the camera in degrees: narrow, so that far points are not small."""
_MARGIN = 0.05
"""Share of the picture that stays free on each side."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Coloured triangles: vertices [V, 3], triangles [T, 3], colours [V, 3]."""

    vertices: Floats
    triangles: Integers
    colours: Floats


@dataclass(frozen=True, eq=False)
class Lines:
    """Coloured lines: ends [E, 3], pairs of them [S, 2], colours [S, 3]."""

    ends: Floats
    pairs: Integers
    colours: Floats


@dataclass(frozen=True, eq=False)
class Label:
    """A text at a place [3] of the scene, which is the middle or a side of it."""

    point: Floats
    text: str
    side: str
    title: bool
    upright: bool = False


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    Attributes:
        width: Of the picture in pixels.
        height: Of the picture in pixels.
        intrinsic: Camera to pixels [3, 3].
        extrinsic: World to camera, which looks along z with y down [4, 4].
    """

    width: int
    height: int
    intrinsic: Floats
    extrinsic: Floats

    @classmethod
    def towards(cls, frame: Frame, width: int, height: int) -> Camera:
        """Look at the box from :data:`VIEW` so that it and its labels fill the picture."""
        rotation = directions()
        back = -rotation[2]
        focal = height / 2 / np.tan(np.radians(_OPENING / 2))
        middle = ((width - 1) / 2, (height - 1) / 2)
        intrinsic = np.array([[focal, 0.0, middle[0]], [0.0, focal, middle[1]], [0.0, 0.0, 1.0]])
        eye, corners = frame.size / 2 + 5 * back, _outline(frame)
        for _ in range(8):
            # Sideways to the middle of what is seen, then nearer or farther until it just fits.
            camera = cls(width, height, intrinsic, _extrinsic(rotation, eye))
            seen = camera.project(corners)
            low, high = seen.min(0), seen.max(0)
            depth = float((frame.size / 2 - eye) @ -back)
            shift = ((low + high) / 2 - middle) * depth / focal
            zoom = float(((high - low) / ((1 - 2 * _MARGIN) * np.array([width, height]))).max())
            eye = eye + shift @ rotation[:2] + depth * (zoom - 1) * back
        return camera

    def project(self, points: Floats) -> Floats:
        """Pixels (right, down) of points of the scene [n, 2]."""
        seen = points @ self.extrinsic[:3, :3].T + self.extrinsic[:3, 3]
        pixels = seen @ self.intrinsic.T
        flat: Floats = pixels[:, :2] / pixels[:, 2:]
        return flat


def directions() -> Floats:
    """What is right, down and ahead for who looks at the box from :data:`VIEW` [3, 3]."""
    elevation, azimuth = np.radians(VIEW)
    flat = np.cos(elevation)
    ahead = -np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(ahead, right), ahead])


def _extrinsic(rotation: Floats, eye: Floats) -> Floats:
    extrinsic = np.eye(4)
    extrinsic[:3, :3], extrinsic[:3, 3] = rotation, -rotation @ eye
    return extrinsic


def _outline(frame: Frame) -> Floats:
    """Corners of the box and places of the labels [n, 3]."""
    corners = np.array(list(product((0, 1), repeat=3))) * frame.size
    return np.concatenate([corners, np.stack([label.point for label in labels(frame)])])


def balls(scene: Scene) -> Mesh:
    """A sphere for each point, lit from above by colours mixed here.

    The renderer's own light follows the camera and changes colours beyond those of the colour bar.
    """
    number = len(scene.points)
    vertices, triangles = _sphere(2 if number <= 2000 else 1 if number <= 20000 else 0)
    light = _LIGHT / np.linalg.norm(_LIGHT)
    shade = 0.78 + 0.30 * vertices @ light
    gleam = 0.35 * np.clip(vertices @ light, 0, 1) ** 12
    corners = scene.points[:, None] + scene.radii[:, None, None] * vertices
    colours = scene.colours[:, None] * shade[:, None] + gleam[:, None]
    first = len(vertices) * np.arange(number)[:, None, None]
    return Mesh(
        corners.reshape(-1, 3),
        (first + triangles).reshape(-1, 3).astype(np.int32),
        np.clip(colours, 0, 1).reshape(-1, 3),
    )


def scaffold(frame: Frame) -> Lines:
    """Floor and back walls with a grid at the ticks, the ticks themselves, and rims of layers."""
    x, y, z = (float(length) for length in frame.size)
    tick, pale, dark = 0.02, [], []
    for axis, ticks in enumerate(frame.ticks):
        for place, _ in ticks:
            p = float((place - frame.low[axis]) / (frame.high - frame.low)[axis]) * frame.size[axis]
            line = [
                [(p, -tick, 0), (p, 0, 0), (p, y, 0), (p, y, z)],
                [(-tick, p, 0), (0, p, 0), (x, p, 0), (x, p, z)],
                [(-tick, y, p), (0, y, p), (x, y, p), (x, 0, p)],
            ][axis]
            dark.append(line[:2])
            pale += [line[1:3], line[2:]]
    floor = [(0, 0, 0), (x, 0, 0), (x, y, 0), (0, y, 0)]
    dark += [[floor[corner - 1], floor[corner]] for corner in range(4)]
    dark += [[(a, b, 0), (a, b, z)] for a, b, _ in floor[1:]]
    dark += [[(0, y, z), (x, y, z)], [(x, y, z), (x, 0, z)]]
    for rim in map(frame.place, frame.rims):
        pale += [list(pair) for pair in pairwise(rim)]
    ends = np.array([*pale, *dark], dtype=np.float64).reshape(-1, 3)
    pairs = np.arange(len(ends), dtype=np.int32).reshape(-1, 2)
    return Lines(ends, pairs, np.array([_PALE] * len(pale) + [DARK] * len(dark)))


def stems(scene: Scene) -> Lines:
    """From each point down to the floor, so that lifted points show where they stand."""
    floor = scene.points * [1.0, 1.0, 0.0]
    ends = np.stack([floor, scene.points], 1).reshape(-1, 3)
    pairs = np.arange(len(ends), dtype=np.int32).reshape(-1, 2)
    return Lines(ends, pairs, np.tile(_STEM, (len(pairs), 1)))


def united(meshes: Sequence[Mesh]) -> Mesh:
    """All triangles as one mesh."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    shifted = [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate(shifted).astype(np.int32),
        np.concatenate([mesh.colours for mesh in meshes]),
    )


def together(parts: Sequence[Lines]) -> Lines:
    """All lines as one."""
    starts = np.cumsum([0, *(len(part.ends) for part in parts)])
    pairs = [part.pairs + start for part, start in zip(parts, starts, strict=False)]
    return Lines(
        np.concatenate([part.ends for part in parts]),
        np.concatenate(pairs).astype(np.int32),
        np.concatenate([part.colours for part in parts]),
    )


def labels(frame: Frame) -> list[Label]:
    """All that is written around the box; no number lies on another one."""
    x, y, z = frame.size
    right = directions()[0]
    # The name of the third axis is left of its numbers, which are of any length.
    widest = max((width_of(text) for _, text in frame.ticks[2]), default=0.0)
    aside = 0.03 + (widest + 1.5 * LETTER) / abs(float(right[0]))
    titles = np.array([[x / 2, -0.17, 0.0], [-0.17, y / 2, 0.0], [-aside, y, z / 2]])
    sides = ("left", "right", "center")
    ticks = _apart([_numbers(frame, axis) for axis in range(3)])
    written = []
    for axis, numbers in enumerate(ticks):
        title = "" if frame.axes[axis].name == "nothing" else escaping.label(frame.axes[axis])
        written += numbers
        written.append(Label(titles[axis], title, sides[axis], title=True, upright=axis == 2))
    return written


def _numbers(frame: Frame, axis: int) -> list[Label]:
    """What is written at the ticks of an axis."""
    start = np.array([[0.0, -0.07, 0.0], [-0.07, 0.0, 0.0], [-0.03, frame.size[1], 0.0]])[axis]
    numbers = []
    for place, text in frame.ticks[axis]:
        point = start.copy()
        share = (place - frame.low[axis]) / (frame.high[axis] - frame.low[axis])
        point[axis] += share * frame.size[axis]
        # Where the first two axes meet, their numbers go apart.
        apart = ("left", "right")[axis] if axis < 2 and point[axis] < _MEETING else "center"
        numbers.append(Label(point, text, "right" if axis == 2 else apart, title=False))
    return numbers


def _apart(ticks: list[list[Label]]) -> list[list[Label]]:
    """The numbers without those that lie on another one: of their axis, or of one with fewer."""
    ticks = [_thinned(numbers) for numbers in ticks]
    for one, other in ((1, 2), (0, 1), (0, 2)):
        while clash := [(a, b) for a in ticks[one] for b in ticks[other] if _clash(a, b)]:
            more = one if len(ticks[one]) >= len(ticks[other]) else other
            ticks[more].remove(clash[0][more != one])
    return ticks


def _thinned(numbers: list[Label]) -> list[Label]:
    """Every second, fourth, ... number of a short axis, until none lies on the next one."""
    while any(_clash(a, b) for a, b in pairwise(numbers)):
        numbers = numbers[::2]
    return list(numbers)


def _clash(one: Label, other: Label) -> bool:
    (middle, size), (place, extent) = _box(one), _box(other)
    return bool(np.all(np.abs(middle - place) < (size + extent) / 2))


def _box(label: Label) -> tuple[Floats, Floats]:
    """Middle and size of a text, to the right and down."""
    size = np.array([width_of(label.text) + 0.01, LETTER])
    shift = {"left": 0.5, "center": 0.0, "right": -0.5}[label.side]
    return directions()[:2] @ label.point + [shift * size[0], 0.0], size


@cache
def width_of(text: str, height: float = LETTER) -> float:
    """Width of a line of text whose letters are so high."""
    return float(TextPath((0, 0), text, size=height).get_extents().x1) if text.strip() else 0.0


def arrays(mesh: Mesh, lines: Lines, number: int) -> dict[str, NDArray[Any]]:
    """Mesh and lines of scene ``number`` as :mod:`pcgen.viewing.offscreen` reads them."""
    return {
        f"vertices_{number}": mesh.vertices,
        f"triangles_{number}": mesh.triangles,
        f"colours_{number}": mesh.colours,
        f"ends_{number}": lines.ends,
        f"pairs_{number}": lines.pairs,
        f"line_colours_{number}": lines.colours,
    }


@cache
def _sphere(level: int) -> tuple[Floats, Integers]:
    """An octahedron whose sides are halved ``level + 1`` times, blown up to radius 1."""
    vertices = [(1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)]
    corners = np.array([*vertices, (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)])
    faces = np.array(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    )
    for _ in range(level + 1):
        sides = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        unique, place = np.unique(sides, axis=0, return_inverse=True)
        middle = corners[unique].sum(1)
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        a, b, c = (len(corners) + place.reshape(-1, 3)).T
        corners = np.concatenate([corners, middle])
        i, j, k = faces.T
        quarters = [[i, a, c], [a, j, b], [c, b, k], [a, b, c]]
        faces = np.concatenate([np.stack(quarter, 1) for quarter in quarters])
    return corners, faces.astype(np.int32)
