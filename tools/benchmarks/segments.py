"""Reductions over segments: ours, torch-scatter, PyG's ``segment`` and ``torch.segment_reduce``.

B segments of n rows of C columns, forward and backward, as all pooling over clouds does it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.utils import segment, softmax

from pcgen.ops import segments
from pcgen.ops.ragged import owners
from pcgen.tools.benchmarks.measure import Case, Contender, Run

SEGMENTS = (32, 256)
ROWS = (30, 150, 2048)
COLUMNS = (1, 64)
REDUCTIONS = ("sum", "mean", "max", "softmax")


class Rows(NamedTuple):
    """Values [N, C] of B segments and their pointer [B+1]."""

    value: Tensor
    ptr: Tensor


Reduce = Callable[[Tensor, Tensor], Tensor]


def cases(device: str, quick: bool) -> list[Case[Rows]]:
    """All B, n and C."""
    grid = [(b, n, c) for b in SEGMENTS for n in ROWS for c in COLUMNS]
    return [
        Case(f"B={b}, n={n}, C={c}", float(b * n * c), partial(normal, b, n, c, device))
        for b, n, c in ([(4, 30, 1), (4, 30, 8)] if quick else grid)
    ]


def normal(number: int, rows: int, columns: int, device: str) -> Rows:
    """Normal values in segments of equal length."""
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(number * rows, columns, generator=generator).to(device)
    return Rows(value.requires_grad_(), torch.arange(number + 1, device=device) * rows)


def contenders(reduction: str) -> list[Contender[Rows]]:
    """All that take part in one of :data:`REDUCTIONS`."""
    ours = getattr(segments, f"segment_{reduction}")
    found = [Contender("pcgen", _run(ours), "ours")]
    if reduction in ("sum", "mean"):  # the others have no second way on the CPU
        plain = _run(partial(_plain, getattr(segments, f"{reduction}_by")))
        found.append(Contender("pcgen, plain torch", plain, "variant"))
    scatter = partial(_scatter, reduction)
    found.append(Contender("torch-scatter", _run(scatter), module="torch_scatter"))
    if reduction == "softmax":
        return [*found, Contender("PyG softmax", _run(_pyg_softmax))]
    return [
        *found,
        Contender("PyG segment", _run(partial(segment, reduce=reduction))),
        Contender("torch.segment_reduce", _run(partial(_torch, reduction))),
    ]


def _run(reduce: Reduce) -> Callable[[Rows], Run]:
    return lambda given: Run(lambda: reduce(given.value, given.ptr), (given.value,))


def _plain(reduce: Callable[[Tensor, Tensor, int], Tensor], value: Tensor, ptr: Tensor) -> Tensor:
    return reduce(value, owners(ptr, len(value)), len(ptr) - 1)


def _scatter(reduction: str, value: Tensor, ptr: Tensor) -> Tensor:
    import torch_scatter

    if reduction == "softmax":
        owner = owners(ptr, len(value))
        return torch_scatter.scatter_softmax(value, owner, 0)
    return torch_scatter.segment_csr(value, ptr, reduce=reduction)


def _pyg_softmax(value: Tensor, ptr: Tensor) -> Tensor:
    return softmax(value, ptr=ptr)


def _torch(reduction: str, value: Tensor, ptr: Tensor) -> Tensor:
    return torch.segment_reduce(value, reduction, offsets=ptr, axis=0)
