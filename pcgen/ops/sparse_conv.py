r"""Convolution over the rules of a rulebook: gather, multiply, add.

.. math:: y_o = \sum_{(i, o, k)} x_i W_k

over the rules that lead to o. The rows of each tap are gathered into one block, so a tap is one
matrix product; what belongs to an output site is then added in the order of the taps, which makes
the result reproducible on every device. The cost is proportional to the number of rules.

The adjoints are of the same kind, :math:`\partial x` by the reversed rules and
:math:`\partial W_k = \sum x_i^T \partial y_o`, and so are theirs: derivatives of all orders exist.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.rulebooks import Rulebook


def convolve(x: Tensor, weight: Tensor, rules: Rulebook) -> Tensor:
    """Features of the output sites [M, C_out].

    Args:
        x: Features of the input sites [N, C_in].
        weight: One matrix for each tap [K, C_in, C_out].
        rules: Of K taps, between N and M sites.

    Raises:
        ArgumentError: the shapes do not fit.
    """
    taps = len(rules.counts)
    if x.dim() != 2 or len(x) != rules.inputs or weight.shape[:2] != (taps, x.shape[1]):
        raise ArgumentError(
            f"x, weight: got {tuple(x.shape)}, {tuple(weight.shape)}, "
            f"expected [{rules.inputs}, C_in] and [{taps}, C_in, C_out]"
        )
    dtype = torch.promote_types(x.dtype, weight.dtype)
    return _Convolve.apply(x.to(dtype), weight.to(dtype), rules)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rules: Rulebook) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.rules = rules
        return _multiply(x, weight, rules)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), rules, needed = ctx.saved_tensors, ctx.rules, ctx.needs_input_grad
        (g,) = gradients
        of_x = _Convolve.apply(g, weight.transpose(1, 2), rules.reverse) if needed[0] else None
        of_weight = _Correlate.apply(x, g, rules) if needed[1] else None
        return of_x, of_weight, None


class _Correlate(torch.autograd.Function):
    """Σ x_i^T g_o over the rules of each tap [K, C_in, C_out]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, rules: Rulebook) -> Tensor:
        ctx.save_for_backward(x, g)
        ctx.rules = rules
        return _correlate(x, g, rules)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (x, g), rules, needed = ctx.saved_tensors, ctx.rules, ctx.needs_input_grad
        (weight,) = gradients
        of_x = _Convolve.apply(g, weight.transpose(1, 2), rules.reverse) if needed[0] else None
        of_g = _Convolve.apply(x, weight, rules) if needed[1] else None
        return of_x, of_g, None


def _multiply(x: Tensor, weight: Tensor, rules: Rulebook) -> Tensor:
    y = x.new_empty(rules.outputs, weight.shape[2])
    most = max(len(block.source) for block in rules.blocks)
    gathered, products = x.new_empty(most, x.shape[1]), x.new_empty(most, y.shape[1])
    for first, last, source, _, counts, order, ptr in rules.blocks:
        if len(source):
            rows, product = gathered[: len(source)], products[: len(source)]
            torch.index_select(x, 0, source, out=rows)
            taps = zip(rows.split(counts), weight, product.split(counts), strict=True)
            for row, matrix, out in taps:
                torch.mm(row, matrix, out=out)
            total = torch.embedding_bag(product, order, ptr, mode=0, include_last_offset=True)[0]
        else:
            total = y.new_zeros(last - first, y.shape[1])
        if rules.centre is None:
            y[first:last] = total
        else:
            torch.addmm(total, x[first:last], weight[rules.centre], out=y[first:last])
    return y


def _correlate(x: Tensor, g: Tensor, rules: Rulebook) -> Tensor:
    weight = x.new_zeros(len(rules.counts), x.shape[1], g.shape[1])
    most = max(len(block.source) for block in rules.blocks)
    sources, targets = x.new_empty(most, x.shape[1]), g.new_empty(most, g.shape[1])
    for first, last, source, target, counts, _, _ in rules.blocks:
        rows, others = sources[: len(source)], targets[: len(source)]
        torch.index_select(x, 0, source, out=rows)
        torch.index_select(g, 0, target, out=others)
        taps = zip(rows.split(counts), others.split(counts), weight, strict=True)
        for row, other, total in taps:
            total.addmm_(row.t(), other)
        if rules.centre is not None:
            weight[rules.centre].addmm_(x[first:last].t(), g[first:last])
    return weight
