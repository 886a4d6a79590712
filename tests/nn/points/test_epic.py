"""EPiC layers against the formula written for one cloud at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen import clouds as pc
from pcgen.nn import EPiCLayer, weight_normed
from pcgen.nn.mlp import Linear


def formula(layer: EPiCLayer, x: Tensor, g: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """arXiv 2301.08128, eqs. (2) and (3), for one cloud: x [n, L], g [G], y [K]."""
    mean = x.mean(0) if len(x) else torch.zeros_like(x.sum(0))
    pooled = torch.cat([mean, layer.sum_scale * x.sum(0), g, y])
    g = F.leaky_relu(layer.global_out(F.leaky_relu(layer.global_in(pooled))) + g)
    beside = torch.cat([g, y]).expand(len(x), -1)
    hidden = F.leaky_relu(layer.point_in(torch.cat([x, beside], 1)))
    return F.leaky_relu(layer.point_out(hidden) + x), g


@pytest.mark.parametrize("linear", [nn.Linear, weight_normed])
@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.sampled_from([0, 2]))
def test_layer_is_the_formula(linear: Linear, sizes: list[int], conditions: int) -> None:
    torch.manual_seed(0)
    layer = EPiCLayer(7, 4, condition_channels=conditions, linear=linear, sum_scale=1.0).double()
    n, b = sum(sizes), len(sizes)
    x, g = torch.randn(n, 7).double(), torch.randn(b, 4).double()
    y = torch.randn(b, conditions).double()
    got_x, got_g = layer(x, g, pc.make(x, sizes), y if conditions else None)
    rows = zip(x.split(sizes), g, y, strict=True)
    each = [formula(layer, *row) for row in rows]
    torch.testing.assert_close(got_x, torch.cat([points for points, _ in each]))
    torch.testing.assert_close(got_g, torch.stack([vector for _, vector in each]))


def test_scale_of_the_sum_is_absorbed_by_the_weights() -> None:
    one = EPiCLayer(3, 2, sum_scale=1.0).double()
    other = EPiCLayer(3, 2, sum_scale=0.25).double()
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        other.global_in.weight[:, 3:6] *= 4
    x, g = torch.randn(5, 3).double(), torch.randn(2, 2).double()
    clouds = pc.make(x, [3, 2])
    torch.testing.assert_close(one(x, g, clouds), other(x, g, clouds))
