"""Transport problems with known answers, for hypothesis."""

from __future__ import annotations

from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor


class Problem(NamedTuple):
    """One pair of clouds, its weights, and what transport costs for p = 1 and p = 2."""

    x: Tensor
    y: Tensor
    weight_x: Tensor
    weight_y: Tensor
    cost: dict[int, float]

    def arguments(self) -> dict[str, Tensor]:
        """Keywords for earth_mover and its kin."""
        return {
            "x": self.x,
            "y": self.y,
            "ptr_x": torch.tensor([0, len(self.x)]),
            "ptr_y": torch.tensor([0, len(self.y)]),
            "weight_x": self.weight_x,
            "weight_y": self.weight_y,
        }


def clouds(sizes: list[int], dimensions: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Random points, pointer and weights that sum to 1 in each cloud; float64."""
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    points = torch.randn(sum(sizes), dimensions, dtype=torch.float64)
    weight = [torch.rand(n, dtype=torch.float64) for n in sizes]
    return points, ptr, torch.cat([w / w.sum() for w in weight])


def _points(n: int, dimensions: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, dimensions, generator=random, dtype=torch.float64)


def _weights(n: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed + 1)
    weight = torch.rand(n, generator=random, dtype=torch.float64) + 0.01
    return weight / weight.sum()


seeds = st.integers(0, 2**20)
sizes = st.integers(1, 12)
dimension = st.integers(1, 4)
scales = st.sampled_from([1e-6, 1.0, 1e5])


@st.composite
def diracs(draw: st.DrawFn) -> Problem:
    """All mass in one point of y: every plan is the product."""
    seed, d, scale = draw(seeds), draw(dimension), draw(scales)
    x, y = scale * _points(draw(sizes), d, seed), scale * _points(1, d, seed + 2)
    weight = _weights(len(x), seed)
    distance = (x - y).norm(dim=1)
    cost = {p: float((weight * distance**p).sum()) for p in (1, 2)}
    return Problem(x, y, weight, torch.ones(1).double(), cost)


@st.composite
def translations(draw: st.DrawFn) -> Problem:
    """The same cloud moved by v costs |v|^p, whatever the weights."""
    seed, d, scale = draw(seeds), draw(dimension), draw(scales)
    x, v = scale * _points(draw(sizes), d, seed), scale * _points(1, d, seed + 2)
    weight = _weights(len(x), seed)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cost = {p: float(v.norm() ** p) for p in (1, 2)}
    return Problem(x, (x + v)[order], weight, weight[order], cost)


@st.composite
def convex_gradients(draw: st.DrawFn) -> Problem:
    """y = A x + b with A positive definite is optimal for p = 2 (Brenier)."""
    seed, d, scale = draw(seeds), draw(dimension), draw(scales)
    x = _points(draw(sizes), d, seed)
    root = _points(d, d, seed + 3)
    y = x @ (root @ root.T) + _points(1, d, seed + 2)
    weight = _weights(len(x), seed)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cost = {2: float(scale**2 * (weight * (x - y).square().sum(1)).sum())}
    return Problem(scale * x, scale * y[order], weight, weight[order], cost)


@st.composite
def lines(draw: st.DrawFn) -> Problem:
    """Points on a line in D dimensions: W1 is the area between the distribution functions."""
    seed, d = draw(seeds), draw(dimension)
    s, t = _points(draw(sizes), 1, seed)[:, 0], _points(draw(sizes), 1, seed + 2)[:, 0]
    a, b = _weights(len(s), seed), _weights(len(t), seed + 5)
    both, order = torch.cat([s, t]).sort()
    difference = torch.cat([a, -b])[order].cumsum(0)
    cost = {1: float((difference[:-1].abs() * both.diff()).sum())}
    direction = _points(1, d, seed + 4)
    direction = direction / direction.norm()
    return Problem(s[:, None] * direction, t[:, None] * direction, a, b, cost)


@st.composite
def gaussians(draw: st.DrawFn) -> Problem:
    """The optimal map between two Gaussians on any cloud: the bound of Gelbrich is attained.

    For the moments of both sides, W2^2 = |m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2).
    """
    seed, d, scale = draw(seeds), draw(st.integers(1, 3)), draw(scales)
    x = _points(draw(st.integers(3 * d, 12)), d, seed)
    weight = _weights(len(x), seed)
    root = _points(d, d, seed + 3)
    y = x @ (root @ root.T + 0.1 * torch.eye(d)) + _points(1, d, seed + 2)
    means, spreads = [], []
    for points in (x, y):
        means.append(weight @ points)
        spreads.append((points - means[-1]).T @ (weight[:, None] * (points - means[-1])))
    half = _square_root(spreads[0])
    cross = _square_root(half @ spreads[1] @ half)
    cost = float((means[0] - means[1]).square().sum() + (sum(spreads) - 2 * cross).trace())
    return Problem(scale * x, scale * y, weight, weight, {2: scale**2 * cost})


def _square_root(matrix: Tensor) -> Tensor:
    """Of a symmetric matrix that is not negative."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ (values.clamp(min=0).sqrt()[:, None] * vectors.T)


known = st.one_of(diracs(), translations(), convex_gradients(), gaussians(), lines())


@st.composite
def permutations(draw: st.DrawFn) -> Problem:
    """The same points in another order: nothing moves."""
    seed, scale = draw(seeds), draw(scales)
    x = scale * _points(draw(sizes), draw(dimension), seed)
    weight = _weights(len(x), seed) if draw(st.booleans()) else torch.ones(len(x)).double()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return Problem(x, x[order], weight, weight[order], {1: 0.0, 2: 0.0})


@st.composite
def adversarial(draw: st.DrawFn) -> Problem:
    """Problems without a known answer that are hard on solvers, with equal totals."""
    seed, d = draw(seeds), draw(dimension)
    x, y = _points(draw(sizes), d, seed), _points(draw(sizes), d, seed + 2)
    shape = draw(st.sampled_from(["plain", "clusters", "collinear", "duplicates", "far", "equal"]))
    if shape == "clusters":
        x, y = (1000.0 * torch.round(z) + 1e-6 * z for z in (x, y))
    elif shape == "collinear":
        x, y = x[:, :1].expand(-1, d), y[:, :1].expand(-1, d)
    elif shape == "duplicates":
        x, y = torch.round(x), torch.round(y)
    elif shape == "far":
        y = y + 1e6
    elif shape == "equal":
        y = x.clone()
    scale = draw(st.sampled_from([1e-12, 1.0, 1e12]))
    a, b = _weights(len(x), seed), _weights(len(y), seed + 5)
    if draw(st.booleans()):
        a, b = (torch.where(torch.arange(len(w)) % 2 == 0, w, 0.0) for w in (a, b))
    if draw(st.booleans()):
        a = a * 10.0 ** -torch.arange(len(a)).double()
    if draw(st.booleans()) and len(x) == len(y):
        a, b = torch.ones_like(a), torch.ones_like(b)
    total = draw(st.sampled_from([1e-9, 1.0, 1e9]))
    return Problem(scale * x, scale * y, total * a / a.sum(), total * b / b.sum(), {})
