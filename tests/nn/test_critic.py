"""A critic with features: the deviation of a batch, and penalties that hold it fixed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pcgen.models.gan import Adversary, Conditioned
from pcgen.nn import MLP
from pcgen.nn.critic import FeatureCritic, deviation
from pcgen.nn.spectral import SpectralCritic
from pcgen.objectives import r1, r2


class Two(nn.Module):
    """Features of rows [B, 3], with a condition that shifts them."""

    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(3, (5,), 4)

    def forward(self, rows: Tensor, condition: Tensor | None) -> Tensor:
        return self.net(rows) if condition is None else self.net(rows + condition)


def critic(*, statistics: bool = True) -> FeatureCritic:
    torch.manual_seed(0)
    return FeatureCritic(Two(), 4, statistics=statistics).double()


@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 100))
def test_deviation_is_the_mean_standard_deviation_of_the_columns(rows, columns, seed) -> None:
    features = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()
    expected = features.std(0, correction=0).mean()
    torch.testing.assert_close(deviation(features), expected)
    torch.testing.assert_close(deviation(3 * features.flip(0) + 7), 3 * expected)


def test_equal_rows_one_row_and_none_deviate_by_nothing_and_have_no_slope() -> None:
    for rows in (torch.ones(3, 2), torch.ones(1, 2), torch.ones(0, 2)):
        rows.requires_grad_(True)
        value = deviation(rows)
        assert float(value.detach()) == 0.0
        if value.requires_grad:
            value.backward()
            assert torch.equal(rows.grad, torch.zeros_like(rows))


def test_deviation_has_the_gradient_of_differences() -> None:
    rows = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(deviation, (rows,))
    assert torch.autograd.gradgradcheck(deviation, (rows,))


def test_a_critic_recognises_equal_events_by_their_batch() -> None:
    """The same event among equal ones has another logit than among others."""
    net, rows = critic(), torch.randn(4, 3, dtype=torch.float64)
    alone = net(rows[:1].expand(4, 3))
    assert not torch.allclose(net(rows)[0], alone[0])
    plain = critic(statistics=False)
    torch.testing.assert_close(plain(rows)[0], plain(rows[:1].expand(4, 3))[0])


def influence(net: Conditioned, rows: Tensor, *, alone: bool) -> Tensor:
    """Norm of the gradient of each logit in each row [B, B]."""

    def logits(at: Tensor) -> Tensor:
        return (net.alone(at) if alone else net(at)).flatten()

    return torch.autograd.functional.jacobian(logits, rows).norm(dim=2)


@pytest.mark.parametrize("factor", [None, 2.0])
def test_no_event_influences_another_where_a_penalty_looks(factor: float | None) -> None:
    net: nn.Module = critic()
    if factor is not None:
        net = SpectralCritic(net, factor).double().eval()
    rows = torch.randn(4, 3, dtype=torch.float64)
    seen = Conditioned(net, torch.zeros(4, 3, dtype=torch.float64))
    torch.testing.assert_close(seen.alone(rows), seen(rows))
    other = ~torch.eye(4, dtype=torch.bool)
    assert bool((influence(seen, rows, alone=False)[other] > 0).all())
    assert bool((influence(seen, rows, alone=True)[other] == 0).all())


@pytest.mark.parametrize("penalty", [r1, r2])
def test_penalties_are_those_of_each_event_among_given_others(penalty) -> None:
    """The same number event by event, with the deviation of the batch as a constant."""
    net, real, generated = critic(), *torch.randn(2, 4, 3, dtype=torch.float64)
    seen = Conditioned(net, torch.zeros(4, 3, dtype=torch.float64))
    got = Adversary(penalty=penalty).slope(seen, real, generated)
    rows = real if penalty is r1 else generated
    common = deviation(net.features(rows)).detach().expand(1, 1)

    def logit(at: Tensor) -> Tensor:
        return net.head(torch.cat([net.features(at), common], 1))

    each = [penalty(logit, row[None], row[None]) for row in rows]
    torch.testing.assert_close(got, torch.cat(each))
    not_alone = penalty(seen, real, generated)
    assert not torch.allclose(got, not_alone)


def test_a_generator_learns_from_the_deviation() -> None:
    """Where the logit is the deviation alone, what raises it is to spread the events."""
    net = critic()
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.weight[0, -1] = 1.0
    rows = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    before = deviation(net.features(rows))
    Adversary().generator_loss(Conditioned(net, torch.zeros(4, 3)), rows, rows)[
        "generator"
    ].backward()
    assert deviation(net.features(rows - 0.1 * rows.grad)) > before
