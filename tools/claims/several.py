"""Small networks of several seeds side by side, which train in the time of about one.

Every parameter has the seeds in front, and losses are summed over them, so no seed sees another;
with an optimiser that works element by element each learns as it would alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Networks(nn.Module):
    """A perceptron for each seed, of equal layers and a leaky ReLU.

    Args:
        seeds: Start of each; they give S.
        sizes: Columns of input, hidden layers and output.
        slope: Of the activation below 0; 0 for a ReLU.
    """

    def __init__(self, seeds: Sequence[int], sizes: Sequence[int], *, slope: float = 0.2) -> None:
        super().__init__()
        self.slope = slope
        self.number, self.columns = len(seeds), sizes[0]
        starts = [_start(seed, sizes) for seed in seeds]
        self.weights = nn.ParameterList(
            torch.stack([layers[i][0] for layers in starts]) for i in range(len(sizes) - 1)
        )
        self.biases = nn.ParameterList(
            torch.stack([layers[i][1] for layers in starts]) for i in range(len(sizes) - 1)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Rows [S B, C], seed after seed -> [S B, C']."""
        x = rows.reshape(self.number, -1, self.columns)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias[:, None], x if i == 0 else F.leaky_relu(x, self.slope), weight)
        return x.flatten(0, 1)


def _start(seed: int, sizes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    layers = []
    for wide, out in itertools.pairwise(sizes):
        weight, bias = (torch.rand(n, out, generator=draw) for n in (wide, 1))
        layers.append(((2 * weight - 1) / wide**0.5, ((2 * bias - 1) / wide**0.5)[0]))
    return layers


def per_seed(values: Tensor, seeds: Sequence[int]) -> Tensor:
    """Means of the rows of each seed [S B] -> [S]."""
    return values.reshape(len(seeds), -1).mean(1)
