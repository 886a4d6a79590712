"""Distances of dense clouds [B, N, D]: those of the same clouds as rows with a pointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pcgen import ops
from pcgen.errors import ArgumentError
from pcgen.ops import chamfer_distance

Distance = Callable[..., Tensor]


def transport(*clouds: Tensor, **options: Any) -> Tensor:
    return ops.earth_mover(*clouds, **options).cost


def lines(*clouds: Tensor, **options: Any) -> Tensor:
    return ops.sliced(*clouds, generator=torch.Generator().manual_seed(0), **options)


def soft(*clouds: Tensor, **options: Any) -> Tensor:
    return ops.sinkhorn_divergence(*clouds, epsilon=0.1, **options)


def shares(*clouds: Tensor, **options: Any) -> Tensor:
    return ops.f_score(*clouds, threshold=0.5, **options)


def density(*clouds: Tensor) -> Tensor:
    return ops.density_aware(*clouds, alpha=2.0)


WEIGHTED = [ops.chamfer, shares, transport, lines, soft, ops.energy_distance]
OTHERS = [density, chamfer_distance.achlioptas, chamfer_distance.pytorch3d, chamfer_distance.open3d]
EQUAL_SIZES = [ops.approxmatch, ops.msn]


def dense(n: int, m: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n + m)
    x = torch.randn(3, n, 2, dtype=torch.float64, generator=generator)
    return x, torch.randn(3, m, 2, dtype=torch.float64, generator=generator)


def rows(*sides: Tensor) -> list[Tensor]:
    """Rows of both sides, and their pointers."""
    pointers = [torch.arange(len(side) + 1) * side.shape[1] for side in sides]
    return [*(side.flatten(0, 1) for side in sides), *pointers]


@pytest.mark.parametrize("distance", WEIGHTED + OTHERS)
@pytest.mark.parametrize(("n", "m"), [(5, 5), (4, 7), (6, 1)])
def test_dense_clouds_are_rows_with_a_pointer(distance: Distance, n: int, m: int) -> None:
    x, y = dense(n, m)
    torch.testing.assert_close(distance(x, y), distance(*rows(x, y)), rtol=0, atol=0)


@pytest.mark.parametrize("distance", EQUAL_SIZES)
def test_dense_clouds_of_one_size(distance: Distance) -> None:
    x, y = dense(6, 6)
    assert torch.equal(distance(x, y), distance(*rows(x, y)))


@pytest.mark.parametrize("distance", WEIGHTED)
def test_dense_weights_and_gradients(distance: Distance) -> None:
    x, y = dense(4, 6)
    weight_x, weight_y = torch.rand(3, 4).double().softmax(1), torch.rand(3, 6).double().softmax(1)
    x.requires_grad_()
    got = distance(x, y, weight_x=weight_x, weight_y=weight_y)
    flat = distance(*rows(x, y), weight_x=weight_x.flatten(), weight_y=weight_y.flatten())
    assert torch.equal(got, flat)
    if got.requires_grad:
        one, other = (torch.autograd.grad(value.sum(), x)[0] for value in (got, flat))
        assert one.shape == x.shape
        assert torch.equal(one, other)


@pytest.mark.parametrize("distance", WEIGHTED + OTHERS)
def test_two_clouds_without_pointers_are_one_pair(distance: Distance) -> None:
    x, y = dense(5, 3)
    torch.testing.assert_close(distance(x[0], y[0]), distance(x, y)[:1], rtol=1e-9, atol=0)


def test_one_side_may_be_rows() -> None:
    x, y = dense(4, 6)
    flat = rows(y)
    assert torch.equal(ops.chamfer(x, flat[0], ptr_y=flat[1]), ops.chamfer(x, y))


def test_dense_clouds_without_points_are_empty() -> None:
    x, y = dense(4, 0)
    assert ops.chamfer(x, y, empty=2.0).tolist() == [2.0] * 3
    assert ops.chamfer(y, y).tolist() == [0.0] * 3


@pytest.mark.parametrize("distance", [ops.chamfer, transport])
def test_what_does_not_fit_is_named(distance: Distance) -> None:
    x, y = dense(4, 6)
    with pytest.raises(ArgumentError, match=r"x: got the shape \(2,\), expected rows"):
        distance(x[0, 0], y)
    with pytest.raises(ArgumentError, match=r"weight_y: got the shape \(6, 3\), expected \(3, 6\)"):
        distance(x, y, weight_y=torch.ones(6, 3).double())
    with pytest.raises(ArgumentError, match="expected equal dtypes, D and B"):
        distance(x, y[:2])
    with pytest.raises(ArgumentError, match=r"x: got torch.float64 \(3, 4, 2\)"):
        distance(x, y, torch.tensor([0, 12]))
