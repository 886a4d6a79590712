"""Whitening: mean zero and unit covariance given the condition, and exactly back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.models.whitening import Whitening


def pairs(number: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Codes that depend linearly on a continuous column and on one-hot columns, with a spread."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 2, (number,), generator=generator)
    condition = torch.cat(
        [torch.randn(number, 1, generator=generator), torch.eye(3)[kind]], 1
    )  # a third class that is never seen
    slope = torch.randn(4, 3, generator=generator) * torch.tensor([100.0, 1.0, 0.1])
    spread = torch.tensor([[50.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.1, 0.0, 0.2]])
    return condition @ slope + torch.randn(number, 3, generator=generator) @ spread, condition


def test_white_codes_are_uncorrelated_with_themselves_and_the_condition() -> None:
    code, condition = pairs(2000)
    white = Whitening(3, 4).fit([(code, condition)])(code, condition)
    torch.testing.assert_close(white.mean(0), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(white.T @ white / 2000, torch.eye(3), rtol=0, atol=1e-3)
    assert (white.T @ condition / 2000).abs().max() < 1e-3


@given(number=st.integers(1, 40), cut=st.integers(0, 40), scale=st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=25)
def test_back_is_exact_whatever_the_batches(number: int, cut: int, scale: float) -> None:
    code, condition = pairs(number)
    code = scale * code
    parts = [(code[:cut], condition[:cut]), (code[cut:], condition[cut:])]
    split, whole = Whitening(3, 4).fit(parts), Whitening(3, 4).fit([(code, condition)])
    # One-hot columns are collinear with the one: the pseudo-inverse does not care.
    back = split.inverse(split(code, condition), condition)
    size = scale * 300
    torch.testing.assert_close(back, code, rtol=0, atol=1e-4 * size)
    torch.testing.assert_close(split.regression, whole.regression, rtol=1e-4, atol=1e-5 * size)
    assert torch.isfinite(split(code, condition)).all()


def test_a_dead_direction_is_not_blown_up() -> None:
    code, condition = torch.randn(500, 2), torch.randn(500, 1)
    code[:, 1] = 0.3
    whitening = Whitening(2, 1).fit([(code, condition)])
    white = whitening(code, condition)
    assert white.std(0).max() < 1.1
    assert white.std(0).min() < 0.01
    back = whitening.inverse(torch.randn(500, 2), condition)
    assert (back[:, 1] - 0.3).abs().max() < 0.01


def test_state_is_the_checkpoint() -> None:
    code, condition = pairs(50)
    fitted, other = Whitening(3, 4).fit([(code, condition)]), Whitening(3, 4)
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other(code, condition), fitted(code, condition))


def test_errors() -> None:
    whitening = Whitening(3, 4)
    with pytest.raises(DataError, match="got 0 codes"):
        whitening.fit([])
    with pytest.raises(DataError, match="all finite"):
        whitening.fit([(torch.full((2, 3), torch.inf), torch.zeros(2, 4))])
    with pytest.raises(ArgumentError, match=r"code, condition: got \(2, 3\) and \(2, 5\)"):
        whitening(torch.zeros(2, 3), torch.zeros(2, 5))
