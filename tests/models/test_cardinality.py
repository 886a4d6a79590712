"""p(n, total | y, label): calibrated against what it was fitted to, bin by bin."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.models.cardinality import Cardinality, Drawn, describe, recentred
from pcgen.models.request import Request
from pcgen.schema import Quantity, Schema

AXES = (Quantity("eta_rel"), Quantity("phi_rel", "rad"))
SCHEMA = Schema(AXES, Quantity("pt", "GeV"), (), (Quantity("jet_pt", "GeV"),), ("g", "q", "t"))
BARE = Schema(AXES)


def showers(number: int, seed: int = 0) -> Batch:
    """n ~ Poisson((class + 1) sqrt(y)), total = 0.9 y (1 + 0.1 N(0, 1)): a response."""
    generator = torch.Generator().manual_seed(seed)
    y = 20.0 * 10.0 ** (2 * torch.rand(number, generator=generator))
    label = torch.randint(0, 2, (number,), generator=generator)
    sizes = torch.poisson((label + 1) * y.sqrt(), generator=generator).long()
    total = 0.9 * y * (1 + 0.1 * torch.randn(number, generator=generator))
    batch = torch.repeat_interleave(torch.arange(number), sizes)
    pos = torch.randn(len(batch), 2, generator=generator)
    share = torch.rand(len(batch), generator=generator)
    norm = torch.zeros(number).index_add(0, batch, share)
    weight = share * (total / norm)[batch]
    return cl.make(pos, sizes, weight=weight, y=y[:, None], label=label)


def bins(y: Tensor, value: Tensor, edges: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, width and number of ``value`` in each bin of ``y``."""
    index = torch.bucketize(y, edges)
    parts = [value[index == i] for i in range(len(edges) + 1)]
    return (
        torch.stack([p.mean() for p in parts]),
        torch.stack([p.std() for p in parts]),
        torch.tensor([len(p) for p in parts]),
    )


def draw(
    cardinality: Cardinality,
    number: int,
    generator: torch.Generator | None = None,
    **given: Tensor,
) -> Drawn:
    return cardinality.draw(Request(number, **given), generator)


@pytest.fixture(scope="module")
def truth() -> Batch:
    return showers(6000)


@pytest.fixture(scope="module")
def fitted(truth: Batch) -> Cardinality:
    half = truth.num_graphs // 2
    return Cardinality(SCHEMA).fit(
        [cl.select(truth, slice(half)), cl.select(truth, slice(half, None))]
    )


@pytest.mark.parametrize("kind", [0, 1])
def test_response_is_calibrated_in_every_bin_of_the_condition(
    truth: Batch, fitted: Cardinality, kind: int
) -> None:
    fresh = showers(8000, seed=1)
    fresh = cl.select(fresh, fresh.label == kind)
    truth = cl.select(truth, truth.label == kind)
    drawn = draw(
        fitted,
        fresh.num_graphs,
        y=fresh.y,
        label=fresh.label,
        generator=torch.Generator().manual_seed(2),
    )
    edges = torch.tensor([40.0, 80.0, 160.0, 320.0, 640.0, 1280.0])
    for ours, real in (
        (drawn.total / fresh.y[:, 0], cl.total(truth) / truth.y[:, 0]),
        (drawn.sizes / fresh.y[:, 0].sqrt(), cl.sizes(truth) / truth.y[:, 0].sqrt()),
    ):
        mean, width, _ = bins(fresh.y[:, 0], ours, edges)
        true_mean, true_width, number = bins(truth.y[:, 0], real, edges)
        assert (number > 200).all()
        error = true_width / number.sqrt()
        assert ((mean - true_mean).abs() < 4 * error).all()
        assert ((width - true_width).abs() < 4 * error / 2**0.5).all()


def test_total_follows_the_condition_exactly_where_the_response_has_no_width() -> None:
    y = torch.linspace(10, 20, 50)[:, None]
    of_class = torch.arange(50) % 2
    total = torch.where(of_class == 0, 5 + 3 * y[:, 0], 4 * y[:, 0])
    clouds = cl.make(torch.zeros(50, 2), [1] * 50, weight=total, y=y, label=of_class)
    fitted = Cardinality(SCHEMA).fit([clouds])
    ask = torch.tensor([[10.1], [15.0], [19.9], [100.0], [1.0]])
    for kind, offset, slope in ((0, 5.0, 3.0), (1, 0.0, 4.0)):
        drawn = draw(fitted, 5, y=ask, label=torch.full((5,), kind))
        torch.testing.assert_close(drawn.total, offset + slope * ask[:, 0], rtol=1e-4, atol=0)


