"""Chamfer: ours, the forms that people write, packages, and raw searches as the limit.

Everybody computes the same number: squared distances, mean over the points, both sides summed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen import clouds as pc
from pcgen.datasets import sample_jets
from pcgen.ops import chamfer, nearest
from pcgen.ops.ragged import to_dense
from pcgen.tools.benchmarks.measure import Case, Contender, Run

BATCHES = (32, 256, 1024)
POINTS = (30, 150, 512, 2048, 8192)


class Clouds(NamedTuple):
    """Two sets of B clouds, packed, and padded [B, n, D] with the number of points in each."""

    x: Tensor
    y: Tensor
    ptr_x: Tensor
    ptr_y: Tensor

    def padded(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Points [B, n, D] and which of them are there [B, n], of both sides."""
        x, there_x = to_dense(self.x.detach(), self.ptr_x)
        y, there_y = to_dense(self.y.detach(), self.ptr_y)
        return x.requires_grad_(), there_x, y.requires_grad_(), there_y


def cases(device: str, quick: bool) -> list[Case[Clouds]]:
    """Normal clouds of equal size in space for all B and n, and jets of the shipped sample."""
    batches, points = ((4,), (30, 64)) if quick else (BATCHES, POINTS)
    sizes = [(b, n) for b in batches for n in points] + [(4, 2048)] * (not quick)
    found = [
        Case(f"B={b}, n={n}", 2.0 * b * n * n, partial(normal, b, n, device)) for b, n in sizes
    ]
    return [
        *found,
        *(Case(f"B={b}, jets", 2.0 * b * 60**2, partial(jets, b, device)) for b in batches),
    ]


def normal(batch: int, points: int, device: str, dimensions: int = 3) -> Clouds:
    """B pairs of normal clouds."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, batch * points, dimensions, generator=generator).to(device)
    ptr = torch.arange(batch + 1, device=device) * points
    return Clouds(rows[0].requires_grad_(), rows[1].requires_grad_(), ptr, ptr)


def jets(batch: int, device: str) -> Clouds:
    """B pairs of jets, 9 to 170 particles each."""
    sample = sample_jets("all").read(0, 2 * batch)
    first, second = (pc.select(sample, slice(k, 2 * batch, 2)) for k in (0, 1))
    x, y = (side.pos.to(device).requires_grad_() for side in (first, second))
    return Clouds(x, y, first.ptr.to(device), second.ptr.to(device))


def contenders() -> list[Contender[Clouds]]:
    """All that take part where they are installed."""
    return [
        Contender("pcgen", _ours, "ours"),
        Contender("torch.cdist", _dense(_cdist), bytes_per_work=10.0),
        Contender("broadcasting", _dense(_broadcast), bytes_per_work=24.0),
        Contender("torch_cluster.knn + gather", _gather(_cluster_search), module="torch_cluster"),
        Contender("KeOps", _keops, module="pykeops.torch"),
        Contender("PyTorch3D", _pytorch3d, module="pytorch3d.loss"),
        Contender("chamferdist", _chamferdist, module="chamferdist"),
        Contender(
            "torch_cluster.knn, search alone", _search(_cluster_search), "limit", "torch_cluster"
        ),
        Contender(
            "SciPy KD-tree, search alone", _search(_tree_search), "limit", "scipy", devices=("cpu",)
        ),
    ]


def wrong_neighbours(offset: float) -> tuple[float, float]:
    """Wrong nearest neighbours at an offset of the coordinates: ours, and ``torch.cdist``'s."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(200, 3, generator=generator) + offset for _ in range(2))
    exact = (x[:, None].double() - y[None].double()).square().sum(-1)
    least = exact.min(1).values

    def rate(index: Tensor) -> float:
        # Points at the same distance are equally near.
        return (exact.gather(1, index[:, None])[:, 0] > least).double().mean().item()

    return rate(nearest(x, y)), rate(torch.cdist(x, y).argmin(1))


def _ours(given: Clouds) -> Run:
    return Run(lambda: chamfer(*given), (given.x, given.y))


def _dense(square: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Clouds], Run]:
    """Chamfer from the matrix of squared distances of padded clouds."""

    def prepare(given: Clouds) -> Run:
        x, there_x, y, there_y = given.padded()
        ragged = not bool(there_x.all() and there_y.all())

        def forward() -> Tensor:
            matrix = square(x, y)
            if ragged:
                both = there_x[:, :, None] & there_y[:, None, :]
                matrix = matrix.masked_fill(~both, torch.inf)
            sides = matrix.min(2).values, matrix.min(1).values
            return _mean(sides[0], there_x) + _mean(sides[1], there_y)

        return Run(forward, (x, y))

    return prepare


