r"""The iterations of :mod:`.sinkhorn` in one launch: a persistent program per problem.

Costs are recomputed from the coordinates in every step, so that no n x m matrix is held: a
coordinate costs less to read than an entry. Potentials stay in the cache of one multiprocessor.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcgen.ops._kernels.dense import Dense, pad
from pcgen.ops._kernels.ground_triton import axis_lengths, tile_cost
from pcgen.ops._kernels.problem import Problems
from pcgen.ops._kernels.sinkhorn import FALL, RELAX, Potentials
from pcgen.ops.segments import segment_mean

ROWS = 32
TILE = 64


class Fused:
    """Anneals the problems of one chunk; the counterpart of :func:`.sinkhorn.anneal`.

    Args:
        problems: The problems, which give the coordinates.
        dense: The same problems as rectangles, which give sizes, masses and scales.
        softness: Penalty of soft marginals [b]; None: they are hard.
    """

    def __init__(self, problems: Problems, dense: Dense, softness: Tensor | None) -> None:
        centre = segment_mean(problems.sides.x, problems.sides.ptr_x)
        self.x = pad(
            (problems.sides.x - centre[problems.sides.owner_x]).float(), problems.sides.ptr_x
        )[0]
        self.y = pad(
            (problems.sides.y - centre[problems.sides.owner_y]).float(), problems.sides.ptr_y
        )[0]
        self.p, self.period = problems.p, problems.sides.period
        self.log_x, self.log_y = (
            mass.clamp(min=1e-30).log().float().contiguous()
            for mass in (dense.mass_x, dense.mass_y)
        )
        self.per_scale = (1.0 / dense.scale).float()
        self.slack_cost = (problems.slack_cost / dense.scale).float()
        hard = torch.zeros_like(self.per_scale)
        self.hardness = hard if softness is None else (1.0 / softness).float()

    def __call__(self, start: Potentials | None, epsilon: Tensor, steps: int) -> Potentials:
        """Let the temperature fall to ``epsilon`` [b], then take ``steps`` over-relaxed steps."""
        f, g = torch.zeros_like(self.log_x), torch.zeros_like(self.log_y)
        now = torch.ones_like(epsilon)
        if start is not None:
            f, g, now = (value.clone() for value in start)
        length, inverse = axis_lengths(self.period, self.x)
        anneal_kernel[(len(self.x),)](
            self.x, self.y, self.log_x, self.log_y, f, g, length, inverse,
            self.per_scale, self.slack_cost, self.hardness, now, epsilon.contiguous(), steps,
            f.shape[1], g.shape[1], FALL, RELAX, self.x.shape[2], self.p, ROWS, TILE,
        )  # fmt: skip
        return Potentials(f, g, torch.minimum(now, epsilon))


def _half_step(
    x: tl.tensor,
    n: tl.tensor,
    y: tl.tensor,
    m: tl.tensor,
    log_mass: tl.tensor,
    given: tl.tensor,
    out: tl.tensor,
    length: tl.tensor,
    inverse: tl.tensor,
    per_scale: tl.tensor,
    slack_cost: tl.tensor,
    epsilon: tl.tensor,
    relax: tl.tensor,
    share: tl.tensor,
    D: tl.constexpr,
    P: tl.constexpr,
    ROWS: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """out_i moves by ``relax`` to share * -epsilon log sum_j mass_j exp((given_j - c_ij)/epsilon).

    The last row and the last column are the slack particles.
    """
    row = 0
    while row < n:  # range() of a tensor breaks Triton's interpreter under NumPy 2.4
        i = row + tl.arange(0, ROWS)
        in_x = i < n
        top = tl.full((ROWS,), -1e30, tl.float32)
        total = tl.zeros((ROWS,), tl.float32)
        column = 0
        while column < m:
            j = column + tl.arange(0, TILE)
            in_y = j < m
            cost = tile_cost(x, i, in_x, y, j, in_y, length, inverse, D, P) * per_scale
            slack_x, slack_y = (i == n - 1)[:, None], (j == m - 1)[None, :]
            cost = tl.where(slack_x & slack_y, 0.0, tl.where(slack_x | slack_y, slack_cost, cost))
            offset = tl.load(log_mass + j, mask=in_y, other=-1e30)
            pull = tl.load(given + j, mask=in_y, other=0.0)
            exponent = (pull[None, :] - cost) / epsilon + offset[None, :]
            higher = tl.maximum(top, tl.max(exponent, 1))
            total = total * tl.exp(top - higher)
            total += tl.sum(tl.exp(exponent - higher[:, None]), 1)
            top = higher
            column += TILE
        old = tl.load(out + i, mask=in_x, other=0.0)
        new = -share * epsilon * (top + tl.log(total))
        tl.store(out + i, old + relax * (new - old), mask=in_x)
        row += ROWS


def _anneal_kernel(
    x: tl.tensor,
    y: tl.tensor,
    log_x: tl.tensor,
    log_y: tl.tensor,
    f: tl.tensor,
    g: tl.tensor,
    length: tl.tensor,
    inverse: tl.tensor,
    per_scale: tl.tensor,
    slack_cost: tl.tensor,
    hardness: tl.tensor,
    start: tl.tensor,
    epsilon: tl.tensor,
    steps: int,
    n: int,
    m: int,
    fall: float,
    relax: float,
    D: tl.constexpr,
    P: tl.constexpr,
    ROWS: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Program b anneals problem b; potentials and coordinates are padded rectangles."""
    b = tl.program_id(0)
    x, log_x, f = x + b * n * D, log_x + b * n, f + b * n
    y, log_y, g = y + b * m * D, log_y + b * m, g + b * m
    size, slack = tl.load(per_scale + b), tl.load(slack_cost + b)
    hard, end = tl.load(hardness + b), tl.load(epsilon + b)
    now = tl.load(start + b)
    left = steps
    while (now > end) | (left > 0):
        # At the final temperature steps are over-relaxed, but for the last.
        cooling = now > end
        pace = tl.where(cooling | (left == 1), 1.0, relax)
        left = tl.where(cooling, left, left - 1)
        now = tl.maximum(fall * now, end)
        share = 1.0 / (1.0 + now * hard)
        half_step(
            x, n, y, m, log_y, g, f, length, inverse, size, slack, now, pace, share,
            D, P, ROWS, TILE,
        )  # fmt: skip
        tl.debug_barrier()
        half_step(
            y, m, x, n, log_x, f, g, length, inverse, size, slack, now, pace, share,
            D, P, ROWS, TILE,
        )  # fmt: skip
        tl.debug_barrier()


half_step = triton.jit(_half_step)
anneal_kernel = triton.jit(_anneal_kernel)
