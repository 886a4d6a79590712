"""Network simplex and assignment are those of POT and SciPy, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pcgen.ops._kernels import assignment, simplex

Array = NDArray[Any]
seeds = st.integers(0, 2**20)


def masses(random: np.random.Generator, n: int, kind: str) -> Array:
    mass = np.ones(n) if kind == "equal" else random.random(n) + 0.01
    if kind == "wide":
        mass *= 10.0 ** -np.arange(n)
    if kind == "holes":
        mass[1::2] = 0.0
    return mass / mass.sum()


def costs(random: np.random.Generator, n: int, m: int, coarse: bool) -> Array:
    """Distances of random points, many of them equal where they are coarse."""
    x, y = random.normal(size=(n, 1, 2)), random.normal(size=(1, m, 2))
    if coarse:
        x, y = x.round(), y.round()
    cost = np.sqrt(((x - y) ** 2).sum(-1))
    return cost / max(cost.max(), 1e-300)


@given(
    seeds, st.integers(1, 40), st.integers(1, 40), st.booleans(),
    st.sampled_from(["plain", "equal", "wide", "holes"]),
)  # fmt: skip
def test_the_simplex_has_the_plans_and_prices_of_pot(
    seed: int, n: int, m: int, coarse: bool, kind: str
) -> None:
    random = np.random.default_rng(seed)
    problem = masses(random, n, kind), masses(random, m, kind), costs(random, n, m, coarse)
    plan, price_x, price_y, sound = simplex.network_simplex(*problem, 10**9)
    assert sound
    expected, log = ot.emd(*problem, center_dual=False, log=True)
    assert (plan * problem[2]).sum() == pytest.approx(log["cost"], rel=1e-12, abs=1e-15)
    if ot.__version__ >= "0.9.7":  # older ones search the arcs in another order
        emd_c = pytest.importorskip("ot.lp.emd_wrap").emd_c
        expected, _, *prices, code = emd_c(*problem, 10**9, 1)
        assert code == 1
        for got, other in zip((plan, price_x, price_y), (expected, *prices), strict=True):
            assert np.array_equal(got, other)


def test_a_simplex_without_pivots_left_is_not_sound() -> None:
    random = np.random.default_rng(0)
    problem = masses(random, 5, "plain"), masses(random, 4, "plain"), costs(random, 5, 4, False)
    assert not simplex.network_simplex(*problem, 3)[-1]


@given(seeds, st.integers(1, 40), st.booleans())
def test_the_assignment_is_that_of_scipy(seed: int, n: int, coarse: bool) -> None:
    cost = costs(np.random.default_rng(seed), n, n, coarse)
    assert np.array_equal(assignment.assign(cost), linear_sum_assignment(cost)[1])
