r"""Certified assignment by auction on a GPU: one persistent program per problem, in Triton.

The algorithm is that of :mod:`.auction`; a block of unassigned points bids at once, and
where several want the same point the highest bid wins. Prices and coordinates are float32, offsets
removed; the certificate is computed in float64 from the prices found, so it holds whatever rounding
did to them. What does not reach the tolerance is left to the exact solver.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcgen.ops._kernels import ground
from pcgen.ops._kernels.auction import FALL
from pcgen.ops._kernels.ground_triton import axis_lengths, tile_cost
from pcgen.ops._kernels.problem import Flow, Problems, Solution
from pcgen.ops.segments import segment_max, segment_mean, segment_min, segment_sum

# Unassigned points that bid at once, and prices looked at together.
BIDDERS = 16
TILE = 64
# Rounds of bidding per point after which a phase gives up.
PATIENCE = 200
# Fraction of the largest cost below which float32 prices no longer rise reliably.
FINEST = 2e-6


class _Settled(NamedTuple):
    """The outcome of the last phase that each problem completed."""

    target: Tensor
    best: Tensor
    price: Tensor
    bound: Tensor
    cost: Tensor


def auction(problems: Problems, tolerance: float) -> Solution:
    """Plan and bound of problems with equally many points of one mass on both sides.

    The bound is -inf where the auction did not come to an end.
    """
    ptr, owner, rows = problems.sides.ptr_x, problems.sides.owner_x, len(problems.sides.x)
    centre = segment_mean(problems.sides.x, ptr)[owner]
    x, y = ((side - centre).float().contiguous() for side in (problems.sides.x, problems.sides.y))
    price = torch.zeros(rows, device=ptr.device)
    zero = torch.zeros_like(problems.sides.weight_x)
    never = torch.full_like(problems.slack_x, -torch.inf)
    last = _Settled(torch.arange(rows, device=ptr.device), zero, zero, never, -never)
    largest = _largest(problems)
    epsilon, short = largest / 8.0, largest > 0
    while bool(short.any()):
        target, ended = bid(problems, x, y, torch.where(short, epsilon, 0.0), price)
        fresh = short & ended
        now = _settle(problems, target, price)
        last = _Settled(
            *(
                torch.where(fresh[owner], new, old)
                for new, old in zip(now[:3], last[:3], strict=True)
            ),
            *(torch.where(fresh, new, old) for new, old in zip(now[3:], last[3:], strict=True)),
        )
        short = fresh & (last.cost - last.bound > tolerance * last.bound)
        enough = tolerance * last.bound / ptr.diff().clamp(min=1)
        epsilon = torch.minimum(torch.maximum(epsilon / FALL, enough), epsilon / 2.0)
        short = short & (epsilon > FINEST * largest)
    return _solution(problems, last, owner)


def _settle(problems: Problems, target: Tensor, price: Tensor) -> _Settled:
    """Certificate of an assignment and prices, in float64, per unit of mass."""
    ptr = problems.sides.ptr_x
    best, held = offers(problems, price), price.double()
    pair_cost = ground.cost(
        problems.sides.x, problems.sides.y[target], problems.p, problems.sides.period
    )
    bound = segment_sum(best - held, ptr)
    return _Settled(target, best, held, bound, segment_sum(pair_cost, ptr))


def _solution(problems: Problems, last: _Settled, owner: Tensor) -> Solution:
    kept = last.bound.isfinite()
    mass = torch.where(kept[owner], problems.sides.weight_x, 0.0)
    source = torch.arange(len(owner), device=owner.device)
    mean = segment_mean(problems.sides.weight_x, problems.sides.ptr_x)
    none = torch.zeros_like(last.bound)
    bound = torch.where(kept, last.bound * mean, -torch.inf)
    flow = Flow(source, last.target, mass, problems.sides.ptr_x)
    return Solution(flow, last.best, -last.price, none, none, bound)


def _largest(problems: Problems) -> Tensor:
    """No pair costs more: the diagonal of the box around both clouds [B]."""
    upper = torch.maximum(
        *(segment_max(s, problems.sides.ptr_x) for s in (problems.sides.x, problems.sides.y))
    )
    lower = torch.minimum(
        *(segment_min(s, problems.sides.ptr_x) for s in (problems.sides.x, problems.sides.y))
    )
    half = upper.new_tensor([0.5 * v if v else torch.inf for v in problems.sides.period])
    square = torch.minimum(upper - lower, half).square().sum(1)
    return square if problems.p == 2 else square.sqrt()


def bid(
    problems: Problems, x: Tensor, y: Tensor, epsilon: Tensor, price: Tensor
) -> tuple[Tensor, Tensor]:
    """One phase of bidding; raises ``price`` [N] in place.

    Args:
        problems: Gives pointer, power and period.
        x, y: Coordinates [N, D], float32, centred.
        epsilon: Least raise [B]; 0 leaves a problem out.
        price: Of the points of y [N], float32.

    Returns:
        Row of y that each row of x has [N], and which problems came to an end [B].
    """
    ptr, rows = problems.sides.ptr_x, len(x)
    length, inverse = axis_lengths(problems.sides.period, x)
    first = ptr[problems.sides.owner_x]
    queue = torch.arange(rows, device=ptr.device) - first
    target, holder = torch.zeros_like(queue), torch.full_like(queue, -1)
    offer = torch.zeros_like(queue)
    left = torch.zeros(problems.number, dtype=torch.int32, device=ptr.device)
    if rows:
        bid_kernel[(problems.number,)](
            x, y, ptr, length, inverse, epsilon.float(), price, target, holder, queue, offer, left,
            PATIENCE, x.shape[1], problems.p, BIDDERS, TILE,
        )  # fmt: skip
    return target + first, left == 0


def offers(problems: Problems, price: Tensor) -> Tensor:
    """Best value min_j c_ij + price_j of each point of x [N], float64; sizes of a pair agree."""
    x, y, ptr = problems.sides.x.contiguous(), problems.sides.y.contiguous(), problems.sides.ptr_x
    length, inverse = axis_lengths(problems.sides.period, x)
    best = torch.zeros_like(problems.sides.weight_x)
    if len(x):
        blocks = triton.cdiv(int(ptr.diff().max()), BIDDERS)
        offer_kernel[(problems.number, blocks)](
            x, y, ptr, length, inverse, price.double(), best,
            x.shape[1], problems.p, BIDDERS, TILE,
        )  # fmt: skip
    return best


def _best_two(
    x: tl.tensor,
    y: tl.tensor,
    start: tl.tensor,
    n: tl.tensor,
    i: tl.tensor,
    active: tl.tensor,
    length: tl.tensor,
    inverse: tl.tensor,
    price: tl.tensor,
    D: tl.constexpr,
    P: tl.constexpr,
    TILE: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Lowest value of cost + price, the second lowest and where the lowest is, for rows i [R]."""
    first = tl.full((i.shape[0],), float("inf"), x.dtype.element_ty)
    second = first
    chosen = tl.zeros((i.shape[0],), tl.int32)
    tile = 0
    while tile < n:  # range() of a tensor breaks Triton's interpreter under NumPy 2.4
        j = tile + tl.arange(0, TILE)
        inside = j < n
        value = tile_cost(x, start + i, active, y, start + j, inside, length, inverse, D, P)
        value += tl.load(price + start + j, mask=inside, other=float("inf"))[None, :]
        low = tl.min(value, 1)
        where = tl.argmin(value, 1).to(tl.int32)
        rest = tl.where(tl.arange(0, TILE)[None, :] == where[:, None], float("inf"), value)
        second = tl.minimum(tl.minimum(second, tl.min(rest, 1)), tl.maximum(first, low))
        chosen = tl.where(low < first, tile + where, chosen)
        first = tl.minimum(first, low)
        tile += TILE
    return first, second, chosen


