"""Support of a sparse vector as labels: loss and shares by hand."""

from __future__ import annotations

import math

import pytest
import torch

from pcgen.objectives.support import recovered, support_loss


def test_loss_is_the_cross_entropy_of_the_support() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.0], [1.0, 2.0, 0.0]])
    total = math.log(math.e + math.e**2 + 1)
    truth = torch.tensor([[0.0, -0.3, 0.1], [0.0, 0.0, 0.0]])
    assert support_loss(logits, truth).tolist() == pytest.approx([total - 1.0, 0.0])
    assert support_loss(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0,)


def test_loss_is_least_where_the_support_shares_all_probability() -> None:
    truth = torch.tensor([[1.0, 0.0, 2.0, 0.0]])
    best = torch.tensor([[50.0, 0.0, 50.0, 0.0]])
    assert float(support_loss(best, truth)) == pytest.approx(math.log(2))
    logits = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: support_loss(x, truth), logits)


def test_shares() -> None:
    truth = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 2.0]])
    assert recovered(truth.abs(), truth) == (1.0, 1.0)
    assert recovered(-truth.abs(), truth) == (0.0, 0.5)
