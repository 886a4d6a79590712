r"""Points on the surface of a mesh of triangles, uniform in area.

A triangle with corners a, b, c is drawn with a probability proportional to its area, and in it

    p = a + s (1 - t) (b - a) + s t (c - a),        s = sqrt(u),  u and t uniform in [0, 1),

which is uniform: the part of the triangle nearer to a than s is s² of its area (Osada et al.,
"Shape distributions", ACM Transactions on Graphics 21 (2002), section 3.1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.drawing import uniform


def triangle_areas(vertices: Tensor, triangles: Tensor) -> Tensor:
    """Areas [T] of triangles [T, 3], numbers of vertices [V, 3].

    Raises:
        ArgumentError: a shape does not fit, or a vertex is not there.
    """
    if vertices.dim() != 2 or vertices.shape[1] != 3 or triangles.shape[1:] != (3,):
        raise ArgumentError(
            f"vertices, triangles: got {list(vertices.shape)} and {list(triangles.shape)}, "
            "expected [V, 3] and [T, 3]"
        )
    if len(triangles) and not 0 <= int(triangles.min()) <= int(triangles.max()) < len(vertices):
        raise ArgumentError(
            f"triangles: got vertices {int(triangles.min())} to {int(triangles.max())}, "
            f"expected numbers of the {len(vertices)} that there are"
        )
    a, b, c = (vertices[column] for column in triangles.unbind(1))
    return 0.5 * torch.linalg.cross(b - a, c - a).norm(dim=1)


def sample_surface(
    vertices: Tensor, triangles: Tensor, number: int, generator: torch.Generator | None = None
) -> Tensor:
    """Points [number, 3] that are uniform on a surface.

    Args:
        vertices: Corners [V, 3], floats.
        triangles: Numbers [T, 3] of the corners of each triangle.
        number: Of points.
        generator: Source of all randomness.

    Raises:
        ArgumentError: a shape does not fit, a vertex is not there, or the number is negative.
        DataError: the surface has no area, or one that is not finite.

    >>> corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    >>> points = sample_surface(corners, torch.tensor([[0, 1, 2]]), 5)
    >>> points.shape, bool((points[:, :2].sum(1) <= 1).all()), bool((points[:, 2] == 0).all())
    (torch.Size([5, 3]), True, True)
    """
    if number < 0:
        raise ArgumentError(f"number: got {number}, expected 0 or more points")
    # A narrow triangle among millions must not vanish in a sum of floats.
    reached = triangle_areas(vertices.double(), triangles).cumsum(0)
    total = float(reached[-1]) if len(reached) else 0.0
    if not 0 < total < float("inf"):
        raise DataError(
            f"surface: got {len(triangles)} triangles of area {total:g}, expected a surface"
        )
    chosen, u, t = uniform((3, number), reached, generator)
    # The first triangle that reaches further: one without area reaches no further than the last.
    row = torch.searchsorted(reached, chosen * total, right=True).clamp(max=len(triangles) - 1)
    a, b, c = (vertices.double()[column] for column in triangles[row].unbind(1))
    s, t = u.sqrt()[:, None], t[:, None]
    return (a + s * (1 - t) * (b - a) + s * t * (c - a)).to(vertices)


def in_unit_box(vertices: Tensor, triangles: Tensor) -> Tensor:
    """Vertices [V, 3] moved and scaled so that the surface has a centred box of diagonal 1.

    The convention of ShapeNet: the surface then lies within the sphere of radius 1/2. Vertices that
    are corners of no triangle do not count.

    Raises:
        DataError: the surface has no extension, or one that is not finite.
    """
    used = vertices[triangles.flatten()].double()
    if not len(used):
        raise DataError("surface: got no triangle, expected some")
    low, high = used.amin(0), used.amax(0)
    diagonal = float((high - low).norm())
    if not 0 < diagonal < float("inf"):
        raise DataError(f"surface: got an extension of {diagonal:g}, expected a finite one")
    return ((vertices.double() - (low + high) / 2) / diagonal).to(vertices)
