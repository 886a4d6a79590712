"""Which solver for which problem, and what happens where it does not reach the tolerance."""

from __future__ import annotations

import importlib.util
import warnings
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels.problem import Problems, Solution, is_assignment, merge, primal, select
from pcgen.ops._kernels.sinkhorn import sinkhorn
from pcgen.ops.segments import sum_by

Solver = Literal["auto", "exact", "auction", "sinkhorn"]

TOLERANCE = {"exact": 0.0, "auction": 0.01, "sinkhorn": 0.03}
# Points from which the auction beats SciPy's assignment (on a CPU).
AUCTION_FROM = 256
# Tolerance below which Sinkhorn seldom gets there.
SINKHORN_FROM = 0.003
# Pairs of points (one float64 each) beyond which a missed tolerance is not made good.
EXACT_UP_TO = 2**27


class ToleranceWarning(UserWarning):
    """A result is certified, but not to the requested tolerance."""


def solve(
    problems: Problems, solver: Solver, tolerance: float | None
) -> tuple[Solution, Tensor, Tensor]:
    """Solve every problem to the tolerance.

    Args:
        problems: On any device; the exact solvers work on the CPU.
        solver: ``"auto"``: on a GPU the auction for equal masses, and for others Sinkhorn unless
            the tolerance is below 0.003; on a CPU the auction for at least 256 points of equal
            mass; exact otherwise.
        tolerance: Largest gap as a fraction of the bound; 0 means exact whatever the solver. None:
            0.01 for the auction, 0.03 for Sinkhorn.

    Returns:
        The solution; the problems [B] that the exact solver had to solve because the chosen one
        left them above the tolerance; and the tolerance of each [B], infinite where none was named.

    Raises:
        ArgumentError: ``solver`` is unknown, or cannot solve one of the problems.
    """
    choice = _choose(problems, solver, tolerance)
    again = torch.zeros_like(choice, dtype=torch.bool)
    aims = torch.full_like(problems.slack_x, torch.inf if tolerance is None else tolerance)
    small = problems.sides.ptr_x.diff() * problems.sides.ptr_y.diff() <= EXACT_UP_TO
    parts = []
    for name, approximate in ((AUCTION, _auction), (SINKHORN, sinkhorn)):
        index = (choice == name).nonzero().flatten()
        if len(index):
            chosen, aim = select(problems, index), _aim(NAMES[name], tolerance)
            found = approximate(chosen, aim)
            parts.append((index, found))
            cost, error = primal(chosen, found.flow), rounding(chosen, found)
            aims[index] = aim
            missed = ~reached(cost, found.bound, aims[index], error)
            # Where there is no plan at all, memory must do.
            again[index] = missed & (small[index] | found.bound.isinf())
    if not parts:
        return _exact(problems), again, aims
    index = (again | (choice == EXACT)).nonzero().flatten()
    if len(index):
        parts.append((index, _exact(select(problems, index))))
    return merge(problems, parts), again, aims


EXACT, AUCTION, SINKHORN = range(3)
NAMES = ("exact", "auction", "sinkhorn")


def _choose(problems: Problems, solver: Solver, tolerance: float | None) -> Tensor:
    """Solver of each problem [B]."""
    if solver not in ("auto", *NAMES):
        raise ArgumentError(f"solver: got {solver!r}, expected auto, {', '.join(NAMES)}")
    exact = torch.full_like(problems.sides.ptr_x[1:], EXACT)
    if tolerance == 0 or solver == "exact":
        return exact
    if solver == "sinkhorn":
        return torch.full_like(exact, SINKHORN)
    alike = is_assignment(problems)
    if solver == "auction":
        wrong = ~alike & (
            sum_by(problems.sides.weight_x, problems.sides.owner_x, problems.number) > 0
        )
        if bool(wrong.any()):
            raise ArgumentError(
                f"solver: got 'auction' for pair {int(wrong.nonzero()[0])}, which is not balanced "
                "with equally many points of one weight; expected 'exact' or 'sinkhorn'"
            )
        return torch.where(alike, AUCTION, exact)
    if problems.sides.x.is_cuda:
        fine = _aim("sinkhorn", tolerance) < SINKHORN_FROM
        return torch.where(alike, AUCTION, EXACT if fine else SINKHORN)
    return torch.where(alike & (problems.sides.ptr_x.diff() >= AUCTION_FROM), AUCTION, exact)


def _aim(name: str, tolerance: float | None) -> float:
    return TOLERANCE[name] if tolerance is None else tolerance


def _exact(problems: Problems) -> Solution:
    from pcgen.ops._kernels import workspace  # compilers and SciPy take their time
    from pcgen.ops._kernels.exact import optimal

    alike = is_assignment(problems).cpu().numpy()
    return workspace.solve(problems, partial(optimal, alike=alike))


def _auction(problems: Problems, tolerance: float) -> Solution:
    if problems.sides.x.is_cuda and importlib.util.find_spec("triton") is not None:
        from pcgen.ops._kernels import auction_triton

        return auction_triton.auction(problems, tolerance)
    from pcgen.ops._kernels import workspace
    from pcgen.ops._kernels.auction import auction

    return workspace.solve(problems, partial(auction, tolerance=tolerance))


def rounding(problems: Problems, solution: Solution) -> Tensor:
    """How far float64 resolves the gaps [B]: the bound is a sum of terms that cancel."""
    terms = sum_by(
        solution.price_x.abs() * problems.sides.weight_x, problems.sides.owner_x, problems.number
    )
    terms += sum_by(
        solution.price_y.abs() * problems.sides.weight_y, problems.sides.owner_y, problems.number
    )
    return 1e-12 * terms


def reached(cost: Tensor, bound: Tensor, tolerance: Tensor, rounding: Tensor) -> Tensor:
    """Which costs [B] are proven to be at most 1 + ``tolerance`` [B] times the optimum."""
    unasked = tolerance.isinf()
    return unasked | (cost - bound <= tolerance * bound.clamp(min=0.0) + rounding)


def warn_unless(cost: Tensor, bound: Tensor, tolerance: Tensor, rounding: Tensor) -> None:
    """Say how many results missed the tolerance, and by how much."""
    missed = ~reached(cost, bound, tolerance, rounding)
    if bool(missed.any()):
        excess = torch.where(missed, cost / bound.clamp(min=1e-300) - 1.0, -1.0)
        worst = int(excess.argmax())
        warnings.warn(
            f"earth_mover: {int(missed.sum())} of {len(missed)} results miss the tolerance "
            f"{float(tolerance[worst]):g}; the worst is proven to {float(excess[worst]):.3g} only "
            "(see gap)",
            ToleranceWarning,
            stacklevel=4,
        )
