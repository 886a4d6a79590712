"""Mode counts: those of the mixture itself, of planted failures, and of a loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.scores.modes import mode_count, ring, square_grid


def draw(centres, sigma, number, modes=None):
    mode = torch.randint(len(centres) if modes is None else modes, (number,))
    return centres[mode] + sigma * torch.randn(number, centres.shape[1]).double()


@pytest.mark.parametrize(
    ("centres", "sigma"), [(ring(), 0.01), (square_grid(), 0.05), (ring(7, 1.0, 3), 0.01)]
)
def test_the_mixture_itself_has_all_modes(centres, sigma):
    found = mode_count(draw(centres, sigma, 2500), centres, sigma)
    assert found.covered == found.modes == len(centres)
    spread = (found.expected * (1 - found.expected) / 2500) ** 0.5
    assert abs(found.quality - found.expected) < 4 * spread
    # 2 N KL is nearly χ² with K - 1 degrees of freedom.
    freedom = len(centres) - 1
    assert found.reverse_kl < found.floor + 4 * (2 * freedom) ** 0.5 / 5000
    assert sum(found.counts) == 2500


def test_expected_quality():
    """In two dimensions P(r < 3σ) = 1 - exp(-9/2)."""
    found = mode_count(torch.zeros(1, 2), ring(), 0.01)
    assert found.expected == pytest.approx(1 - math.exp(-4.5))


def test_collapse_on_some_modes():
    centres = square_grid()
    found = mode_count(draw(centres, 0.05, 1000, modes=1), centres, 0.05)
    assert found.covered == 1
    assert found.reverse_kl == pytest.approx(math.log(25))
    half = mode_count(centres[:5].repeat(20, 1), centres, 0.05)
    assert (half.covered, half.quality) == (5, 1.0)
    assert half.reverse_kl == pytest.approx(math.log(5))


def test_noise_around_the_modes_is_not_of_quality():
    centres = ring()
    found = mode_count(draw(centres, 0.1, 2000), centres, 0.01)
    assert found.quality < 0.1
    assert found.covered == 8
    assert mode_count(draw(centres, 0.1, 2000), centres, 0.01, least=100).covered == 0


def test_weights_of_the_modes():
    centres = torch.tensor([[0.0], [10.0]])
    samples = torch.tensor([[0.0]] * 3 + [[10.0]])
    assert mode_count(samples, centres, 1.0, weights=torch.tensor([6.0, 2.0])).reverse_kl == 0
    even = mode_count(samples, centres, 1.0)
    assert even.reverse_kl == pytest.approx(entropy([0.75, 0.25], [0.5, 0.5]))


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 3), st.sampled_from([0.0, 1e6]))
def test_against_a_loop(number, modes, dimensions, offset):
    samples = torch.randn(number, dimensions).double() + offset
    centres = torch.randn(modes, dimensions).double() + offset
    counts, good, covered = [0] * modes, 0, set()
    for x in samples:
        distances = [math.dist(x.tolist(), c.tolist()) for c in centres]
        k = distances.index(min(distances))
        counts[k] += 1
        if distances[k] <= 3 * 0.2:
            good += 1
            covered.add(k)
    found = mode_count(samples, centres, 0.2)
    assert found.counts == tuple(counts)
    assert found.covered == len(covered)
    assert found.quality == pytest.approx(good / number)


def test_centres_of_the_literature():
    assert square_grid().min().item() == -4
    assert square_grid().max().item() == 4
    assert len(square_grid().unique(dim=0)) == 25
    torch.testing.assert_close(ring(7, 2.0, 3).norm(dim=1), torch.full((7,), 2.0).double())
    gaps = (ring(5) - ring(5).roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(gaps, torch.full((5,), 2 * math.sin(math.pi / 5)).double())


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ArgumentError, match=r"centres: got shape \(8, 2\), expected \[N, 3\]"):
        mode_count(torch.zeros(2, 3), ring(), 0.1)
    with pytest.raises(DataError, match=r"samples: .* in 1 of 2 events \(1\)"):
        mode_count(torch.tensor([[0.0, 0], [torch.nan, 0]]), ring(), 0.1)
    for wrong in ({"sigma": 0.0}, {"within": -1.0}, {"least": 0}, {"weights": torch.zeros(8)}):
        with pytest.raises(ArgumentError, match="sigma, within, least, weights: got"):
            mode_count(torch.zeros(2, 2), ring(), **{"sigma": 0.1, **wrong})
