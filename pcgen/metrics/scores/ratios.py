r"""Response and resolution in bins: what a detector makes of a quantity, on average and in spread.

For a quantity with the value g of an input and r of what comes out, the response is the mean of
r / g over the inputs of a bin of g, and the resolution the standard deviation of r / g. Bins hold
equally many inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


class Ratios(NamedTuple):
    """Mean and spread of ratios in bins, with their standard errors, each [K].

    Attributes:
        mean: Of r / g.
        mean_error: Its error.
        spread: Standard deviation of r / g.
        spread_error: Its error, from the fourth moment.
    """

    mean: Tensor
    mean_error: Tensor
    spread: Tensor
    spread_error: Tensor


def bin_edges(reference: Tensor, bins: int) -> Tensor:
    """Edges [K + 1] of bins with equally many of the positive reference values [B]; K ≤ ``bins``.

    Raises:
        ArgumentError: there is no positive value, or no bin.
    """
    some = reference[reference > 0].double()
    if bins < 1 or not len(some):
        raise ArgumentError(f"bins: got {bins} of {len(some)} positive values, expected some")
    steps = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    edges = torch.quantile(some, steps).unique()
    return edges if len(edges) > 1 else torch.stack([edges[0], edges[0]])


def ratios(reference: Tensor, values: Tensor, edges: Tensor) -> Ratios:
    """Response and resolution in bins of the reference.

    Args:
        reference: g of each input [B].
        values: r of each answer [B, N].
        edges: Of the bins [K + 1]; the last one holds its upper edge.

    >>> found = ratios(torch.tensor([1.0, 1.0]), torch.tensor([[1.0], [3.0]]), torch.ones(2))
    >>> found.mean.tolist(), found.spread.tolist()
    ([2.0], [1.0])
    """
    reference = reference.double()
    ratio = values.double() / torch.where(reference > 0, reference, torch.nan)[:, None]
    place = torch.searchsorted(edges[1:-1].contiguous(), reference, right=True)
    inside = (reference > 0) & (reference >= edges[0]) & (reference <= edges[-1])
    rows = []
    for k in range(len(edges) - 1):
        some = ratio[inside & (place == k)].flatten()
        number = max(int((inside & (place == k)).sum()), 1)  # answers to one input are not counted
        mean = some.mean() if len(some) else torch.tensor(torch.nan, dtype=torch.float64)
        square = (some - mean).square()
        variance = square.mean()
        of_variance = (square - variance).square().mean() / number
        spread = variance.sqrt()
        rows.append(
            torch.stack(
                [mean, spread / number**0.5, spread, of_variance.sqrt() / (2 * spread + 1e-300)]
            )
        )
    return Ratios(*torch.stack(rows, 1))
