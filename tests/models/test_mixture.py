"""Gaussian mixtures: the conditional law against closed forms and against the joint one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.models.latent import Encoded
from pcgen.models.priors import Mixture


def encoded(rows: Tensor, code: int, label: Tensor | None = None, hot: int = 0) -> Encoded:
    """Rows (code, continuous condition), with one-hot columns in between."""
    kind = torch.zeros(len(rows), dtype=torch.long) if label is None else label
    between = torch.eye(max(hot, 1))[kind][:, :hot]
    return Encoded(rows[:, :code], torch.cat([between, rows[:, code:]], 1), label)


def test_one_component_is_the_conditional_normal() -> None:
    root = torch.tensor([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.8, -0.3, 0.5]])
    mean = torch.tensor([1.0, -2.0, 3.0])
    rows = mean + torch.randn(20_000, 3) @ root.T
    mixture = Mixture(2, [0], components=1, regularisation=0.0).fit([encoded(rows, 2)])
    covariance = root @ root.T
    given = torch.full((20_000, 1), 3.7)
    drawn = mixture.sample(given, None)
    slope = covariance[:2, 2] / covariance[2, 2]
    left = covariance[:2, :2] - torch.outer(slope, covariance[2, :2])
    torch.testing.assert_close(drawn.mean(0), mean[:2] + slope * 0.7, rtol=0, atol=0.04)
    torch.testing.assert_close(drawn.T.cov(), left, rtol=0, atol=0.04)


def test_given_a_condition_it_is_the_joint_law_cut_at_it() -> None:
    """Two components that differ in their condition: their weights follow it."""
    number = 40_000
    kind = torch.rand(number) < 0.7
    condition = torch.where(kind, -1.0, 1.0) + torch.randn(number)
    code = torch.where(kind, -4.0, 4.0) + 0.5 * condition + torch.randn(number)
    rows = torch.stack([code, condition], 1)
    mixture = Mixture(1, [0], components=2).fit([encoded(rows, 1)])
    for at in (-1.0, 0.0, 0.6):
        drawn = mixture.sample(torch.full((20_000, 1), at), None)[:, 0]
        near = code[(condition - at).abs() < 0.05]
        assert len(near) > 500
        error = (near > 0).float().std().item() / len(near) ** 0.5
        share = (drawn > 0).float().mean()
        assert share.item() == pytest.approx((near > 0).float().mean().item(), abs=5 * error)
        assert drawn.mean().item() == pytest.approx(near.mean().item(), abs=40 * error)
        # Bayes: odds of the first component 7/3 exp(-2 c).
        odds = 7 / 3 * torch.tensor(-2 * at).exp()
        assert share.item() == pytest.approx(float(1 / (1 + odds)), abs=0.02)


def test_classes_have_laws_of_their_own_and_one_hot_columns_are_passed_over() -> None:
    label = torch.tensor([0, 2]).repeat(500)
    rows = torch.randn(1000, 2) + 10.0 * label[:, None]
    part = encoded(rows, 1, label, hot=3)
    mixture = Mixture(1, [3], classes=3, components=4).fit([part])
    drawn = mixture.sample(part.condition, label)
    assert drawn[label == 0].mean().item() == pytest.approx(0, abs=0.2)
    assert drawn[label == 2].mean().item() == pytest.approx(20, abs=0.2)
    with pytest.raises(ArgumentError, match="class without codes"):
        mixture.sample(part.condition[:1], torch.tensor([1]))


@pytest.mark.parametrize("number", [1, 2, 5])
def test_few_or_equal_codes_are_enough(number: int) -> None:
    rows = torch.full((number, 4), 2.0)
    mixture = Mixture(2, [0, 1], components=8).fit([encoded(rows, 2)])
    drawn = mixture.sample(rows[:, 2:], None)
    assert (drawn - 2.0).abs().max() < 0.3  # the regularisation's width is 0.03
    assert torch.isneginf(mixture.log_weight[0, 1:]).all()


def test_a_condition_far_from_all_codes_still_gives_codes() -> None:
    mixture = Mixture(2, [0], components=3).fit([encoded(torch.randn(200, 3), 2)])
    drawn = mixture.sample(torch.tensor([[1e4], [-1e4]]), None)
    assert torch.isfinite(drawn).all()


def test_equal_seeds_give_equal_codes_and_the_state_is_the_checkpoint() -> None:
    part = encoded(torch.randn(300, 3), 2)
    fitted, other = Mixture(2, [0]).fit([part]), Mixture(2, [0])
    other.load_state_dict(fitted.state_dict())
    a, b = (
        m.sample(part.condition, None, torch.Generator().manual_seed(1)) for m in (fitted, other)
    )
    assert torch.equal(a, b)


def test_errors() -> None:
    with pytest.raises(DataError, match="got no codes"):
        Mixture(2, [0]).fit([])
    with pytest.raises(ArgumentError, match="components: got 0"):
        Mixture(2, [0], components=0)
