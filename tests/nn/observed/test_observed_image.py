"""Images of which a part was not observed: made, mapped, joined, pooled and upsampled."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.nn import (
    Cellwise,
    ObservedImage,
    ObservedPool,
    ObservedUpsample,
    SparsityInvariantConv,
    concat_channels,
)

SHAPES = {1: (6,), 2: (6, 4), 3: (4, 2, 4)}
every_dimension = pytest.mark.parametrize("dimensions", SHAPES)
POOLS = {1: (F.max_pool1d, F.avg_pool1d), 2: (F.max_pool2d, F.avg_pool2d)}
POOLS[3] = (F.max_pool3d, F.avg_pool3d)


def case(dimensions: int) -> tuple[torch.Tensor, torch.Tensor]:
    shape = SHAPES[dimensions]
    return torch.randn(2, 3, *shape), torch.rand(2, *shape) < 0.3


@every_dimension
def test_maps_may_be_of_a_detector_an_event_or_a_channel(dimensions) -> None:
    x, observed = case(dimensions)
    every = ObservedImage.from_dense(x)
    assert (every.observed == 1).all()
    detector = ObservedImage.from_dense(x, observed[0])
    event = ObservedImage.from_dense(x, observed[:1].expand_as(observed))
    channel = ObservedImage.from_dense(x, observed[:1, None].expand_as(x))
    assert torch.equal(detector.observed, event.observed)
    assert torch.equal(detector.known, channel.known)
    assert torch.equal(detector.known, x * observed[0])


@every_dimension
@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_pooling_sees_what_is_observed_alone(dimensions, reduce) -> None:
    x, observed = case(dimensions)
    pool = ObservedPool(2, reduce)
    plain = POOLS[dimensions][reduce == "mean"]
    full = pool(ObservedImage.from_dense(x))
    torch.testing.assert_close(full.x, plain(x, 2))
    y = pool(ObservedImage.from_dense(torch.where(observed[:, None], x, math.nan), observed))
    assert torch.equal(y.observed, POOLS[dimensions][0](observed[:, None].float(), 2))
    cells = x
    for axis in range(dimensions):
        cells = cells.unfold(2 + axis, 2, 2)
    seen = observed[:, None]
    for axis in range(dimensions):
        seen = seen.unfold(2 + axis, 2, 2)
    for place in torch.cartesian_prod(*map(torch.arange, y.x.shape)).tolist():
        values = cells[tuple(place)][seen[place[0], 0][tuple(place[2:])]]
        expected = values.new_zeros(()) if not len(values) else getattr(values, reduce)()
        torch.testing.assert_close(y.x[tuple(place)], expected)


@every_dimension
def test_upsampling_repeats_and_pooling_takes_it_back(dimensions) -> None:
    x, observed = case(dimensions)
    image = ObservedImage.from_dense(x, observed)
    large = ObservedUpsample(2)(image)
    assert large.x.shape[2:] == tuple(2 * n for n in SHAPES[dimensions])
    for reduce in ("max", "mean"):
        back = ObservedPool(2, reduce)(large)
        torch.testing.assert_close(back.x, image.known)
        assert torch.equal(back.observed, image.observed)


def test_maps_of_a_network_are_a_pyramid() -> None:
    observed = torch.zeros(8, 8).bool()
    observed[5, 2] = True
    layers = [SparsityInvariantConv(2, 1, 1, 3, stride=2, padding=1) for _ in range(3)]
    image = ObservedImage.from_dense(torch.randn(1, 1, 8, 8), observed)
    seen = []
    for layer in layers:
        image = Cellwise(nn.ReLU())(layer(image))
        seen.append(image.observed[0, 0].nonzero().tolist())
    # Windows of 2 o - 1 to 2 o + 1, on 4, 2 and 1 cells along each axis.
    assert seen == [[[2, 1], [3, 1]], [[1, 0], [1, 1]], [[0, 0]]]


def test_skip_connections_keep_their_maps() -> None:
    x, observed = case(2)
    one, other = ObservedImage.from_dense(x, observed), ObservedImage.from_dense(x[:, :1])
    both = concat_channels([one, other])
    assert torch.equal(both.known, torch.cat([one.known, other.known], 1))
    assert both.observed.shape == (2, 4, 6, 4)


def test_what_treats_cells_alone_leaves_the_map() -> None:
    x, observed = case(2)
    image = ObservedImage.from_dense(x, observed)
    y = Cellwise(nn.Conv2d(3, 5, 1))(image)
    assert y.x.shape[1] == 5
    assert torch.equal(y.observed, image.observed)
    apart = ObservedImage.from_dense(x, observed[:, None].expand_as(x))
    assert torch.equal(Cellwise(nn.ReLU())(apart).x, x.relu())
    with pytest.raises(ArgumentError, match="function: got 5 channels, expected 3 as of observed"):
        Cellwise(nn.Conv2d(3, 5, 1))(apart)


def test_refuses_what_does_not_fit() -> None:
    x = torch.zeros(2, 3, 4)
    with pytest.raises(ArgumentError, match=r"observed: got \(2, 1, 5\), expected \(2, 1, 4\) or"):
        ObservedImage.from_dense(x, torch.ones(5).bool())
    with pytest.raises(ArgumentError, match="observed: got numbers outside 0 to 1"):
        ObservedImage.from_dense(x, torch.full((4,), 2.0))
    with pytest.raises(ArgumentError, match="reduce: got 'sum', expected 'max' or 'mean'"):
        ObservedPool(2, "sum")
