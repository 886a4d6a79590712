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
from pcgen.ops.rules import Block, Rulebook


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
    return _Convolve.apply(x.to(dtype).contiguous(), weight.to(dtype), rules)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rules: Rulebook) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.rules = rules
        return _multiply(x, weight, rules)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), rules, needed = ctx.saved_tensors, ctx.rules, ctx.needs_input_grad
        g = gradients[0].contiguous()  # rows are gathered fast where they are memory in a row
        if all(needed[:2]) and not torch.is_grad_enabled():  # which nobody differentiates again
            return *_adjoints(x, g, weight, rules), None
        of_x = _Convolve.apply(g, *_back(weight, rules)) if needed[0] else None
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
        of_x = _Convolve.apply(g, *_back(weight, rules)) if needed[0] else None
        of_g = _Convolve.apply(x, weight, rules) if needed[1] else None
        return of_x, of_g, None


def _back(weight: Tensor, rules: Rulebook) -> tuple[Tensor, Rulebook]:
    """The matrices and rules of the adjoint."""
    if rules.centre is None:
        return weight.transpose(1, 2), rules.reverse
    return weight.flip(0).transpose(1, 2), rules


def _adjoints(x: Tensor, g: Tensor, weight: Tensor, rules: Rulebook) -> tuple[Tensor, Tensor]:
    """Both gradients in one pass, in which g is gathered once."""
    matrices, back = _back(weight, rules)
    of_x, of_matrices = torch.empty_like(x), torch.zeros_like(weight)
    sources, targets, products = _scratch(back, g, x, x)
    for block in back.blocks:
        number, part = len(block.source), slice(block.first, block.last)
        rows, others, product = sources[:number], targets[:number], products[:number]
        torch.index_select(g, 0, block.source, out=rows)
        torch.index_select(x, 0, block.target, out=others)
        others.index_fill_(0, block.spare, 0)
        _multiply_taps(rows, matrices, product, block)
        _correlate_taps(others, rows, of_matrices, block)
        _add(product, g, matrices, of_x, block, back.centre)
        if back.centre is not None:
            of_matrices[back.centre].addmm_(x[part].t(), g[part])
    return of_x, of_matrices if back.centre is None else of_matrices.flip(0)


def _multiply(x: Tensor, weight: Tensor, rules: Rulebook) -> Tensor:
    y = x.new_empty(rules.outputs, weight.shape[2])
    gathered, products = _scratch(rules, x, y)
    for block in rules.blocks:
        number = len(block.source)
        rows, product = gathered[:number], products[:number]
        torch.index_select(x, 0, block.source, out=rows)
        _multiply_taps(rows, weight, product, block)
        _add(product, x, weight, y, block, rules.centre)
    return y


def _scratch(rules: Rulebook, *like: Tensor) -> list[Tensor]:
    """Room for the rows of a block, as wide as each of these."""
    most = max(len(block.source) for block in rules.blocks)
    return [each.new_empty(most, each.shape[1]) for each in like]


def _add(
    product: Tensor, x: Tensor, weight: Tensor, y: Tensor, block: Block, centre: int | None
) -> None:
    """Add the rows of the same output site, in the order of their taps, and the centre's."""
    part = slice(block.first, block.last)
    if len(product):
        total = torch.embedding_bag(
            product, block.order, block.ptr, mode=0, include_last_offset=True
        )[0]
    else:
        total = y.new_zeros(block.last - block.first, y.shape[1])
    if centre is None:
        y[part] = total
    else:
        torch.addmm(total, x[part], weight[centre], out=y[part])


def _multiply_taps(rows: Tensor, weight: Tensor, product: Tensor, block: Block) -> None:
    if block.even:
        shape = (len(weight), block.counts[0])
        out = product.view(*shape, product.shape[1])
        torch.bmm(rows.view(*shape, rows.shape[1]), weight, out=out)
        return
    taps = zip(rows.split(block.counts), weight, product.split(block.counts), strict=True)
    for row, matrix, out in taps:
        torch.mm(row, matrix, out=out)


def _correlate(x: Tensor, g: Tensor, rules: Rulebook) -> Tensor:
    weight = x.new_zeros(len(rules.counts), x.shape[1], g.shape[1])
    sources, targets = _scratch(rules, x, g)
    for block in rules.blocks:
        number, part = len(block.source), slice(block.first, block.last)
        if number:
            rows, others = sources[:number], targets[:number]
            torch.index_select(x, 0, block.source, out=rows)
            torch.index_select(g, 0, block.target, out=others)
            others.index_fill_(0, block.spare, 0)
            _correlate_taps(rows, others, weight, block)
        if rules.centre is not None:
            weight[rules.centre].addmm_(x[part].t(), g[part])
    return weight


def _correlate_taps(rows: Tensor, others: Tensor, weight: Tensor, block: Block) -> None:
    if block.even:
        shape = (len(weight), block.counts[0])
        left, right = (each.view(*shape, each.shape[1]) for each in (rows, others))
        weight.baddbmm_(left.transpose(1, 2), right)
        return
    taps = zip(rows.split(block.counts), others.split(block.counts), weight, strict=True)
    for row, other, total in taps:
        total.addmm_(row.t(), other)
