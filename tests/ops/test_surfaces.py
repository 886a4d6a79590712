"""Points on a surface: uniform in area, on the surface, and what has none is refused."""

from __future__ import annotations

import math

import pytest
import torch

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.surfaces import in_unit_box, sample_surface, triangle_areas

SQUARES = torch.tensor(
    [[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 5], [2, 0, 5], [0, 2, 5]],
    dtype=torch.float64,
)
FACES = torch.tensor([[3, 3, 0], [0, 1, 2], [0, 2, 3], [4, 5, 6]])
"""A triangle without area, a square of area 1 and a triangle of area 2."""


def draw(number: int, seed: int = 0) -> torch.Tensor:
    return sample_surface(SQUARES, FACES, number, torch.Generator().manual_seed(seed))


def test_areas_are_those_of_the_triangles() -> None:
    assert triangle_areas(SQUARES, FACES).tolist() == pytest.approx([0, 0.5, 0.5, 2])


def test_points_are_uniform_in_area() -> None:
    """Counts in 25 cells of the square are Poisson, and a third of all points is on it."""
    points = draw(60_000)
    square = points[points[:, 2] == 0]
    assert len(square) == pytest.approx(20_000, abs=5 * math.sqrt(60_000 * 2 / 9))
    cell = (5 * square[:, :2]).long().clamp(max=4) @ torch.tensor([5, 1])
    counts = torch.bincount(cell, minlength=25).double()
    chi2 = float(((counts - len(square) / 25).square() / (len(square) / 25)).sum())
    assert chi2 < 24 + 5 * math.sqrt(48)
    triangle = points[points[:, 2] == 5, :2]
    assert bool((triangle.sum(1) <= 2 + 1e-12).all())
    # The centroid, whose standard error is that of one coordinate, 0.47 / sqrt(n).
    assert triangle.mean(0).tolist() == pytest.approx([2 / 3] * 2, abs=5 * 0.48 / 200)


def test_one_seed_is_one_sample() -> None:
    assert torch.equal(draw(10), draw(10))
    assert not torch.equal(draw(10), draw(10, 1))
    assert draw(0).shape == (0, 3)
    assert sample_surface(SQUARES.float(), FACES, 3).dtype == torch.float32


def test_the_box_has_a_diagonal_of_one_and_is_centred() -> None:
    inside = in_unit_box(SQUARES * 7 + 100, FACES)
    low, high = inside.amin(0), inside.amax(0)
    torch.testing.assert_close(low, -high)
    assert float((high - low).norm()) == pytest.approx(1)
    assert float(inside.norm(dim=1).max()) <= 0.5 + 1e-12
    # A vertex of no triangle does not count.
    far = torch.cat([SQUARES, torch.full((1, 3), 1e9)])
    torch.testing.assert_close(in_unit_box(far, FACES)[:-1], in_unit_box(SQUARES, FACES))


def test_what_has_no_surface_is_refused() -> None:
    flat = torch.tensor([[0, 0, 1]])
    with pytest.raises(DataError, match="got 1 triangles of area 0, expected a surface"):
        sample_surface(SQUARES, flat, 3)
    with pytest.raises(DataError, match="got 0 triangles of area 0"):
        sample_surface(SQUARES, FACES[:0], 3)
    with pytest.raises(DataError, match="got no triangle"):
        in_unit_box(SQUARES, FACES[:0])
    with pytest.raises(DataError, match="an extension of 0"):
        in_unit_box(torch.ones(3, 3), torch.tensor([[0, 1, 2]]))
    with pytest.raises(DataError, match="of area inf"):
        sample_surface(SQUARES * 1e300, FACES, 3)
    with pytest.raises(ArgumentError, match="got vertices 0 to 7, expected numbers of the 7"):
        sample_surface(SQUARES, torch.tensor([[0, 1, 7]]), 3)
    with pytest.raises(ArgumentError, match=r"expected \[V, 3\] and \[T, 3\]"):
        triangle_areas(SQUARES[:, :2], FACES)
    with pytest.raises(ArgumentError, match="number: got -1"):
        sample_surface(SQUARES, FACES, -1)
