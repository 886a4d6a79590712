"""The compiled loops of the searches, run as the Python that they are written in."""

from __future__ import annotations

import pytest
import torch
from numba.core.dispatcher import Dispatcher
from ragged_clouds import Problem, pointer, problem

from pcgen.ops._kernels import extremes, extremes_compiled, farthest_compiled, neighbors_compiled
from pcgen.ops._kernels import neighbors_numba as numba
from pcgen.ops._kernels import neighbors_torch as reference


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (extremes_compiled, farthest_compiled, neighbors_compiled):
        loops = {n: v.py_func for n, v in vars(module).items() if isinstance(v, Dispatcher)}
        assert loops
        for name, function in loops.items():
            monkeypatch.setattr(module, name, function)
    fixed = "to_fixed_tuple"  # known to the compiler alone
    monkeypatch.setattr(neighbors_compiled, fixed, lambda array, size: tuple(array[:size]))
    monkeypatch.setattr(neighbors_compiled, "STAGE", 5)  # many stages


CASES = {
    "a block": problem([4, 1, 0], [20, 3, 2]),
    "some blocks": problem([5, 3], [70, 33]),
    "a filled-up axis": problem([4], [40], 1),
    "double": problem([4, 2], [70, 1], dtype=torch.float64),
    "ties": problem([6, 2], [80, 0], 2, kind="lattice"),
    "coincident": problem([3], [70], 2, kind="coincident", offset=1e3),
    "axes that are not unrolled": problem([3, 2], [40, 9], 11),
}


@pytest.mark.parametrize("period", [0.0, 2.5])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rows_are_those_of_the_reference(case: Problem, period: float) -> None:
    around = [0.0] * (case.x.shape[1] - 1) + [period]
    for k in (1, 3):
        expected = reference.search(*case, k, around)
        assert torch.equal(numba.search(*case, k, around), expected)
    for radius in (0.0, 1.5):
        got = numba.within(*case, radius, around)
        expected = reference.within(*case, radius, around)
        assert all(map(torch.equal, got, expected))


@pytest.mark.parametrize("kind", ["normal", "lattice"])
def test_farthest_points_are_those_of_the_reference(kind: str) -> None:
    pos, _, ptr, _ = problem([9, 0, 1, 30], [0] * 4, 2, kind=kind)
    arguments = pos, ptr, ptr[:-1], pointer([4, 0, 1, 30]), [0.0, 2.5]
    assert torch.equal(numba.farthest(*arguments), reference.farthest(*arguments))


@pytest.mark.parametrize("largest", [True, False])
def test_extremes_are_those_of_the_scatter(largest: bool) -> None:
    value, ptr = torch.randint(0, 3, (12, 2)).float(), pointer([3, 0, 1, 8])
    value[5, 0] = torch.nan
    got = extremes._by_loop(value, ptr, largest)
    assert torch.equal(got, extremes._by_scatter(value, ptr, largest))
    assert got[3, 0] == 5
