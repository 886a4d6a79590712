"""Ragged problems for the tests of the kernels: every size from 0, ties, offsets and scales."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from pcgen.ops import Neighbors, nearest_neighbors


class Problem(NamedTuple):
    x: Tensor
    y: Tensor
    ptr_x: Tensor
    ptr_y: Tensor

    def clouds(self) -> list[tuple[slice, slice]]:
        px, py = self.ptr_x.tolist(), self.ptr_y.tolist()
        return [
            (slice(px[b], px[b + 1]), slice(py[b], py[b + 1])) for b in range(len(self.ptr_x) - 1)
        ]


def table(case: Problem, k: int = 1, **options: Any) -> Neighbors:
    """The k nearest y of each x."""
    pointers = {"ptr_x": case.ptr_x, "ptr_y": case.ptr_y}
    return nearest_neighbors(case.x, case.y, k, **pointers, **options)


def pointer(sizes: list[int]) -> Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)


def problem(
    sizes_x: list[int],
    sizes_y: list[int],
    dimensions: int = 3,
    *,
    seed: int = 0,
    kind: str = "normal",
    offset: float = 0.0,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Problem:
    """``kind``: normal, lattice (many exact ties), coincident (all points equal)."""
    generator = torch.Generator().manual_seed(seed)

    def points(number: int) -> Tensor:
        if kind == "lattice":
            value = torch.randint(0, 3, (number, dimensions), generator=generator).to(dtype)
        elif kind == "coincident":
            value = torch.ones(number, dimensions, dtype=dtype)
        else:
            value = torch.randn(number, dimensions, generator=generator, dtype=dtype)
        return value * scale + offset

    return Problem(points(sum(sizes_x)), points(sum(sizes_y)), pointer(sizes_x), pointer(sizes_y))


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    smallest: int = 0,
    largest: int = 9,
    dimensions: tuple[int, int] = (1, 8),
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64),
) -> Problem:
    number = draw(st.integers(1, 5))
    sizes = st.lists(st.integers(smallest, largest), min_size=number, max_size=number)
    return problem(
        draw(sizes),
        draw(sizes),
        draw(st.integers(*dimensions)),
        seed=draw(st.integers(0, 2**31)),
        kind=draw(st.sampled_from(["normal", "lattice", "coincident"])),
        offset=draw(st.sampled_from([0.0, -3.0, 1e3])),
        scale=draw(st.sampled_from([1.0, 1e-3, 1e4])),
        dtype=draw(st.sampled_from(dtypes)),
    )


def squared_distances(x: Tensor, y: Tensor, period: list[float | None] | None = None) -> Tensor:
    """Brute force in float64 [n, m]; on a periodic axis the least over three images."""
    total = torch.zeros(len(x), len(y), dtype=torch.float64)
    for axis in range(x.shape[1]):
        step = (x[:, axis, None].double() - y[None, :, axis].double()).abs()
        length = None if period is None else period[axis]
        if length is not None:
            step = step % length
            step = torch.minimum(step, length - step)
        total = total + step * step
    return total
