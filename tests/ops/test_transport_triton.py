"""The GPU kernels: on a GPU where one is at hand, otherwise in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton")

from pcgen.ops._kernels import auction_triton, sinkhorn_triton
from pcgen.ops._kernels.dense import densify
from pcgen.ops._kernels.problem import Problems, primal
from pcgen.ops._kernels.sinkhorn import anneal
from pcgen.ops._kernels.solvers import _exact
from pcgen.ops.ragged import owners
from pcgen.ops.sides import Sides

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def problems(
    sizes_x: list[int],
    sizes_y: list[int],
    *,
    p: int = 1,
    offset: float = 0.0,
    period: tuple[float, ...] = (0.0, 0.0),
    slack: float = 0.0,
    uniform: bool = False,
) -> Problems:
    ptr_x, ptr_y = (torch.tensor([0, *s]).cumsum(0) for s in (sizes_x, sizes_y))
    x, y = (torch.randn(sum(s), 2).double() + offset for s in (sizes_x, sizes_y))
    masses = [[torch.rand(n).double().softmax(0) for n in s] for s in (sizes_x, sizes_y)]
    if uniform:
        masses = [[torch.full_like(m, 1 / max(len(m), 1)) for m in side] for side in masses]
    mass_x, mass_y = torch.cat(masses[0]), (1 + slack) * torch.cat(masses[1])
    none = torch.zeros(len(sizes_x)).double()
    given = (x, y, ptr_x, ptr_y, owners(ptr_x, len(x)), owners(ptr_y, len(y)), mass_x, mass_y)
    given = [value.to(DEVICE) for value in (*given, none + slack, none)]
    return Problems(Sides(*given[:8], period), *given[8:], 0.7, p)


@pytest.mark.parametrize(("p", "offset", "period"), [(1, 1000.0, (0.0, 0.0)), (2, 0.0, (0.0, 3.0))])
def test_auction_is_certified(p: int, offset: float, period: tuple[float, ...]) -> None:
    given = problems([5, 1, 21, 0], [5, 1, 21, 0], p=p, offset=offset, period=period, uniform=True)
    found, exact = auction_triton.auction(given, 0.05), _exact(given)
    cost, optimum = primal(given, found.flow), primal(given, exact.flow)
    for k in range(3):
        rows = slice(int(given.sides.ptr_x[k]), int(given.sides.ptr_x[k + 1]))
        assert sorted(found.flow.target[rows].tolist()) == list(range(rows.start, rows.stop))
    assert (cost[:3] >= optimum[:3] - 1e-12).all()
    assert (found.bound[:3] <= optimum[:3] + 1e-12).all()
    assert (cost[:3] - found.bound[:3] <= 0.05 * found.bound[:3]).all()


def test_auction_reports_where_it_gave_up() -> None:
    given = problems([4, 3], [4, 3], uniform=True)
    first = given.sides.owner_x[:, None] == 0
    sides = given.sides._replace(y=torch.where(first, given.sides.x, given.sides.y))
    given = given._replace(sides=sides)
    bound = auction_triton.auction(given, 1e-3).bound
    assert bound[0] <= 0 < bound[1]


@pytest.mark.parametrize("slack", [0.0, 0.3])
@pytest.mark.parametrize("softness", [None, 0.5])
def test_fused_iterations_are_those_of_torch(slack: float, softness: float | None) -> None:
    given = problems([5, 33], [7, 20], slack=slack, offset=100.0, period=(0.0, 3.0))
    dense = densify(given)
    soft = None if softness is None else torch.full_like(dense.scale, softness)
    epsilon = torch.full_like(dense.scale, 0.1).float()
    fused = sinkhorn_triton.Fused(given, dense, soft)
    narrow = [value.float() for value in (dense.cost, dense.mass_x, dense.mass_y)]

    def compare(left: Tensor, right: Tensor, present: Tensor) -> None:
        torch.testing.assert_close(left[present], right[present], rtol=1e-4, atol=1e-5)

    start = None
    for temperature, steps in ((epsilon, 0), (0.5 * epsilon, 4)):
        got = fused(start, temperature, steps)
        start = anneal(
            *narrow, start, temperature, steps=steps,
            softness=None if soft is None else soft.float(),
        )  # fmt: skip
        compare(got.f, start.f, dense.present_x)
        compare(got.g, start.g, dense.present_y)
        torch.testing.assert_close(got.epsilon, temperature)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_earth_mover_on_a_gpu_is_certified() -> None:
    from pcgen.ops.transport import earth_mover

    for sizes in ([30, 50, 0, 1], [300, 300]):
        ptr = torch.tensor([0, *sizes], device=DEVICE).cumsum(0)
        x, y = (torch.randn(sum(sizes), 2, device=DEVICE) for _ in range(2))
        weight = torch.cat([torch.rand(n, device=DEVICE).softmax(0) for n in sizes])
        for options in ({}, {"weight_x": weight}):
            got = earth_mover(x, y, ptr, ptr, **options)
            exact = earth_mover(x, y, ptr, ptr, solver="exact", **options)
            assert (got.cost >= exact.cost * (1 - 1e-5)).all()
            assert (got.cost - got.gap <= exact.cost * (1 + 1e-5)).all()
            assert (got.gap <= 0.031 * got.cost).all()


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from pcgen.ops._kernels import auction_triton, sinkhorn_triton

def build(kernel, integers, scalars, constants, wide=False):
    pointer = "*fp64" if wide else "*fp32"
    types = {n: "constexpr" if n in constants else integers.get(n, scalars.get(n, pointer))
             for n in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=types, constexprs=constants)
    built = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4})
    assert len(built.asm["cubin"]) > 0, kernel

rows = dict.fromkeys(("ptr", "target", "holder", "queue", "offer"), "*i64") | {"left": "*i32"}
block = {"D": 2, "P": 1, "BIDDERS": auction_triton.BIDDERS, "TILE": auction_triton.TILE}
build(auction_triton.bid_kernel, rows, {"patience": "i32"}, block)
build(auction_triton.offer_kernel, rows, {}, block, wide=True)
block = {"D": 3, "P": 2, "ROWS": sinkhorn_triton.ROWS, "TILE": sinkhorn_triton.TILE}
numbers = dict.fromkeys(("steps", "n", "m"), "i32") | {"fall": "fp32", "relax": "fp32"}
build(sinkhorn_triton.anneal_kernel, {}, numbers, block)
"""


@pytest.mark.slow
def test_kernels_compile_for_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", COMPILE], check=True, env=environment)