def _bid_kernel(
    x: tl.tensor,
    y: tl.tensor,
    ptr: tl.tensor,
    length: tl.tensor,
    inverse: tl.tensor,
    epsilon: tl.tensor,
    price: tl.tensor,
    target: tl.tensor,
    holder: tl.tensor,
    queue: tl.tensor,
    offer: tl.tensor,
    left: tl.tensor,
    patience: int,
    D: tl.constexpr,
    P: tl.constexpr,
    BIDDERS: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Program b bids until the queue of problem b is empty; indices are within the problem."""
    b = tl.program_id(0)
    start = tl.load(ptr + b)
    n = (tl.load(ptr + b + 1) - start).to(tl.int32)
    raise_by = tl.load(epsilon + b)
    top = tl.where(raise_by > 0, n, 0)
    rounds = patience * n
    while (top > 0) & (rounds > 0):
        slot = top - 1 - tl.arange(0, BIDDERS)
        active = slot >= 0
        i = tl.load(queue + start + slot, mask=active, other=0)
        first, second, chosen = best_two(
            x, y, start, n, i, active, length, inverse, price, D, P, TILE
        )
        margin = tl.where(second < float("inf"), second - first, 0.0)
        bid = tl.load(price + start + chosen, mask=active, other=0.0) + margin + raise_by
        # Positive floats compare as their bits do: bid first, then the bidder, in one integer.
        key = (bid.to(tl.int32, bitcast=True).to(tl.int64) << 32) | i
        tl.atomic_max(offer + start + chosen, key, mask=active)
        tl.debug_barrier()
        won = active & (
            tl.load(offer + start + chosen, mask=active, other=-1, volatile=True) == key
        )
        ousted = tl.load(holder + start + chosen, mask=won, other=-1)
        tl.debug_barrier()
        tl.store(price + start + chosen, bid, mask=won)
        tl.store(holder + start + chosen, i, mask=won)
        tl.store(target + start + i, chosen.to(tl.int64), mask=won)
        top = tl.maximum(top - BIDDERS, 0)
        again = tl.where(won, ousted, i)
        back = active & (again >= 0)
        count = back.to(tl.int32)
        tl.store(queue + start + top + tl.cumsum(count, 0) - count, again, mask=back)
        top += tl.sum(count, 0)
        rounds -= 1
        tl.debug_barrier()
    tl.store(left + b, top)


def _offer_kernel(
    x: tl.tensor,
    y: tl.tensor,
    ptr: tl.tensor,
    length: tl.tensor,
    inverse: tl.tensor,
    price: tl.tensor,
    best: tl.tensor,
    D: tl.constexpr,
    P: tl.constexpr,
    BIDDERS: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Program (b, r) takes a block of the rows of problem b."""
    b = tl.program_id(0)
    start = tl.load(ptr + b)
    n = (tl.load(ptr + b + 1) - start).to(tl.int32)
    i = tl.program_id(1) * BIDDERS + tl.arange(0, BIDDERS)
    active = i < n
    first, _, _ = best_two(x, y, start, n, i, active, length, inverse, price, D, P, TILE)
    tl.store(best + start + i, first, mask=active)


best_two = triton.jit(_best_two)
bid_kernel = triton.jit(_bid_kernel)
offer_kernel = triton.jit(_offer_kernel)
