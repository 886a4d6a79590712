"""Triton kernels find the rows of the reference: on a GPU, or without by their interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ragged_clouds import Problem, problem
from torch import Tensor

from pcgen.ops._kernels import neighbors_torch

pytest.importorskip("triton")

from pcgen.ops._kernels import farthest_triton, neighbors_triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
KINDS = [
    ("normal", torch.float32, 3, 1e3),
    ("lattice", torch.float32, 2, 0.0),
    ("normal", torch.float64, 1, 0.0),
]
SIZES = [[5, 0, 7, 70], [131, 1, 0], [0, 0], []]


@pytest.fixture(params=[None, 2.0], ids=["line", "circle"])
def length(request: pytest.FixtureRequest) -> float | None:
    return request.param


@pytest.fixture(params=KINDS, ids=["float32", "lattice", "float64"])
def cases(request: pytest.FixtureRequest) -> list[Problem]:
    kind, dtype, d, offset = request.param
    options = {"dtype": dtype, "kind": kind, "offset": offset}
    return [problem(sizes, sizes[::-1], d, **options) for sizes in SIZES]


def there(case: Problem) -> Problem:
    return Problem(*(tensor.to(DEVICE) for tensor in case))


def periods(case: Problem, length: float | None) -> list[float]:
    return [0.0] * (case.x.shape[1] - 1) + [length or 0.0]


def same(got: Tensor, expected: Tensor) -> None:
    assert torch.equal(got.cpu(), expected)


def test_both_directions_in_one_launch(cases: list[Problem], length: float | None) -> None:
    for case in cases:
        around = periods(case, length)
        to_y, to_x = neighbors_triton.both(*there(case), around)
        same(to_y[:, None], neighbors_torch.search(*case, 1, around))
        turned = case.y, case.x, case.ptr_y, case.ptr_x
        same(to_x[:, None], neighbors_torch.search(*turned, 1, around))


@pytest.mark.parametrize("k", [1, 3])
def test_one_direction(cases: list[Problem], length: float | None, k: int) -> None:
    for case in cases:
        around = periods(case, length)
        expected = neighbors_torch.search(*case, k, around)
        same(neighbors_triton.search(*there(case), k, around), expected)


def test_farthest_points(cases: list[Problem], length: float | None) -> None:
    for case in cases:
        around = periods(case, length)
        half = (case.ptr_x[1:] - case.ptr_x[:-1] + 1) // 2
        ptr_out = torch.cat((case.ptr_x[:1], half.cumsum(0)))
        arguments = case.x, case.ptr_x, case.ptr_x[:-1], ptr_out
        expected = neighbors_torch.farthest(*arguments, around)
        moved = (tensor.to(DEVICE) for tensor in arguments)
        same(farthest_triton.farthest(*moved, around), expected)


def test_near_ties_are_decided_in_double_precision() -> None:
    """In float32 the two squares are equal; they lie in one tile, or in two."""
    for apart in (1, 40):
        y = torch.full((100, 2), 9.0)
        y[3], y[3 + apart] = torch.tensor([1.0, 3e-5]), torch.tensor([1.0, 1e-5])
        case = Problem(torch.zeros(1, 2), y, torch.tensor([0, 1]), torch.tensor([0, 100]))
        assert neighbors_triton.search(*there(case), 1, [0.0, 0.0]).item() == 3 + apart


COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from pcgen.ops._kernels import farthest_triton, neighbors_triton

def build(kernel, types, constants):
    types = iter(types.split())
    signature = {n: "constexpr" if n in constants else next(types) for n in kernel.arg_names}
    constants = {(i,): constants[n] for i, n in enumerate(kernel.arg_names) if n in constants}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    built = compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 2})
    assert built.asm["cubin"]

for wide in (False, True):
    real = "*fp64" if wide else "*fp32"
    types = f"{real} {real} *i64 *i64 *i64 *i64 *fp64 i32 i32"
    constants = {"D": 2, "QUERIES": 64, "WIDE": wide, "PERIODIC": wide}
    build(neighbors_triton.one_kernel, types, constants)
types = "*fp32 *fp32 *i64 *i64 *i64 *fp64 i32 i32"
build(neighbors_triton.several_kernel, types, {"D": 2, "QUERIES": 64})
types = "*fp32 *i64 *i64 *i64 *fp64 *i64 *fp64"
build(farthest_triton.farthest_kernel, types, {"D": 2, "POINTS": 1024})
"""


@pytest.mark.slow
def test_kernels_compile_for_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    """The interpreter takes what the compiler refuses: types that change in a loop, say."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", COMPILE]
    subprocess.run(command, check=True, env=environment)