def test_size_and_total_stay_correlated() -> None:
    sizes = torch.arange(1, 201)
    pos = torch.zeros(int(sizes.sum()), 2)
    clouds = cl.make(pos, sizes, weight=torch.full((len(pos),), 0.5))
    schema = Schema(AXES, Quantity("E", "MeV"))
    drawn = draw(Cardinality(schema).fit([clouds]), 500)
    assert torch.equal(drawn.total, 0.5 * drawn.sizes)
    assert drawn.y is None
    assert drawn.label is None


def test_what_is_not_given_comes_from_the_training_split(truth: Batch, fitted: Cardinality) -> None:
    drawn = draw(fitted, 5_000)
    assert drawn.y is not None
    assert drawn.label is not None
    assert torch.isin(drawn.y, truth.y).all()
    true_share = truth.label.float().mean()
    assert drawn.label.float().mean() == pytest.approx(float(true_share), abs=0.02)
    # Label given, condition not: the condition of that class, with its own total and size.
    given = draw(fitted, 300, label=torch.ones(300, dtype=torch.long))
    rows = {
        (float(y), int(n)): float(t)
        for y, n, t in zip(truth.y[:, 0], cl.sizes(truth), cl.total(truth), strict=True)
    }
    assert given.y is not None
    for y, n, t in zip(given.y[:, 0], given.sizes, given.total, strict=True):
        assert rows[float(y), int(n)] == pytest.approx(float(t), rel=1e-5)


def test_given_sizes_are_kept_and_totals_fit_them(truth: Batch, fitted: Cardinality) -> None:
    sizes = torch.tensor([0, 40, 80]).repeat_interleave(500)
    drawn = draw(fitted, 1500, sizes=sizes, label=torch.ones(1500, dtype=torch.long))
    assert torch.equal(drawn.sizes, sizes)
    assert (drawn.total[:500] == 0).all()
    for n, mean in ((40, drawn.total[500:1000].mean()), (80, drawn.total[1000:].mean())):
        near = (truth.label == 1) & ((cl.sizes(truth) - n).abs() <= 2)
        # 16 neighbours of about 40% width stand behind the mean.
        assert mean == pytest.approx(float(cl.total(truth)[near].mean()), rel=0.3)


def test_equal_conditions_are_all_neighbours() -> None:
    """A beam of one energy: no fixed handful of events stands for all."""
    sizes = torch.arange(1, 501)
    clouds = cl.make(
        torch.zeros(int(sizes.sum()), 2), sizes, y=torch.full((500, 1), 8.0), label=sizes * 0
    )
    drawn = draw(
        Cardinality(SCHEMA).fit([clouds]),
        20_000,
        y=torch.full((20_000, 1), 8.0),
        label=torch.zeros(20_000, dtype=torch.long),
    )
    assert len(drawn.sizes.unique()) == 500
    assert drawn.sizes.double().mean() == pytest.approx(250.5, abs=5)


def test_kept_clouds_are_a_uniform_sample_whatever_the_batches() -> None:
    sizes = torch.arange(4000)
    pos = torch.zeros(0, 2)
    y = sizes[:, None].float()
    clouds = cl.make(pos, torch.zeros_like(sizes), y=y, label=sizes % 2)
    fitted = [
        Cardinality(SCHEMA, capacity=500, seed=3).fit(
            [cl.select(clouds, slice(i, i + step)) for i in range(0, 4000, step)]
        )
        for step in (4000, 321)
    ]
    kept = [f.y[: int(f.stored), 0].sort().values for f in fitted]
    assert len(kept[0]) == 500
    assert torch.equal(kept[0], kept[1])
    assert len(kept[0].unique()) == 500
    # Mean of 500 of 4000 without replacement: error 4000 / sqrt(12 · 500) · sqrt(7/8) = 48.
    assert kept[0].mean() == pytest.approx(2000, abs=200)


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=12), data=st.data())
@settings(max_examples=25)
def test_any_clouds_can_be_fitted_and_drawn(sizes: list[int], data: st.DataObject) -> None:
    number = len(sizes)
    label = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=number, max_size=number)))
    scale = data.draw(st.sampled_from([0.0, 1e-6, 1.0, 1e6]))
    clouds = cl.make(
        torch.randn(sum(sizes), 2),
        sizes,
        weight=scale * torch.rand(sum(sizes)),
        y=scale * torch.rand(number, 1),
        label=label,
    )
    fitted = Cardinality(SCHEMA).fit([clouds])
    drawn = draw(fitted, 7, y=scale * torch.rand(7, 1), label=label[:1].expand(7))
    assert torch.isfinite(drawn.total).all()
    assert (drawn.total >= 0).all()
    assert torch.isin(drawn.sizes, torch.tensor(sizes)).all()
    assert (drawn.total[drawn.sizes == 0] == 0).all()
    assert draw(fitted, 0).sizes.shape == (0,)


