"""Cells that sum, average or compare weights: half precision, and gradients at ties."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pcgen import clouds as cloud
from pcgen.grids import Calorimeter, Grid
from pcgen.images import cloud_to_image, cloud_to_shower, overflow, shower_overflow, snap, splat


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_added_in_single(dtype: torch.dtype) -> None:
    """In half precision a sum of ones would stop at 2048 or 256."""
    grid = Grid.regular({"x": (0, 1, 2)})
    clouds = cloud.make(
        torch.full((6000, 1), 0.75, dtype=dtype), [6000], weight=torch.ones(6000, dtype=dtype)
    )
    expected = torch.tensor(6000.0).to(dtype)
    for image in (
        cloud_to_image(clouds, grid),
        cloud_to_image(clouds, grid, reduce="count"),
        splat(clouds, grid),
        snap(clouds, grid).weight,
        cloud.total(clouds),
        overflow(cloud.replace(clouds, pos=clouds.pos + 1), grid).weight,
    ):
        assert image.dtype == dtype
        assert image.flatten()[-1] == expected
    assert cloud_to_image(clouds, grid, reduce="mean")[0, 1] == 1


def test_points_without_weight_share_one_in_half_precision() -> None:
    """1/70000 is a float16, 70000 is none."""
    clouds = cloud.make(torch.zeros(70000, 1, dtype=torch.float16), [70000])
    assert (cloud.weights(clouds) > 0).all()


@pytest.mark.parametrize("level", [0.0, 2.0])
@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_each_filled_cell_passes_a_gradient_of_one(reduce: Any, level: float) -> None:
    weight = torch.full((4,), level, requires_grad=True)
    clouds = cloud.make(torch.tensor([[0.9], [0.2], [0.1], [0.9]]), [4], weight=weight)
    cloud_to_image(clouds, Grid.regular({"x": (0, 1, 4)}), reduce=reduce).sum().backward()
    assert weight.grad is not None
    expected = {"max": [1.0, 1.0, 0.0, 0.0], "mean": [0.5] * 4}[reduce]
    assert weight.grad.tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_energies_of_showers_are_added_in_single(dtype: torch.dtype) -> None:
    calorimeter = Calorimeter.planar([(0, 1)], [(0, 1)])
    clouds = cloud.make(
        torch.full((6000, 3), 0.5, dtype=dtype), [6000], weight=torch.ones(6000, dtype=dtype)
    )
    expected = torch.tensor(6000.0).to(dtype)
    assert cloud_to_shower(clouds, calorimeter).item() == expected
    moved = cloud.replace(clouds, pos=clouds.pos + 2)
    assert shower_overflow(moved, calorimeter).weight.item() == expected
