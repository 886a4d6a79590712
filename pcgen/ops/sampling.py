"""Farthest-point sampling: points that are spread over their cloud."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels.search import farthest
from pcgen.ops.points import Period, check_count, check_points, pointers


class Subset(NamedTuple):
    """Rows chosen from each cloud.

    Attributes:
        row: Rows [S], cloud after cloud.
        ptr: First of them in each cloud, and S [B+1].
    """

    row: Tensor
    ptr: Tensor


def fps(
    x: Tensor,
    batch: Tensor | None = None,
    ratio: float | None = None,
    random_start: bool = True,
    batch_size: int | None = None,
    ptr: Tensor | None = None,
    *,
    number: int | None = None,
    period: Period | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Farthest-point sampling, as ``torch_cluster.fps``: rows of x in the order chosen [S].

    Args:
        x: Points [N, D].
        batch: Cloud of each row [N], ascending.
        ratio: Fraction of each cloud's points, above 0 and up to 1, rounded up. None: 0.5, unless
            ``number`` is given.
        random_start: Draw the first point of each cloud; otherwise it is its first row.
        batch_size: B, where the last clouds may be empty.
        ptr: First row of each cloud, and N [B+1], in place of ``batch``.
        number: Points of each cloud to choose, in place of ``ratio``.
        period: Per axis the period, None for a line.
        generator: Draws the first points; None is torch's own.

    Raises:
        ArgumentError: an argument does not fit.
        DataError: a coordinate is not finite.

    >>> fps(torch.tensor([[0.0], [1.0], [5.0], [3.0]]), number=3, random_start=False).tolist()
    [0, 2, 3]
    """
    ptr = pointers((("batch", batch, ptr, x),), batch_size)[0]
    if ratio is None and number is None:
        ratio = 0.5
    start = None
    if random_start:
        start = generator if generator is not None else torch.default_generator
    return farthest_points(x, ptr, number=number, ratio=ratio, period=period, generator=start).row


def farthest_points(
    pos: Tensor,
    ptr: Tensor,
    *,
    number: int | None = None,
    ratio: float | None = None,
    period: Period | None = None,
    generator: torch.Generator | None = None,
) -> Subset:
    """Farthest-point sampling: each point chosen is the farthest from those chosen before.

    Args:
        pos: Points [N, D].
        ptr: [B+1].
        number: Points of each cloud to choose; all where it has fewer.
        ratio: Or the fraction of each cloud's points, above 0 and up to 1, rounded up: the least
            number whose quotient by the cloud's size is not below it.
        period: Per axis the period, None for a line.
        generator: Draws the first point; without one it is the first row of the cloud.

    Returns:
        Rows of pos in the order in which they were chosen, and their pointer. No row is chosen
        twice; ties go to the lowest row.

    >>> line = torch.tensor([[0.0], [1.0], [5.0], [3.0]])
    >>> farthest_points(line, torch.tensor([0, 4]), number=3).row.tolist()
    [0, 2, 3]
    """
    lengths = check_points(pos, pos, ptr, ptr, period)
    sizes = ptr[1:] - ptr[:-1]
    if (number is None) == (ratio is None):
        raise ArgumentError(f"number, ratio: got {number}, {ratio}, expected exactly one of them")
    if number is not None:
        check_count("number", number)
        wanted = sizes.clamp(max=number)
    elif ratio is not None and 0 < ratio <= 1:
        wanted = _share(sizes, ratio)
    else:
        raise ArgumentError(f"ratio: got {ratio}, expected 0 < ratio <= 1")
    ptr_out = torch.cat((ptr[:1], wanted.cumsum(0)))
    start = ptr[:-1]
    if generator is not None:
        draw = torch.rand(len(sizes), generator=generator, device=generator.device)
        start = start + (draw.to(pos.device) * sizes).long().clamp(max=(sizes - 1).clamp(min=0))
    return Subset(farthest(pos.detach(), ptr, start, ptr_out, lengths), ptr_out)


def _share(sizes: Tensor, ratio: float) -> Tensor:
    """Least m [B] with m / n ≥ ratio, exactly as these are rounded: k of n where ratio is k / n."""
    number = sizes.double()
    # The product is off by less than one: the quotients decide.
    guess = (number * ratio).ceil()
    guess = guess - ((guess - 1) / number.clamp(min=1) >= ratio).double()
    return (guess + (guess / number.clamp(min=1) < ratio).double()).long().clamp(max=sizes)
