"""Unrolled solvers: at their start they are the solvers; layers may be tied; a small one learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.nn.unrolled import SupportClassifier, UnrolledThresholding
from pcgen.objectives.support import support_loss
from pcgen.ops.sparse_recovery import Matrix, iht, ista


def matrix(m: int = 8, n: int = 12) -> Tensor:
    values = torch.randn(m, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return values / values.norm(dim=0)


@pytest.mark.parametrize("tied", [False, True])
def test_before_training_they_are_steps_of_the_solvers(tied) -> None:
    a, y = matrix(), torch.randn(5, 8, dtype=torch.float64)
    soft = UnrolledThresholding(a, layers=7, tied=tied, strength=0.2)
    torch.testing.assert_close(soft(y), ista(Matrix(a), y, 0.2, steps=7))
    hard = UnrolledThresholding(a, layers=7, tied=tied, nonzeros=2)
    torch.testing.assert_close(hard(y), iht(Matrix(a), y, 2, steps=7))
    torch.testing.assert_close(soft.logits(y), 10 * soft(y).abs())


def test_tied_layers_share_their_parameters() -> None:
    own, one = (UnrolledThresholding(matrix(), layers=5, tied=tied) for tied in (False, True))
    assert [len(p) for p in (own.across, own.into, own.threshold)] == [5, 5, 5]
    assert [len(p) for p in (one.across, one.into, one.threshold)] == [1, 1, 1]


@pytest.mark.parametrize("nonzeros", [None, 2])
def test_gradients_reach_every_parameter(nonzeros) -> None:
    a = matrix()
    net = UnrolledThresholding(a, layers=3, nonzeros=nonzeros)
    y = torch.randn(6, 8, dtype=torch.float64)
    net.logits(y).square().sum().backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in net.parameters())
    few = y[:2].requires_grad_(True)
    assert torch.autograd.gradcheck(net, few)


def test_rows_do_not_depend_on_each_other_and_none_are_legal() -> None:
    a = matrix().float()
    for net in (UnrolledThresholding(a, layers=3), SupportClassifier(8, 12, hidden=6).eval()):
        y = torch.randn(4, 8)
        torch.testing.assert_close(net(y)[1:2], net(y[1:2]))
        assert net(y[:0]).shape == (0, 12)


def test_a_step_of_descent_lowers_the_loss() -> None:
    truth = torch.zeros(64, 12).scatter(1, torch.randint(12, (64, 2)), 1.0)
    y = truth @ matrix().float().T
    for net in (UnrolledThresholding(matrix().float(), layers=3), SupportClassifier(8, 12)):
        adam = torch.optim.Adam(net.parameters(), 1e-3)
        losses = []
        for _ in range(20):
            loss = support_loss(net.logits(y), truth).mean()
            losses.append(float(loss.detach()))
            adam.zero_grad()
            loss.backward()
            adam.step()
        assert losses[-1] < losses[0]


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="layers: got 0, expected >= 1"):
        UnrolledThresholding(matrix(), layers=0)
    with pytest.raises(ArgumentError, match="blocks: got 0, expected >= 1"):
        SupportClassifier(2, 3, blocks=0)
