"""Integrators of trajectories: orders, agreement with SciPy, tolerance, edges."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.integrate import solve_ivp

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.ode import Integrator


def turning(x: torch.Tensor, t: float) -> torch.Tensor:
    """A velocity that depends on time and place, of no closed form."""
    return torch.stack([-x[..., 1] * (1 + t), torch.sin(x[..., 0]) + t**2], -1)


def exact(start: torch.Tensor) -> torch.Tensor:
    """SciPy's answer of high order."""

    def slope(t, x):
        return turning(torch.from_numpy(x), t).numpy()

    ends = [solve_ivp(slope, (0, 1), x.numpy(), rtol=1e-11, atol=1e-12).y[:, -1] for x in start]
    return torch.stack([torch.from_numpy(end) for end in ends])


START = torch.tensor([[1.0, 0.0], [0.3, -0.7], [0.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(("rule", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_halving_the_steps_divides_the_error_by_two_to_the_order(rule, order):
    truth = exact(START)
    errors = [
        float((Integrator(rule, steps)(turning, START) - truth).norm()) for steps in (16, 32, 64)
    ]
    for coarse, fine in itertools.pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
def test_the_adaptive_rule_keeps_its_tolerance(tolerance):
    end = Integrator("adaptive", tolerance=tolerance)(turning, START)
    assert float((end - exact(START)).abs().max()) < 3 * tolerance


def test_the_adaptive_rule_takes_steps_where_they_are_needed():
    """dx/dt = 1 / (1.01 - t), whose integral is log(101): it changes most near the end."""
    times: list[float] = []

    def steep(x, t):
        times.append(t)
        return torch.full_like(x, 1 / (1.01 - t))

    end = Integrator("adaptive", tolerance=1e-5)(steep, torch.zeros(1, dtype=torch.float64))
    assert float(end) == pytest.approx(math.log(101), abs=3e-4)
    assert sum(t > 0.9 for t in times) > 0.3 * len(times)
    assert max(times) <= 1.0
    fixed = Integrator("midpoint", len(times) // 2)(steep, torch.zeros(1, dtype=torch.float64))
    assert abs(float(fixed) - math.log(101)) > 10 * abs(float(end) - math.log(101))


def test_evaluations_are_those_of_the_table():
    for rule, of_step in (("euler", 1), ("midpoint", 2), ("heun", 2)):
        calls: list[float] = []

        def counted(x, t, calls=calls):
            calls.append(t)
            return x

        Integrator(rule, 7)(counted, START)
        assert len(calls) == 7 * of_step
        assert (max(calls) == pytest.approx(1.0)) == (rule == "heun")


@pytest.mark.parametrize("rule", ["euler", "midpoint", "heun", "adaptive"])
def test_nothing_is_carried_nowhere(rule):
    assert Integrator(rule)(turning, torch.zeros(0, 2)).shape == (0, 2)


def test_what_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="solver: got 'rk4', expected euler, midpoint"):
        Integrator("rk4")
    for steps, tolerance in ((0, 1e-3), (3, 0.0), (3, math.nan), (3, 1.0)):
        with pytest.raises(ArgumentError, match="steps, tolerance: got"):
            Integrator("heun", steps, tolerance)
    with pytest.raises(DataError, match="adaptive: got no end of a trajectory"):
        Integrator("adaptive")(lambda x, t: torch.full_like(x, math.nan), torch.zeros(1))


@pytest.mark.parametrize("pace", [0.2, 1.0, 5.0])
def test_steps_of_a_pace_fill_the_time_and_are_denser_at_one_end(pace):
    times = Integrator(steps=1000, pace=pace).times()
    assert (times[0], times[-1]) == (0.0, 1.0)
    lengths = [b - a for a, b in itertools.pairwise(times)]
    assert min(lengths) > 0
    assert (lengths[0] / lengths[-1]) ** 0.5 == pytest.approx(pace, rel=0.01)


def test_a_pace_that_fits_the_velocity_needs_fewer_steps():
    def early(x, t):  # changes fast at the beginning
        return torch.full_like(x, 20.0 * math.exp(-20.0 * t))

    truth = 1 - math.exp(-20.0)
    errors = [
        abs(float(Integrator("midpoint", 8, pace=pace)(early, torch.zeros(1))) - truth)
        for pace in (0.3, 1.0, 3.0)
    ]
    assert 3 * errors[0] < errors[1] < errors[2] / 3
