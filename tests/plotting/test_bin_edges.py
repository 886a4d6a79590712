"""Bins fit the steps that values come in: none is empty because no step lies in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcgen.plotting.edges import choose_edges, steps_of


def cells(number: int, low: float, high: float, events: int = 400) -> np.ndarray:
    """Centres of so many cells in single precision, each often."""
    edges = np.linspace(low, high, number + 1)
    centres = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    return np.random.default_rng(0).choice(centres, events * number).astype(np.float64)


@given(
    number=st.integers(2, 40),
    low=st.floats(-100, 100),
    width=st.floats(0.1, 100),
)
def test_each_cell_is_in_the_middle_of_a_bin_of_its_own(
    number: int, low: float, width: float
) -> None:
    values = cells(number, low, low + width, 8)
    edges, logarithmic = choose_edges(values, 40)
    assert not logarithmic
    few = np.unique(values)
    place = np.searchsorted(edges, few) - 1
    assert len(set(place)) == len(few)
    middle = (edges[place] + edges[place + 1]) / 2
    np.testing.assert_allclose(middle, few, atol=1e-3 * width / number + 1e-5)


@given(number=st.integers(41, 400), bins=st.integers(5, 40))
def test_bins_of_many_cells_hold_equally_many(number: int, bins: int) -> None:
    edges, _ = choose_edges(cells(number, -1, 1, 8), bins)
    assert len(edges) <= bins + 1
    centres = (np.arange(number) + 0.5) * 2 / number - 1
    counts, _ = np.histogram(centres, edges)
    assert counts.sum() == number
    assert len(set(counts[:-1])) <= 1


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60))
def test_whole_numbers_are_never_on_an_edge(numbers: list[int]) -> None:
    values = np.array(numbers, dtype=np.float64)
    edges, _ = choose_edges(values, 40)
    assert np.abs(values[:, None] - edges).min() >= 0.5 - 1e-9
    assert edges[0] < values.min()
    assert values.max() < edges[-1]


def test_numbers_that_are_all_even_leave_no_gaps() -> None:
    values = np.repeat(np.arange(0.0, 40, 2), 9)
    counts, _ = np.histogram(values, choose_edges(values, 40)[0])
    assert set(counts) == {9}


def test_steps_of_any_sample_count_and_those_of_the_real_ones_first() -> None:
    smooth = np.random.default_rng(1).uniform(-0.4, 0.4, 5000)
    grid = cells(25, -0.4, 0.4)
    expected = np.linspace(-0.4, 0.4, 26)
    for real, other in ((grid, smooth), (smooth, grid)):
        np.testing.assert_allclose(choose_edges(real, 40, [other])[0], expected, atol=1e-5)
    # A generator that leaves every other cell out is seen to do so.
    holes = np.unique(grid)[::2].repeat(9)
    edges, _ = choose_edges(grid, 40, [holes])
    counts, _ = np.histogram(holes, edges)
    assert list(counts) == [9, 0] * 12 + [9]
    # Cells half as wide: no edge is on one.
    fine = cells(50, -0.4, 0.4)
    edges, _ = choose_edges(grid, 40, [fine])
    assert np.abs(np.unique(fine)[:, None] - edges).min() > 0.007


def test_uneven_steps_have_a_bin_each() -> None:
    few = np.array([0.5, 3.0, 6.3, 31.4159])
    edges, _ = choose_edges(few.repeat(20), 40)
    counts, _ = np.histogram(few, edges)
    np.testing.assert_array_equal(counts, 1)


def test_values_that_are_all_alike_take_the_range_of_all() -> None:
    edges, _ = choose_edges(np.full(50, 30.0), 40, [np.arange(20.0, 41.0)])
    assert edges[[0, -1]].tolist() == [19.5, 40.5]


def test_steps_over_decades_have_wide_bins_with_edges_between_them() -> None:
    values = np.round(np.geomspace(1, 2000, 4000))
    edges, logarithmic = choose_edges(values, 30)
    assert logarithmic
    np.testing.assert_allclose(edges - np.floor(edges), 0.5)
    counts, _ = np.histogram(np.unique(values), edges)
    assert counts.min() > 0


@pytest.mark.parametrize("seed", range(5))
def test_continuous_values_have_no_steps(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    for values in (drawn.normal(size=1000), drawn.exponential(size=10), np.zeros(0)):
        assert steps_of(values) is None
    # Many equal values among continuous ones are no steps.
    assert steps_of(np.concatenate([np.zeros(500), drawn.normal(size=100)])) is None


def test_values_that_are_no_numbers_do_not_choose() -> None:
    values = np.array([np.nan, 1.0, 2.0, 3.0, np.inf])
    assert choose_edges(values, 40)[0].tolist() == [0.5, 1.5, 2.5, 3.5]


@pytest.mark.parametrize("other", [np.zeros(50), np.arange(5.0).repeat(9), np.full(9, 0.1)])
def test_few_values_of_a_generator_do_not_make_real_bins_coarse(other: np.ndarray) -> None:
    real = np.random.default_rng(0).uniform(0, 0.2, 1000)
    np.testing.assert_array_equal(choose_edges(real, 40, [other])[0], choose_edges(real, 40)[0])


def test_real_values_that_are_all_zero_do_not_make_bins_coarse() -> None:
    made = np.random.default_rng(0).uniform(0, 0.2, 1000)
    edges, _ = choose_edges(np.zeros(50), 40, [made])
    assert len(edges) == 41
    assert edges[-1] < 0.3
    huge, _ = choose_edges(np.array([1e300, 2e300, 5e300]), 40)
    assert np.all(np.diff(huge) > 0)
