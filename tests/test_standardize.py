"""Standardisation: hand-computed numbers, the round trip, periodic axes, and what it refuses."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.schema import Quantity, Schema
from pcgen.standardize import Standardize, channels

JETS = Schema(
    axes=(Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi)),
    weight=Quantity("pt", "GeV"),
    features=(Quantity("time", "ns"),),
    condition=(Quantity("jet_pt", "GeV"),),
    labels=("g", "q", "t"),
)
POINTS = Schema(axes=(Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "mm")))


def jets(sizes: list[int], seed: int = 0, dtype: torch.dtype = torch.float64) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    n, b = sum(sizes), len(sizes)
    pos = 0.3 * torch.randn(n, 2, generator=draw, dtype=dtype)
    return pc.make(
        pos,
        sizes,
        weight=torch.rand(n, generator=draw, dtype=dtype).pow(3) * 100,
        x=5 + 2 * torch.randn(n, 1, generator=draw, dtype=dtype),
        y=1000 + 50 * torch.randn(b, 1, generator=draw, dtype=dtype),
        label=torch.randint(3, (b,), generator=draw),
    )


sizes_lists = st.lists(st.integers(0, 7), min_size=1, max_size=6).filter(lambda s: sum(s) > 0)


@given(sizes_lists, st.integers(0, 1000), st.sampled_from([torch.float32, torch.float64]))
def test_inverse_undoes_forward(sizes: list[int], seed: int, dtype: torch.dtype) -> None:
    clouds = jets(sizes, seed, dtype)
    clouds.weight[torch.rand(len(clouds.weight)) < 0.2] = 0.0
    standardize = Standardize(JETS).fit(clouds)
    back = standardize.inverse(standardize(clouds), pc.total(clouds))
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {}
    for name in ("pos", "x", "weight"):
        torch.testing.assert_close(back[name], clouds[name], **tolerance)
    assert back.pos.dtype == dtype
    assert torch.equal(back.label, clouds.label)
    assert back.ptr.tolist() == clouds.ptr.tolist()
    assert back.get("y") is None


@given(sizes_lists, st.integers(0, 1000))
def test_fractions_come_back_from_their_logarithms(sizes: list[int], seed: int) -> None:
    clouds = jets(sizes, seed)
    standardize = Standardize(JETS).fit(clouds)
    seen = standardize(clouds)
    torch.testing.assert_close(standardize.fractions(seen.x, seen.ptr), seen.weight)
    without = pc.replace(seen, weight=None)
    back = standardize.inverse(without, pc.total(clouds))
    torch.testing.assert_close(back.weight, clouds.weight)


def test_numbers_by_hand() -> None:
    clouds = pc.make(
        torch.tensor([[0.0, 1.0], [4.0, -1.0], [2.0, 3.0]]),
        [2, 0, 1],
        weight=torch.tensor([1.0, 3.0, 5.0]),
        x=torch.tensor([[1.0], [1.0], [1.0]]),
        y=torch.tensor([[10.0], [20.0], [30.0]]),
        label=torch.tensor([2, 0, 1]),
    )
    standardize = Standardize(JETS).fit(clouds)
    seen = standardize(clouds)
    # eta: mean 2, variance 8/3; phi: not shifted, mean square 11/3; one common std for both.
    std = math.sqrt((8 / 3 + 11 / 3) / 2)
    expected = torch.tensor([[-2.0, 1.0], [2.0, -1.0], [0.0, 3.0]]) / std
    torch.testing.assert_close(seen.pos, expected)
    torch.testing.assert_close(seen.weight, torch.tensor([0.25, 0.75, 1.0]))
    logs = torch.tensor([0.25, 0.75, 1.0]).log()
    standard = (logs - logs.mean()) / logs.std(correction=0)
    # The feature is constant: shifted, not scaled.
    torch.testing.assert_close(seen.x, torch.stack([torch.zeros(3), standard], 1))
    n = torch.tensor([2.0, 0.0, 1.0]).log1p()
    y = torch.tensor([-1.0, 0.0, 1.0]) / math.sqrt(2 / 3)
    one_hot = torch.eye(3)[[2, 0, 1]]
    n = (n - n.mean()) / n.std(correction=0)
    torch.testing.assert_close(seen.y, torch.cat([y[:, None], one_hot, n[:, None]], 1))
    assert (standardize.point_features, standardize.condition_features) == (4, 5)
    assert torch.equal(channels(seen), torch.cat([seen.pos, seen.x], 1))


def test_each_axis_by_itself_on_request() -> None:
    clouds = pc.make(torch.randn(50, 3) * torch.tensor([1.0, 10.0, 100.0]) + 7, [50])
    seen = Standardize(POINTS, isotropic=False).fit(clouds)(clouds)
    torch.testing.assert_close(seen.pos.std(0, correction=0), torch.ones(3))
    isotropic = Standardize(POINTS).fit(clouds)(clouds)
    ratio = torch.pdist(isotropic.pos) / torch.pdist(clouds.pos)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert clouds.get("weight") is None
    assert isotropic.get("weight") is None
    assert isotropic.get("x") is None


@given(st.lists(st.integers(0, 6), min_size=3, max_size=8).filter(lambda s: sum(s) > 0))
def test_streaming_gives_what_the_whole_gives(sizes: list[int]) -> None:
    clouds = jets(sizes)
    whole = Standardize(JETS).fit(clouds)
    cut = len(sizes) // 2
    parts = (pc.select(clouds, slice(*ends)) for ends in ((0, 1), (1, cut), (cut, None)))
    streamed = Standardize(JETS).fit(parts)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(streamed.state_dict()[name], value, msg=name)


def test_statistics_survive_a_large_offset() -> None:
    pos = torch.randn(1000, 3, dtype=torch.float64)
    far = [pc.make(part + 1e8, [len(part)]) for part in pos.split(100)]
    standardize = Standardize(POINTS).fit(far)
    expected = pos.var(0, correction=0).mean().sqrt()
    torch.testing.assert_close(standardize.pos.std, expected.expand(3), rtol=1e-6, atol=0)


def test_columns_that_do_not_vary_are_not_scaled() -> None:
    clouds = [pc.make(torch.full((n, 3), 0.1), [n]) for n in (3, 5, 1)]
    standardize = Standardize(POINTS).fit(clouds)
    assert standardize.pos.std.tolist() == [1.0, 1.0, 1.0]
    torch.testing.assert_close(standardize(clouds[0]).pos, torch.zeros(3, 3))


def test_periodic_axis_is_wrapped_and_its_period_scaled() -> None:
    clouds = jets([5, 3])
    standardize = Standardize(JETS).fit(clouds)
    assert standardize.pos.mean[1] == 0
    seen = standardize(clouds)
    turn = torch.tensor([0.0, 4 * math.pi], dtype=torch.float64)
    turned = pc.replace(clouds, pos=clouds.pos + turn)
    torch.testing.assert_close(standardize(turned).pos, seen.pos)
    eta, phi = standardize.periods
    assert eta is None
    assert phi == pytest.approx(2 * math.pi / float(standardize.pos.std[1]))
    beyond = pc.replace(seen, pos=seen.pos + turn * phi / (4 * math.pi))
    torch.testing.assert_close(standardize.inverse(beyond, pc.total(clouds)).pos, clouds.pos)


def test_a_cloud_split_by_the_seam_is_fitted_as_a_compact_one() -> None:
    seam = pc.make(torch.tensor([[0.0, 3.1], [0.0, -3.1]], dtype=torch.float64), [2])
    schema = Schema(JETS.axes)
    wide = pc.replace(seam, pos=seam.pos + torch.tensor([0.0, 2 * math.pi]))
    one, other = Standardize(schema).fit(seam), Standardize(schema).fit(wide)
    torch.testing.assert_close(one.pos.std, other.pos.std)


def test_zero_weights_get_the_smallest_logarithm_seen() -> None:
    clouds = pc.make(torch.randn(5, 2), [3, 2], weight=torch.tensor([0.0, 1.0, 3.0, 0.0, 0.0]))
    schema = Schema(JETS.axes, JETS.weight)
    standardize = Standardize(schema).fit(clouds)
    seen = standardize(clouds)
    # The second cloud has total 0: its points share evenly, and nothing is given back.
    torch.testing.assert_close(seen.weight, torch.tensor([0.0, 0.25, 0.75, 0.5, 0.5]))
    assert seen.x[0] == seen.x[1] == seen.x.min()
    assert standardize.log_floor.exp() == pytest.approx(0.25)
    back = standardize.inverse(seen, pc.total(clouds))
    torch.testing.assert_close(back.weight, clouds.weight)


def test_one_tiny_weight_does_not_become_an_outlier() -> None:
    weight = torch.rand(2000, dtype=torch.float64) + 0.5
    weight[7] = 1e-13
    clouds = pc.make(torch.randn(2000, 2, dtype=torch.float64), [2000], weight=weight)
    standardize = Standardize(Schema(JETS.axes, JETS.weight)).fit(clouds)
    seen = standardize(clouds)
    assert float(seen.x[7]) == float(seen.x.min()) == pytest.approx(-5.0)
    torch.testing.assert_close(standardize.inverse(seen, pc.total(clouds)).weight, weight)


def test_fractions_have_unit_sum_and_no_gradient_trouble() -> None:
    standardize = Standardize(JETS).fit(jets([4, 4]))
    x = torch.tensor([[0.0, 90.0], [0.0, -90.0], [0.0, 0.0]], requires_grad=True)
    fraction = standardize.fractions(x, torch.tensor([0, 2, 2, 3]))
    torch.testing.assert_close(fraction, torch.tensor([1.0, 0.0, 1.0]))
    fraction[1].backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_gradients_of_zero_weights_are_finite() -> None:
    clouds = jets([3])
    standardize = Standardize(JETS).fit(clouds)
    weight = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    standardize(pc.replace(clouds, weight=weight)).x.square().sum().backward()
    assert weight.grad is not None
    assert torch.isfinite(weight.grad).all()


def test_state_goes_into_an_unfitted_one_and_into_a_copy() -> None:
    clouds = jets([4, 0, 3])
    fitted = Standardize(JETS).fit(clouds)
    loaded = Standardize(JETS)
    loaded.load_state_dict(fitted.state_dict())
    for other in (loaded, copy.deepcopy(fitted)):
        assert torch.equal(channels(other(clouds)), channels(fitted(clouds)))
        assert other.periods == fitted.periods


def test_nothing_is_modified_and_extras_are_kept() -> None:
    clouds = pc.replace(jets([2, 1]), layer=torch.tensor([0, 1, 1]))
    before = {name: value.clone() for name, value in pc.attributes(clouds).items()}
    seen = Standardize(JETS).fit(clouds)(clouds)
    assert all(torch.equal(clouds[name], value) for name, value in before.items())
    assert torch.equal(seen.layer, clouds.layer)
    assert torch.equal(seen.label, clouds.label)


def test_empty_batch() -> None:
    standardize = Standardize(JETS).fit(jets([4]))
    empty = jets([0, 0])
    seen = standardize(empty)
    assert (seen.pos.shape, seen.x.shape, seen.y.shape) == ((0, 2), (0, 2), (2, 5))
    assert standardize.inverse(seen, pc.total(empty)).weight.shape == (0,)


def test_refusals() -> None:
    clouds = jets([2, 3])
    with pytest.raises(ArgumentError, match="unfitted"):
        Standardize(JETS)(clouds)
    with pytest.raises(DataError, match="2 clouds without a point"):
        Standardize(JETS).fit(jets([0, 0]))
    with pytest.raises(DataError, match="0 clouds without a point"):
        Standardize(JETS).fit([])
    with pytest.raises(DataError, match="weight: got none, expected the pt"):
        Standardize(JETS).fit(pc.replace(clouds, weight=None))
    with pytest.raises(DataError, match="x: got 0 columns, expected 1"):
        Standardize(JETS).fit(pc.replace(clouds, x=None))
    with pytest.raises(DataError, match="pos: got 2 columns, expected 3"):
        Standardize(POINTS).fit(clouds)
    bad = pc.replace(clouds, weight=clouds.weight.clone().fill_(math.nan))
    with pytest.raises(DataError, match="weight of event 0"):
        Standardize(JETS).fit(bad)


def test_refusals_of_a_fitted_one() -> None:
    clouds = jets([2, 3])
    standardize = Standardize(JETS).fit(clouds)
    seen = standardize(clouds)
    with pytest.raises(DataError, match="pos: got 3 axes, expected 2"):
        standardize(pc.replace(clouds, pos=torch.zeros(5, 3)))
    with pytest.raises(ArgumentError, match=r"total: got \(1,\), expected \(2,\)"):
        standardize.inverse(seen, torch.ones(1))
    with pytest.raises(ArgumentError, match=r"total: got None"):
        standardize.inverse(seen)
    with pytest.raises(ArgumentError, match=r"x: got \(5, 1\), expected \(5, 2\)"):
        standardize.fractions(seen.x[:, :1], seen.ptr)
    sizes = torch.tensor([2, 3])
    with pytest.raises(ArgumentError, match=r"y: got None, expected \(2, 1\): jet_pt"):
        standardize.condition(None, clouds.label, sizes)
    with pytest.raises(ArgumentError, match=r"label: got None, expected \(2,\)"):
        standardize.condition(clouds.y, None, sizes)
    with pytest.raises(ArgumentError, match=r"label: got values from 0 to 3, expected 0 to 2 \(g"):
        standardize.condition(clouds.y, torch.tensor([0, 3]), sizes)
