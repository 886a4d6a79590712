"""Cheap reconstruction terms: against SciPy, against mass, and invariant to the order of points."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.metrics.jets.kinematics import mass, transverse_momentum
from pcgen.objectives import terms
from pcgen.objectives.terms import listed, shape, sliced
from pcgen.standardize import channels


def clouds(sizes: list[int], seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    rows = sum(sizes)
    raw = torch.rand(rows, generator=generator) + 0.01
    number = torch.tensor(sizes, dtype=torch.long)
    batch = torch.repeat_interleave(torch.arange(len(sizes)), number)
    total = torch.zeros(len(sizes)).index_add(0, batch, raw)
    return cl.make(
        torch.randn(rows, 2, generator=generator),
        sizes,
        weight=raw / total[batch],
        # Rounded, so that there are ties.
        x=torch.randn(rows, 2, generator=generator).mul(2).round().div(2),
    )


@given(sizes=st.lists(st.integers(0, 7), min_size=1, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_sliced_is_the_earth_movers_distance_on_a_line(sizes: list[int], seed: int) -> None:
    a, b = (
        cl.replace(side, pos=side.x[:, :1], x=None)
        for side in (clouds(sizes, seed), clouds(sizes, seed + 1))
    )
    found = sliced(a, b, lines=3)
    for i, n in enumerate(sizes):
        expected = wasserstein_distance(a[i].pos[:, 0], b[i].pos[:, 0]) if n else 0.0
        assert found[i].item() == pytest.approx(expected, abs=1e-6)
    turned = torch.cat([torch.arange(s, e).flip(0) for s, e in zip(a.ptr, a.ptr[1:], strict=False)])
    torch.testing.assert_close(sliced(cl.replace(a, pos=a.pos[turned]), b), found)


def test_a_shift_costs_its_mean_projection() -> None:
    """Along random lines of the plane a shift v is seen as |v| 2/π long, of space as |v|/2."""
    for dimensions, seen in ((2, 2 / torch.pi), (3, 0.5)):
        real = cl.make(torch.randn(9, dimensions), [4, 5])
        moved = cl.replace(real, pos=real.pos + 3.0 * torch.eye(dimensions)[0])
        torch.testing.assert_close(
            sliced(moved, real, lines=50_000), torch.full((2,), 3.0 * seen), rtol=0.02, atol=0
        )


def test_terms_have_gradients_that_pull_the_right_way() -> None:
    real = clouds([5, 0, 3], 0)
    for term, name in ((sliced, "x"), (sliced, "pos"), (shape, "pos")):
        value = (2.0 * real[name]).requires_grad_(True)
        torch.manual_seed(0)
        term(cl.replace(real, **{name: value}), real).sum().backward()
        assert value.grad is not None
        with torch.no_grad():
            stepped = value - 1e-3 * value.grad
        losses = []
        for points in (stepped, value.detach()):
            torch.manual_seed(0)  # the same lines
            losses.append(term(cl.replace(real, **{name: points}), real).sum())
        assert losses[0] < losses[1]


def test_sliced_refuses_other_sizes() -> None:
    with pytest.raises(ArgumentError, match="clouds of different sizes"):
        sliced(clouds([2, 1], 0), clouds([1, 2], 0))


def test_clouds_of_equal_shape_have_equal_mass() -> None:
    """Moments up to the second fix the mass of a narrow jet; permutations change nothing."""
    real = clouds([12, 30], 0)
    turned = torch.cat([torch.arange(11, -1, -1), torch.arange(12, 42).roll(5)])
    moved = cl.replace(real, pos=real.pos[turned], weight=real.weight[turned])
    torch.testing.assert_close(shape(moved, real), torch.zeros(2), rtol=0, atol=1e-5)
    narrow = cl.replace(real, pos=0.01 * real.pos)
    f, u = narrow.weight[:, None].double(), narrow.pos.double()
    first = torch.zeros(2, 2).double().index_add(0, real.batch, f * u)
    second = torch.zeros(2).double().index_add(0, real.batch, (f * u.square()).sum(1))
    ratio = (mass(narrow) / transverse_momentum(narrow)).square()
    torch.testing.assert_close(ratio, second - first.square().sum(1), rtol=1e-3, atol=0)


def test_shape_without_weight_counts_points_alike() -> None:
    bare = cl.make(torch.randn(6, 3), [4, 0, 2])
    assert shape(bare, bare).tolist() == [0.0, 0.0, 0.0]
    assert (shape(cl.replace(bare, pos=bare.pos + 1), bare)[[0, 2]] > 3).all()


@given(sizes=st.lists(st.integers(0, 7), max_size=6), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_listed_compares_the_points_of_the_same_rank(sizes: list[int], seed: int) -> None:
    generated, real = clouds(sizes, seed), clouds(sizes, seed + 1)
    found = listed(generated, real)
    assert found.shape == (len(sizes),)
    for i, n in enumerate(sizes):
        points = channels(real[i]).tolist()
        falling = sorted(range(n), key=lambda j: -points[j][-1])  # stable: ties keep their order
        pairs = zip(channels(generated[i]).tolist(), (points[j] for j in falling), strict=True)
        squares = [sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) for pair in pairs]
        assert found[i].item() == pytest.approx(sum(squares) / max(n, 1), rel=1e-5)


def test_listed_refuses_what_cannot_be_paired() -> None:
    real = clouds([2, 3], 0)
    with pytest.raises(ArgumentError, match="listed: got clouds of different sizes"):
        listed(clouds([3, 2], 0), real)
    with pytest.raises(ArgumentError, match="x: got none"):
        listed(real, cl.replace(real, x=None))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any), st.integers(0, 99))
def test_the_spectrum_is_the_earth_mover_distance_of_all_points(
    sizes: list[int], seed: int
) -> None:
    """By SciPy, and blind to which cloud a point belongs to."""
    generator = torch.Generator().manual_seed(seed)
    rows = sum(sizes)
    generated, real = (
        cl.make(torch.zeros(rows, 2), sizes, x=torch.randn(rows, 1, generator=generator))
        for _ in range(2)
    )
    value = terms.spectrum(generated, real)
    mean = (value * torch.tensor(sizes)).sum() / rows
    expected = wasserstein_distance(generated.x[:, 0].numpy(), real.x[:, 0].numpy())
    assert float(mean) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    shuffled = cl.replace(generated, x=generated.x[torch.randperm(rows, generator=generator)])
    torch.testing.assert_close(terms.spectrum(shuffled, real), value)
    assert (terms.spectrum(real, real) == 0).all()


def test_gradients_of_the_spectrum() -> None:
    x = torch.tensor([[0.3], [-1.0], [2.0]], dtype=torch.float64, requires_grad=True)
    real = cl.make(
        torch.zeros(3, 1).double(), [1, 2], x=torch.tensor([[1.0], [0.5], [-2.0]]).double()
    )
    assert torch.autograd.gradcheck(
        lambda x: terms.spectrum(cl.make(real.pos, [1, 2], x=x), real), (x,)
    )
    with pytest.raises(ArgumentError, match="different sizes"):
        terms.spectrum(cl.make(torch.zeros(2, 1), [2], x=torch.zeros(2, 1)), real)
    with pytest.raises(ArgumentError, match="x: got none"):
        terms.spectrum(cl.make(real.pos, [1, 2]), real)