def test_centroid_is_the_weighted_mean() -> None:
    pos = torch.tensor([[0.0, 1.0], [4.0, 1.0], [7.0, 7.0]])
    clouds = cl.make(pos, [2, 0, 1], weight=torch.tensor([3.0, 1.0, 0.0]))
    fitted = Cardinality(Schema(AXES, Quantity("E"))).fit([clouds])
    centroid = fitted.centroid[:3][fitted.sizes[:3].argsort(descending=True)]
    assert centroid.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_equal_seeds_give_equal_draws(fitted: Cardinality) -> None:
    a, b, c = (
        draw(fitted, 50, generator=torch.Generator().manual_seed(seed)).total for seed in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_state_is_the_checkpoint(fitted: Cardinality) -> None:
    other = Cardinality(SCHEMA)
    other.load_state_dict(fitted.state_dict())
    draws = [
        draw(m, 20, y=torch.full((20, 1), 100.0), generator=torch.Generator().manual_seed(0))
        for m in (fitted, other)
    ]
    assert torch.equal(draws[0].total, draws[1].total)


def test_errors_name_the_class_and_the_remedy(fitted: Cardinality) -> None:
    with pytest.raises(ArgumentError, match=r"label: got 't', expected .* training split: g, q"):
        draw(fitted, 1, label=torch.tensor([2]))
    with pytest.raises(ArgumentError, match="label: got 7, expected"):
        draw(fitted, 1, label=torch.tensor([7]))
    with pytest.raises(ArgumentError, match="nothing was fitted"):
        draw(Cardinality(SCHEMA), 1)
    with pytest.raises(DataError, match="got no clouds"):
        Cardinality(SCHEMA).fit([])
    with pytest.raises(DataError, match="y: got clouds without y, expected a value of each of"):
        Cardinality(SCHEMA).fit([cl.make(torch.zeros(1, 2), [1])])
    with pytest.raises(ArgumentError, match="capacity: got 0, expected >= 1"):
        Cardinality(BARE, capacity=0)


@given(st.floats(-7, 7))
def test_the_centroid_at_the_seam_is_that_of_the_cloud(turn: float) -> None:
    axes = (Quantity("z", "mm"), Quantity("phi", "rad", 6.0))
    schema = Schema(axes, Quantity("energy", "GeV"))
    pos = torch.tensor([[1.0, 0.2], [3.0, -0.4], [0.0, 0.1]], dtype=torch.float64)
    weight = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)
    still = cl.make(pos, [2, 0, 1], weight=weight)
    clouds = cl.replace(still, pos=pos + torch.tensor([0.0, turn], dtype=torch.float64))
    away = describe(clouds, schema).centroid - describe(still, schema).centroid
    torch.testing.assert_close(away[:, 0], torch.zeros(3, dtype=torch.float64))
    turns = (away[[0, 2], 1] - turn) / 6.0
    torch.testing.assert_close(turns, turns.round(), atol=1e-9, rtol=0)
    # Moved back to where it was, it is the same cloud.
    back = recentred(clouds, describe(still, schema).centroid, schema)
    torch.testing.assert_close(back.pos, pos)


@pytest.mark.parametrize(("scale", "weight"), [(1e20, 1.0), (1e-20, 1.0), (10.0, 1e37), (1.0, 0.0)])
def test_centroid_and_spread_of_any_size(scale: float, weight: float) -> None:
    pos = scale * torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    clouds = cl.make(pos, [4], weight=torch.full((4,), weight))
    drawn = describe(clouds, Schema(AXES, Quantity("pt", "GeV")))
    assert drawn.centroid.dtype == drawn.spread.dtype == torch.float32
    expected = [scale, scale] if weight else [0.0, 0.0]
    assert drawn.centroid[0].tolist() == pytest.approx(expected, rel=1e-6)
    assert drawn.spread.item() == pytest.approx(2**0.5 * scale if weight else 0.0, rel=1e-6)
