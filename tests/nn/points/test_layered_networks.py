"""Networks of points in layers: symmetric in the points of a layer, blind to other events."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.nn import LayeredEncoder, LayeredField, LayerProfileField

LAYERS, EVENT, FURTHER = 4, 2, 3


def events(sizes: list[int], seed: int = 0) -> tuple[Batch, Tensor, Tensor]:
    """Standardised clouds in layers, times and conditions [B, 2 + 2 L + 3]."""
    random = torch.Generator().manual_seed(seed)
    number = sum(sizes)
    pos, x = torch.randn(2, number, 2, generator=random, dtype=torch.double)
    layer = torch.randint(LAYERS, (number,), generator=random)
    condition = torch.randn(
        len(sizes), EVENT + 2 * LAYERS + FURTHER, generator=random, dtype=torch.double
    )
    time = torch.rand(len(sizes), generator=random, dtype=torch.double)
    return cl.make(pos, sizes, x=x, layer=layer, y=condition), time, condition


def field() -> LayeredField:
    torch.manual_seed(1)
    channels = {"condition_channels": EVENT + 2 * LAYERS + FURTHER, "event_channels": EVENT}
    return LayeredField(4, LAYERS, hidden=8, layer_channels=6, depth=2, **channels).double()


def encoder() -> LayeredEncoder:
    torch.manual_seed(1)
    channels = {"condition_channels": EVENT + 2 * LAYERS + FURTHER, "event_channels": EVENT}
    return LayeredEncoder(4, 5, LAYERS, hidden=8, layer_channels=6, depth=2, **channels).double()


def permuted(clouds: Batch, order: Tensor) -> Batch:
    rows = {name: clouds[name][order] for name in ("pos", "x", "layer")}
    return cl.replace(clouds, **rows)


def test_permuting_points_permutes_velocities_and_leaves_codes() -> None:
    clouds, time, condition = events([5, 0, 9])
    order = torch.cat([torch.randperm(5), 5 + torch.randperm(9)])
    velocity = field()(clouds, time, condition)
    torch.testing.assert_close(field()(permuted(clouds, order), time, condition), velocity[order])
    torch.testing.assert_close(encoder()(permuted(clouds, order)), encoder()(clouds))


def test_events_do_not_see_each_other() -> None:
    clouds, time, condition = events([5, 3, 9])
    velocity, code = field()(clouds, time, condition), encoder()(clouds)
    for number, rows in enumerate((slice(0, 5), slice(5, 8), slice(8, 17))):
        one, each = cl.select(clouds, [number]), slice(number, number + 1)
        torch.testing.assert_close(field()(one, time[each], condition[each]), velocity[rows])
        torch.testing.assert_close(encoder()(one), code[each])


def test_the_layer_of_a_point_and_what_is_known_of_it_count() -> None:
    clouds, time, condition = events([6])
    velocity = field()(clouds, time, condition)
    other = cl.replace(clouds, layer=(clouds.layer + 1) % LAYERS)
    assert not torch.allclose(field()(other, time, condition), velocity)
    for column in (0, EVENT + int(clouds.layer[0]), EVENT + 2 * LAYERS):
        changed = condition.clone()
        changed[0, column] += 1.0
        assert not torch.allclose(field()(clouds, time, changed), velocity)


@pytest.mark.parametrize("make", [field, encoder])
def test_gradients_reach_all_parameters(make) -> None:
    clouds, time, condition = events([7, 4])
    network = make()
    inputs = (clouds, time, condition) if make is field else (clouds,)
    network(*inputs).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_clouds_without_layers_and_wrong_conditions_are_refused() -> None:
    clouds, time, condition = events([3])
    with pytest.raises(ArgumentError, match="layer: got clouds without it"):
        field()(cl.replace(clouds, layer=None), time, condition)
    with pytest.raises(ArgumentError, match="condition: got"):
        field()(clouds, time, condition[:, 1:])


def test_profiles_see_layers_beside_them_and_the_condition() -> None:
    torch.manual_seed(2)
    profile = LayerProfileField(9, condition_channels=1, hidden=8, depth=1).double()
    code, time = torch.randn(3, 19).double().requires_grad_(), torch.rand(3).double()
    condition = torch.randn(3, 1).double().requires_grad_()
    out = profile(code, time, condition)
    assert out.shape == code.shape
    gradient, of_condition = torch.autograd.grad(out[:, 4].sum(), (code, condition))
    assert (gradient[:, 2:7].abs() > 0).all()
    assert (gradient[:, 11:16].abs() > 0).all()
    assert (of_condition.abs() > 0).all()
    alone = profile(code[1:2], time[1:2], condition[1:2])
    torch.testing.assert_close(alone, out[1:2])
