"""Measurements of images: adjoints, norms, and the sums that they are."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images.measurements import (
    Alive,
    Measurement,
    Mixed,
    Pooled,
    Profiles,
    pooled_grid,
    profiles_of_grid,
)

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


def of_shape(shape: tuple[int, ...], seed: int) -> list[Measurement]:
    """One of each kind."""
    draw = torch.Generator().manual_seed(seed)
    factors = tuple(torch.randint(1, 4, (len(shape),), generator=draw).tolist())
    alive = torch.rand(shape, generator=draw) > 0.4
    alive.view(-1)[0] = True
    mixed = Mixed(shape, torch.randn(3, math.prod(shape), generator=draw, dtype=torch.float64))
    axes = tuple(torch.randperm(len(shape), generator=draw).tolist()[: 1 + seed % len(shape)])
    return [Pooled(shape, factors), Alive(alive), Profiles(shape, axes), mixed]


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), number=st.integers(0, 3))
def test_adjoints_are_adjoint_and_norms_bound(shape, seed, number) -> None:
    draw = torch.Generator().manual_seed(seed)
    for each in of_shape(shape, seed):
        x = torch.randn(number, *shape, generator=draw, dtype=torch.float64)
        y = torch.randn(number, each.number, generator=draw, dtype=torch.float64)
        measured, back = each(x), each.adjoint(y)
        assert measured.shape == y.shape
        assert back.shape == x.shape
        torch.testing.assert_close((measured * y).flatten(1).sum(1), (x * back).flatten(1).sum(1))
        whole = each(torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape))
        largest = float(torch.linalg.matrix_norm(whole.T, 2))
        assert each.norm >= largest * (1 - 1e-6)
        if not isinstance(each, Profiles) or len(each.axes) == 1:
            assert each.norm == pytest.approx(largest, rel=1e-5)


def test_gradients_are_the_adjoint() -> None:
    for each in of_shape((3, 4), 5):
        x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
        y = torch.randn(2, each.number, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(each, x)
        assert torch.autograd.gradcheck(each.adjoint, y)


def test_pooled_is_average_pooling_times_its_cells() -> None:
    image = torch.rand(2, 6, 8)
    expected = 6 * F.avg_pool2d(image[:, None], (3, 2))
    torch.testing.assert_close(Pooled((6, 8), (3, 2))(image), expected.flatten(1))


def test_what_operators_measure() -> None:
    image = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    assert Alive(torch.tensor([[True, False], [True, True]]))(image).tolist() == [[1, 3, 4]]
    assert Profiles((2, 2), (1,))(image).tolist() == [[4, 6]]
    assert Profiles((3,), (0,))(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[1, 2, 3]]
    grid = Grid.parse("layers=a/b,x:0:1:2,y:0:1:3")
    assert profiles_of_grid(grid, ["layer", "y"]).axes == (0, 2)
    assert pooled_grid(grid, 2).factors == (1, 2, 2)
    one, same, other = (Mixed.random((2, 3), 4, seed=seed).matrix for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    many = Mixed.random((100,), 400).matrix
    assert float(many.square().sum(0).mean()) == pytest.approx(1, abs=0.02)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match=r"image: got \(1, 3\), expected \['B', 2\] as"):
        Pooled((2,), (1,))(torch.zeros(1, 3))
    with pytest.raises(ArgumentError, match=r"pooled: got blocks of \(0,\), expected a number"):
        Pooled((2,), (0,))
    with pytest.raises(ArgumentError, match="alive: got no cell that is, expected booleans"):
        Alive(torch.zeros(2, dtype=torch.bool))
    with pytest.raises(ArgumentError, match=r"alive: got torch\.float32, expected booleans"):
        Alive(torch.ones(2))
    with pytest.raises(ArgumentError, match=r"project: got the axes \(2,\), expected different"):
        Profiles((2, 2), (2,))
    with pytest.raises(ArgumentError, match=r"matrix: got \(2, 3\), expected \[m, 4\]"):
        Mixed((2, 2), torch.zeros(2, 3))
    with pytest.raises(ArgumentError, match="random: got 0 measurements, expected >= 1"):
        Mixed.random((2,), 0)
    with pytest.raises(ArgumentError, match="project: got 'eta', expected some of x, y"):
        profiles_of_grid(Grid.parse("x:0:1:2,y:0:1:3"), ["eta"])
