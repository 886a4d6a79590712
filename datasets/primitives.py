r"""Surfaces of geometric primitives: Open3D's meshes in random proportions, stretched and turned.

The substitute for ShapeNet that needs no download: each class has one or two proportions of its own
(the tube of a torus, the top of a prism), and every shape is mapped by

    A = R(φ) S H,      S = diag(exp(s_x), exp(s_y), exp(s_z)),      H = 1 + h

with s uniform in ±0.3, h a shear of the upper triangle, normal with a standard deviation of 0.1,
and R a rotation about z by a uniform angle (or any rotation, or none).

This is the one module in which data sets use Open3D.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcgen.errors import ArgumentError, MissingExtraError

Array = NDArray[Any]
Rotation = Literal["none", "upright", "any"]
REACH, SHEAR = 0.3, 0.1
"""Largest logarithm of a scale, and standard deviation of a shear."""


class Surface(NamedTuple):
    """A mesh.

    Attributes:
        vertices: Corners [V, 3] float64.
        triangles: Numbers [T, 3] int64 of the corners of each triangle.
    """

    vertices: Array
    triangles: Array


def _box(mesh: Any, random: np.random.Generator) -> Any:
    return mesh.create_box()


def _sphere(mesh: Any, random: np.random.Generator) -> Any:
    return mesh.create_sphere(radius=1.0, resolution=20)


def _cylinder(mesh: Any, random: np.random.Generator) -> Any:
    height = random.uniform(1.5, 3.5)
    return mesh.create_cylinder(radius=1.0, height=height, resolution=40, split=2)


def _cone(mesh: Any, random: np.random.Generator) -> Any:
    return mesh.create_cone(radius=1.0, height=random.uniform(1.5, 3.0), resolution=40, split=2)


def _torus(mesh: Any, random: np.random.Generator) -> Any:
    tube = random.uniform(0.15, 0.45)
    return mesh.create_torus(1.0, tube, radial_resolution=40, tubular_resolution=20)


def _mobius(mesh: Any, random: np.random.Generator) -> Any:
    return mesh.create_mobius(length_split=70, width_split=10, width=random.uniform(0.5, 1.0))


def _tetrahedron(mesh: Any, random: np.random.Generator) -> Any:
    return mesh.create_tetrahedron()


def _octahedron(mesh: Any, random: np.random.Generator) -> Any:
    return mesh.create_octahedron()


def _arrow(mesh: Any, random: np.random.Generator) -> Any:
    return mesh.create_arrow(
        cylinder_radius=random.uniform(0.4, 0.8),
        cone_radius=random.uniform(1.0, 1.6),
        cylinder_height=random.uniform(2.0, 4.0),
        cone_height=random.uniform(1.0, 2.0),
    )


PRIMITIVES: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "box": _box,
    "sphere": _sphere,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
    "mobius": _mobius,
    "tetrahedron": _tetrahedron,
    "octahedron": _octahedron,
    "arrow": _arrow,
}
"""Each class, and what makes its mesh in proportions of its own."""


def primitive(name: str, random: np.random.Generator, rotation: Rotation = "upright") -> Surface:
    """The surface of a random shape of a class.

    Args:
        name: Of the class, one of :data:`PRIMITIVES`.
        random: Source of proportions and of the map.
        rotation: About z ("upright"), any, or none.

    Raises:
        ArgumentError: an unknown class or rotation.
        MissingExtraError: Open3D cannot be imported.
    """
    if name not in PRIMITIVES:
        raise ArgumentError(f"classes: got {name!r}, expected some of {', '.join(PRIMITIVES)}")
    mesh = PRIMITIVES[name](_open3d().geometry.TriangleMesh, random)
    vertices = np.asarray(mesh.vertices, np.float64) @ _affine(random, rotation).T
    return Surface(vertices, np.asarray(mesh.triangles, np.int64))


def _affine(random: np.random.Generator, rotation: Rotation) -> Array:
    """A [3, 3]; as many random numbers whatever the rotation."""
    scale = np.diag(np.exp(random.uniform(-REACH, REACH, 3)))
    shear = np.eye(3)
    shear[np.triu_indices(3, 1)] = random.normal(0, SHEAR, 3)
    turn = random.normal(size=4)
    if rotation == "upright":
        turn[1:3] = 0.0
    elif rotation == "none":
        turn = np.array([1.0, 0.0, 0.0, 0.0])
    elif rotation != "any":
        raise ArgumentError(f"rotation: got {rotation!r}, expected none, upright or any")
    return _rotation(turn / np.linalg.norm(turn)) @ scale @ shear


def _rotation(quaternion: Array) -> Array:
    """The rotation [3, 3] of a unit quaternion (w, x, y, z); uniform where that is."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _open3d() -> Any:
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise MissingExtraError(
            f"open3d is needed for the meshes of primitives and cannot be imported ({error}): "
            "install it and its system libraries"
        ) from error
    return open3d