def _mean(value: Tensor, there: Tensor) -> Tensor:
    return torch.where(there, value, 0.0).sum(1) / there.sum(1)


def _cdist(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y).square()


def _broadcast(x: Tensor, y: Tensor) -> Tensor:
    return (x[:, :, None] - y[:, None, :]).square().sum(-1)


Search = Callable[[Clouds], tuple[Tensor, Tensor]]
"""Rows of y nearest to those of x, and the reverse."""


def _cluster_search(given: Clouds) -> tuple[Tensor, Tensor]:
    from torch_cluster import knn

    x, y = given.x.detach(), given.y.detach()
    batch = [_owner(ptr) for ptr in (given.ptr_x, given.ptr_y)]
    return knn(y, x, 1, batch[1], batch[0])[1], knn(x, y, 1, batch[0], batch[1])[1]


def _tree_search(given: Clouds) -> tuple[Tensor, Tensor]:
    from scipy.spatial import cKDTree

    x, y = given.x.detach().numpy(), given.y.detach().numpy()
    ends = zip(given.ptr_x[:-1], given.ptr_x[1:], given.ptr_y[:-1], given.ptr_y[1:], strict=True)
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    workers = torch.get_num_threads()
    for a, b, c, d in ends:
        one, other = x[a:b], y[c:d]
        found[0].append(cKDTree(other).query(one, workers=workers)[1] + int(c))
        found[1].append(cKDTree(one).query(other, workers=workers)[1] + int(a))
    first, second = (torch.from_numpy(np.concatenate(side)) for side in found)
    return first, second


def _owner(ptr: Tensor) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(ptr) - 1, device=ptr.device), ptr.diff())


def _gather(search: Search) -> Callable[[Clouds], Run]:
    """The value by plain torch at the neighbours of a search."""

    def prepare(given: Clouds) -> Run:
        return Run(lambda: _at(given, *search(given)), (given.x, given.y))

    return prepare


def _search(search: Search) -> Callable[[Clouds], Run]:
    """The search alone; the value from its neighbours is computed after the clock stops."""
    return lambda given: Run(lambda: torch.cat(search(given)))


def _at(given: Clouds, of_x: Tensor, of_y: Tensor) -> Tensor:
    total = given.x.new_zeros(len(given.ptr_x) - 1)
    for one, other, index, ptr in (
        (given.x, given.y, of_x, given.ptr_x),
        (given.y, given.x, of_y, given.ptr_y),
    ):
        square = (one - other[index]).square().sum(1)
        total = total + total.new_zeros(len(total)).index_add(0, _owner(ptr), square) / ptr.diff()
    return total


def _keops(given: Clouds) -> Run:
    lazy = import_module("pykeops.torch").LazyTensor

    def search(one: Tensor, other: Tensor, ptr: Tensor, other_ptr: Tensor) -> Tensor:
        x, y = lazy(one[:, None, :].detach()), lazy(other[None, :, :].detach())
        matrix = ((x - y) ** 2).sum(-1)
        ends = [torch.stack([p[:-1], p[1:]], 1).int() for p in (ptr, other_ptr)]
        number = torch.arange(1, len(ptr), device=ptr.device).int()
        matrix.ranges = (ends[0], number, ends[1], ends[1], number, ends[0])
        return matrix.argmin(1).flatten()

    def forward() -> Tensor:
        of_x = search(given.x, given.y, given.ptr_x, given.ptr_y)
        return _at(given, of_x, search(given.y, given.x, given.ptr_y, given.ptr_x))

    return Run(forward, (given.x, given.y))


def _pytorch3d(given: Clouds) -> Run:
    distance = import_module("pytorch3d.loss").chamfer_distance
    x, there_x, y, there_y = given.padded()
    lengths = {"x_lengths": there_x.sum(1), "y_lengths": there_y.sum(1)}
    return Run(lambda: distance(x, y, batch_reduction=None, **lengths)[0], (x, y))


def _chamferdist(given: Clouds) -> Run:
    x, there_x, y, there_y = given.padded()
    if not bool(there_x.all() and there_y.all()):
        raise ValueError("equal sizes only")
    distance = import_module("chamferdist").ChamferDistance()
    how = {"batch_reduction": None, "point_reduction": "mean"}
    return Run(lambda: distance(x, y, bidirectional=True, **how), (x, y))
