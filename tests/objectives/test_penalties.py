"""Gradient penalties in closed form on critics whose gradient is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import MLP, EPiCEncoder
from pcgen.objectives import gradient_penalty, r1, r1_r2, r2, roth, wgan_gp
from pcgen.objectives.penalties import between
from pcgen.standardize import channels

PENALTIES: dict[str, Callable[..., Tensor]] = {
    "r1": r1,
    "r2": r2,
    "r1_r2": r1_r2,
    "roth": roth,
    "wgan_gp": wgan_gp,
}


def linear(slope: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: x @ slope


def quadratic(x: Tensor) -> Tensor:
    """D(x) = |x|² / 2, whose gradient is x."""
    return 0.5 * x.square().sum(1)


@given(st.integers(1, 5), st.floats(0.0, 3.0), st.integers(0, 99))
def test_linear_critic(number: int, centre: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    slope = torch.randn(3, generator=draw, dtype=torch.float64)
    points = torch.randn(number, 3, generator=draw, dtype=torch.float64)
    expected = (slope.norm() - centre).square().expand(number)
    got = gradient_penalty(linear(slope), points, centre=centre)
    torch.testing.assert_close(got, expected)
    anywhere = wgan_gp(linear(slope), points, -points)
    torch.testing.assert_close(anywhere, (slope.norm() - 1).square().expand(number))


def test_quadratic_critic_sees_where_it_is() -> None:
    real, generated = torch.randn(2, 6, 3, dtype=torch.float64)
    at_real, at_generated = real.square().sum(1), generated.square().sum(1)
    torch.testing.assert_close(r1(quadratic, real, generated), at_real)
    torch.testing.assert_close(r2(quadratic, real, generated), at_generated)
    torch.testing.assert_close(r1_r2(quadratic, real, generated), at_real + at_generated)
    weighted = torch.sigmoid(-0.5 * at_real) ** 2 * at_real
    weighted = weighted + torch.sigmoid(0.5 * at_generated) ** 2 * at_generated
    torch.testing.assert_close(roth(quadratic, real, generated), weighted)
    places = between(real, generated, generator=torch.Generator().manual_seed(5))
    got = wgan_gp(quadratic, real, generated, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(got, (places.norm(dim=1) - 1).square())


def test_places_in_between_are_uniform_on_the_line() -> None:
    x, y = torch.zeros(20_000, 2), torch.tensor([[1.0, -2.0]]).expand(20_000, 2)
    part = between(x, y)
    torch.testing.assert_close(part[:, 1], -2 * part[:, 0])
    assert 0 <= part[:, 0].min() < 0.001 < 0.999 < part[:, 0].max() <= 1
    assert float(part[:, 0].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(part[:, 0].var()) == pytest.approx(1 / 12, abs=0.003)


def test_each_sample_has_the_norm_of_all_its_dimensions() -> None:
    points = torch.randn(4, 2, 3, dtype=torch.float64)
    got = gradient_penalty(lambda x: 0.5 * x.square().sum((1, 2)), points)
    torch.testing.assert_close(got, points.square().sum((1, 2)))


def test_logits_of_two_dimensions_are_fine_and_weights_meet_their_sample() -> None:
    points = torch.randn(5, 3, dtype=torch.float64)
    got = gradient_penalty(lambda x: quadratic(x)[:, None], points, weight=lambda logit: logit)
    torch.testing.assert_close(got, 0.5 * points.square().sum(1) ** 2)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalty_teaches_the_critic(name: str) -> None:
    """The gradient in the parameters is the finite difference of its value."""
    critic = MLP(3, (6,), 1, activation=nn.Tanh).double()
    real, generated = torch.randn(2, 4, 3, dtype=torch.float64)

    def penalty() -> Tensor:
        draw = torch.Generator().manual_seed(1)
        return PENALTIES[name](critic, real, generated, generator=draw).sum()

    weight = critic.hidden[0].weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    step = 1e-6
    for index in ((0, 0), (3, 2)):
        with torch.no_grad():
            weight[index] += step
            above = penalty()
            weight[index] -= 2 * step
            below = penalty()
            weight[index] += step
        slope = float(above - below) / (2 * step)
        assert float(gradient[index]) == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("centre", [0.0, 1.0])
def test_flat_critic_has_finite_gradients(centre: float) -> None:
    scale = torch.zeros((), requires_grad=True)
    loss = gradient_penalty(lambda x: scale * quadratic(x), torch.zeros(3, 2), centre=centre)
    assert loss.tolist() == [centre**2] * 3
    (gradient,) = torch.autograd.grad(loss.sum(), scale)
    assert torch.isfinite(gradient)
    dead = gradient_penalty(lambda x: 0 * x[:, 0].detach() + scale, torch.ones(3, 2), centre=centre)
    assert dead.tolist() == [centre**2] * 3


def test_the_penalty_does_not_reach_what_made_the_points() -> None:
    """The critic pays for it, not the generator."""
    points, scale = torch.randn(3, 2, requires_grad=True), torch.ones((), requires_grad=True)
    loss = gradient_penalty(lambda x: scale * quadratic(x), points).sum()
    of_points, of_scale = torch.autograd.grad(loss, [points, scale], allow_unused=True)
    assert of_points is None
    assert of_scale is not None


def test_clouds_have_a_norm_each() -> None:
    """D(cloud) = sum of |x|² / 2 has the gradient x at each point."""
    points, ptr = torch.randn(5, 2, dtype=torch.float64), torch.tensor([0, 2, 2, 5])

    def critic(x: Tensor) -> Tensor:
        each = 0.5 * x.square().sum(1)
        return torch.stack([each[:2].sum(), each[:0].sum(), each[2:].sum()])

    expected = points.square().sum(1)
    expected = torch.stack([expected[:2].sum(), expected[:0].sum(), expected[2:].sum()])
    torch.testing.assert_close(gradient_penalty(critic, points, ptr=ptr), expected)


def test_critic_of_clouds_learns_from_it() -> None:
    clouds = pc.make(torch.randn(7, 2), [4, 0, 3], x=torch.randn(7, 1))
    net = EPiCEncoder(3, 1, hidden=8)

    def critic(x: Tensor) -> Tensor:
        return net(pc.replace(clouds, pos=x[:, :2], x=x[:, 2:]))

    penalty = gradient_penalty(critic, channels(clouds), ptr=clouds.ptr)
    assert penalty[1] == 0
    assert (penalty[[0, 2]] > 0).all()
    penalty.sum().backward()
    gradient = net.point_in.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match=r"critic: got logits \(3, 2\), expected \(3,\)"):
        gradient_penalty(lambda x: x, torch.zeros(3, 2))
    with pytest.raises(ArgumentError, match=r"between: got \(3, 2\) and \(2, 2\), expected equal"):
        wgan_gp(quadratic, torch.zeros(3, 2), torch.zeros(2, 2))
