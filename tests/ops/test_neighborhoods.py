"""Sums and maxima over neighbours against dense torch, by compiled loops and by plain torch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pcgen.ops import neighborhoods as nb

PATHS = pytest.mark.parametrize("compiled", [True, False])


@pytest.fixture(autouse=True)
def _path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "compiled" in request.fixturenames and not request.getfixturevalue("compiled"):
        monkeypatch.setattr(nb, "_compiled_for", lambda value: False)


def neighbours(n: int, m: int, k: int, seed: int) -> Tensor:
    """Different rows of each point, -1 behind them, none of some points."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(n, m, generator=generator).argsort(1)[:, :k]
    order = torch.nn.functional.pad(order, (0, k - order.shape[1]), value=-1)
    number = torch.randint(0, k + 1, (n, 1), generator=generator)
    return order.masked_fill(torch.arange(k) >= number, -1)


def dense(weight: Tensor, index: Tensor, m: int) -> Tensor:
    """Weights [N, k] as a matrix [N, M]."""
    matrix = weight.new_zeros(len(index), m + 1)
    return matrix.scatter_add(1, index.where(index >= 0, m), weight)[:, :m]


sizes = st.tuples(st.integers(0, 7), st.integers(1, 7), st.integers(1, 5), st.integers(1, 20))


@PATHS
@given(sizes, st.integers(0, 9))
def test_they_are_products_of_dense_matrices(compiled, shape, seed):
    n, m, k, c = shape
    index = neighbours(n, m, k, seed)
    u, v, weight = (torch.randn(s, dtype=torch.float64) for s in ((n, c), (m, c), (n, k)))
    there = (index >= 0).double()
    matrix = dense(weight, index, m)
    every = (u[:, None] + v).square().sum(2)
    for got, expected in (
        (nb.neighbor_dot(u, v, index), there * (u @ v.T).gather(1, index.clamp(min=0))),
        (nb.neighbor_square(u, v, index), there * every.gather(1, index.clamp(min=0))),
        (nb.neighbor_gather(weight, v, index), matrix @ v),
        (nb.neighbor_spread(weight, u, index, m), matrix.T @ u),
    ):
        torch.testing.assert_close(got, expected)


@PATHS
def test_first_and_second_derivatives(compiled):
    index = neighbours(4, 3, 2, 1)
    u, v, weight = (
        torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((4, 3), (3, 3), (4, 2))
    )
    for function, given_ in (
        (lambda a, b: nb.neighbor_dot(a, b, index), (u, v)),
        (lambda a, b: nb.neighbor_square(a, b, index), (u, v)),
        (lambda a, b: nb.neighbor_gather(a, b, index), (weight, v)),
        (lambda a, b: nb.neighbor_spread(a, b, index, 3), (weight, u)),
    ):
        assert torch.autograd.gradcheck(function, given_)
        assert torch.autograd.gradgradcheck(function, given_)


@PATHS
@pytest.mark.parametrize("levels", [2, 1000])
def test_the_first_of_the_largest(compiled, levels):
    """Few levels make ties; gains of both signs, and one of 0."""
    index = neighbours(30, 8, 5, 2)
    index[:, 0] = index[:, 0].clamp(min=0)
    u, v = torch.randint(levels, (30, 6)).double(), torch.randint(levels, (8, 6)).double()
    rate, gain = torch.randint(1, 3, (30, 5)).double(), torch.tensor([1, -1, 0, 2, -3, 1]).double()
    of_v, of_rate = nb.first_largest_sum(u, v, rate, gain, index)
    for i in range(30):
        for c in range(6):
            key = [
                float(gain[c] * rate[i, s] * (u[i, c] + v[j, c]))
                for s, j in enumerate(index[i].tolist())
                if j >= 0
            ]
            place = key.index(max(key))
            assert of_rate[i, c] == i * 5 + place
            assert of_v[i, c] == index[i, place] * 6 + c


@PATHS
def test_nan_is_the_largest(compiled):
    v = torch.tensor([[1.0], [torch.nan], [9.0], [torch.nan]])
    index = torch.tensor([[0, 1, 2, 3], [2, 0, -1, -1]])
    ones = torch.ones(2, 4), torch.ones(1)
    of_v, of_rate = nb.first_largest_sum(torch.zeros(2, 1), v, *ones, index)
    assert of_v.flatten().tolist() == [1, 2]
    assert of_rate.flatten().tolist() == [1, 4]


def test_they_compile_without_graph_breaks():
    index = neighbours(6, 6, 3, 0)
    u, v = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4)

    def function(u: Tensor, v: Tensor) -> Tensor:
        rate = nb.neighbor_square(u, v, index).rsqrt()
        return nb.entries(v, nb.first_largest_sum(u, v, rate, v[0], index.clamp(min=0))[0])

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(u, v), function(u, v))
