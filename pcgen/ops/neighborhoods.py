r"""Sums and maxima over the neighbours of each point, without a row for each edge.

The neighbours of row i of u are the rows j = index[i, 0], ..., index[i, k-1] of v; -1 is none.

    dot_ij = Σ_c u_ic v_jc        gather_ic = Σ_j w_ij v_jc
    square_ij = Σ_c (u_ic + v_jc)²    spread_jc = Σ_i w_ij u_ic

The derivatives of these four are these four, so that any number of derivatives can be taken. On
the CPU they are compiled loops that keep the k C numbers of a point in the cache; elsewhere plain
torch gathers [N, k, C].
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcgen.ops import threads

Array = np.ndarray[Any, Any]


@torch.library.custom_op("pcgen::neighbor_dot", mutates_args=())
def neighbor_dot(u: Tensor, v: Tensor, index: Tensor) -> Tensor:
    """Products of each row of u [N, C] with its neighbours in v [M, C]: [N, k], 0 for none."""
    if not _compiled_for(u):
        return _mask((u[:, None] * _rows(v, index)).sum(2), index)
    return _loop(_kernels().dot, (u, v, index), index.shape[1], u.new_zeros(index.shape))


@torch.library.custom_op("pcgen::neighbor_square", mutates_args=())
def neighbor_square(u: Tensor, v: Tensor, index: Tensor) -> Tensor:
    """Squares of the sums of each row of u and its neighbours in v: [N, k], 0 for none."""
    if not _compiled_for(u):
        return _mask((u[:, None] + _rows(v, index)).square().sum(2), index)
    return _loop(_kernels().square, (u, v, index), index.shape[1], u.new_zeros(index.shape))


@torch.library.custom_op("pcgen::neighbor_gather", mutates_args=())
def neighbor_gather(weight: Tensor, v: Tensor, index: Tensor) -> Tensor:
    """Sums of the neighbours in v [M, C] with the weights [N, k]: [N, C]."""
    if not _compiled_for(v):
        return (_mask(weight, index)[:, :, None] * _rows(v, index)).sum(1)
    return _loop(
        _kernels().gather, (weight, v, index), index.shape[1], v.new_zeros(len(index), v.shape[1])
    )


@torch.library.custom_op("pcgen::neighbor_spread", mutates_args=())
def neighbor_spread(weight: Tensor, u: Tensor, index: Tensor, number: int) -> Tensor:
    """Sums of the rows of u [N, C] in each of their ``number`` neighbours: [M, C]."""
    out = u.new_zeros(number, u.shape[1])
    if not _compiled_for(u):
        each = _mask(weight, index)[:, :, None] * u[:, None]
        return out.index_add(0, index.clamp(min=0).flatten(), each.flatten(0, 1))
    # Rows of the result are shared by points: one thread.
    arrays = (tensor.detach().contiguous().numpy() for tensor in (weight, u, index, out))
    _kernels().spread(*arrays)
    return out


def entries(value: Tensor, place: Tensor) -> Tensor:
    """Entries of ``value`` at places in its flattened form, in the shape of the places."""
    # Of one dimension this is several times as fast as gather, forward and backward.
    return value.flatten().index_select(0, place.flatten()).view(place.shape)


@torch.library.custom_op("pcgen::first_largest_sum", mutates_args=())
def first_largest_sum(
    u: Tensor, v: Tensor, rate: Tensor, gain: Tensor, index: Tensor
) -> tuple[Tensor, Tensor]:
    """The neighbour with the largest gain_c rate_ij (u_ic + v_jc), of each row and channel.

    The first of several; NaN counts as largest. Each row has one neighbour at least. It has no
    gradient.

    Args:
        u: [N, C].
        v: [M, C].
        rate: [N, k].
        gain: [C].
        index: [N, k].

    Returns:
        Where v_jc is in the flattened v [N, C], and rate_ij in the flattened rate [N, C].
    """
    if not _compiled_for(u):
        each = (u[:, None] + _rows(v, index)) * rate[:, :, None] * gain
        each = each.masked_fill((index < 0)[:, :, None], -torch.inf)
        top = each.amax(1, keepdim=True)
        place = ((each == top) | each.isnan()).to(torch.uint8).argmax(1)
        channel, row = (torch.arange(n, device=u.device) for n in (u.shape[1], len(u)))
        of_v = index.gather(1, place) * u.shape[1] + channel
        return of_v, row[:, None] * index.shape[1] + place
    of_v, of_rate = (torch.empty(u.shape, dtype=torch.long) for _ in range(2))
    _loop(_kernels().first_largest, (u, v, rate, gain, index, of_v), index.shape[1], of_rate)
    return of_v, of_rate


@neighbor_dot.register_fake
def _(u: Tensor, v: Tensor, index: Tensor) -> Tensor:
    return u.new_empty(index.shape)


@neighbor_square.register_fake
def _(u: Tensor, v: Tensor, index: Tensor) -> Tensor:
    return u.new_empty(index.shape)


@neighbor_gather.register_fake
def _(weight: Tensor, v: Tensor, index: Tensor) -> Tensor:
    return v.new_empty(len(index), v.shape[1])


@neighbor_spread.register_fake
def _(weight: Tensor, u: Tensor, index: Tensor, number: int) -> Tensor:
    return u.new_empty(number, u.shape[1])


@first_largest_sum.register_fake
def _(u: Tensor, v: Tensor, rate: Tensor, gain: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    return index.new_empty(u.shape), index.new_empty(u.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    first, second, index, *_ = inputs
    ctx.save_for_backward(first, second, index)


def _dot_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
    u, v, index = ctx.saved_tensors
    return neighbor_gather(grad, v, index), neighbor_spread(grad, u, index, len(v)), None


def _square_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
    u, v, index = ctx.saved_tensors
    grad = 2 * _mask(grad, index)
    total = neighbor_spread(grad, u.new_ones(len(u), 1), index, len(v))
    return (
        torch.addcmul(neighbor_gather(grad, v, index), grad.sum(1, keepdim=True), u),
        torch.addcmul(neighbor_spread(grad, u, index, len(v)), total, v),
        None,
    )


def _gather_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
    weight, v, index = ctx.saved_tensors
    return neighbor_dot(grad, v, index), neighbor_spread(weight, grad, index, len(v)), None


def _spread_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
    weight, u, index = ctx.saved_tensors
    return neighbor_dot(u, grad, index), neighbor_gather(weight, grad, index), None, None


neighbor_dot.register_autograd(_dot_backward, setup_context=_save)
neighbor_square.register_autograd(_square_backward, setup_context=_save)
neighbor_gather.register_autograd(_gather_backward, setup_context=_save)
neighbor_spread.register_autograd(_spread_backward, setup_context=_save)


def _compiled_for(value: Tensor) -> bool:
    return value.device.type == "cpu" and value.dtype in (torch.float32, torch.float64)


def _kernels() -> ModuleType:
    from pcgen.ops._kernels import neighborhoods_compiled

    return neighborhoods_compiled


def _loop(kernel: Callable[..., None], given: tuple[Tensor, ...], k: int, out: Tensor) -> Tensor:
    """Run a kernel of k neighbours by all threads, each on some of the rows; it fills ``out``."""
    arrays = [tensor.detach().contiguous().numpy() for tensor in (*given, out)]
    work = np.full(len(out), k * given[1].shape[1])
    threads.run(lambda first, last: kernel(*arrays, first, last), work)
    return out


def _rows(v: Tensor, index: Tensor) -> Tensor:
    """[N, k, C]; the first row where there is no neighbour."""
    return v[index.clamp(min=0)]


def _mask(value: Tensor, index: Tensor) -> Tensor:
    return value.masked_fill(index < 0, 0)
