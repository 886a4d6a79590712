r"""ParticleNet as JetNet trained it for the Fréchet ParticleNet distance.

Three EdgeConv blocks with mean aggregation,

    x_i' = [mean_{j ∈ N_k(i)} h([x_i, x_j - x_i]), x_i],

neighbours without the point itself, found among the (η, φ) for the first block and among all
features for the others, then a mean over the points and a linear layer. Qu and Gouskos, "Jet
tagging via particle clouds", PRD 101 (2020) 056019, arXiv 1902.08570; widths and details as in
Kansal et al., arXiv 2106.11535. All jets have equally many points, padding included,
which takes part like any other point. Names of the parameters are those of jetnet's file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError

WIDTHS = (64, 128, 256)
NEIGHBOURS = 16


class EdgeNet(nn.Module):
    """h: three times linear, batch norm and ReLU."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (2 * in_channels, width, width):
            layers += [nn.Linear(channels, width), nn.BatchNorm1d(width), nn.ReLU()]
        self.model = nn.Sequential(*layers)

    def forward(self, edges: Tensor) -> Tensor:
        """[E, 2 * in_channels] -> [E, width]."""
        return self.model(edges)


class MeanEdgeConv(nn.Module):
    """Mean of h over the edges from the neighbours of a point."""

    def __init__(self, net: EdgeNet) -> None:
        super().__init__()
        self.nn = net

    def forward(self, x: Tensor, neighbour: Tensor) -> Tensor:
        """Features [B, n, F] and neighbours [B, n, k] within the jet -> [B, n, width]."""
        jets, points, k = neighbour.shape
        rows = neighbour.reshape(jets, points * k, 1).expand(-1, -1, x.shape[2])
        others = x.gather(1, rows).view(jets, points, k, -1)
        here = x[:, :, None].expand_as(others)
        edges = torch.cat([here, others - here], 3).flatten(0, 2)
        return self.nn(edges).view(jets, points, k, -1).mean(2)


class ParticleNet(nn.Module):
    """Classifier of jets of equally many particles.

    Args:
        in_channels: Features of a particle, η and φ first.
        classes: Classes of jets.
    """

    def __init__(self, in_channels: int = 3, classes: int = 5) -> None:
        super().__init__()
        nets = []
        channels = in_channels
        for width in WIDTHS:
            nets.append(EdgeNet(channels, width))
            channels += width
        self.edge_nets = nn.ModuleList(nets)
        # jetnet registers each net twice, and its file holds both.
        self.edge_convs = nn.ModuleList(MeanEdgeConv(net) for net in nets)
        self.fc1 = nn.Sequential(nn.Linear(channels, 256))
        self.dropout_layer = nn.Dropout(0.1)
        self.fc2 = nn.Linear(256, classes)

    def activations(self, x: Tensor) -> Tensor:
        """Jets [B, n, in_channels], n ≥ 2 -> the 256 activations before the ReLU [B, 256].

        Raises:
            ArgumentError: the jets have fewer than two particles.
        """
        if x.dim() != 3 or x.shape[1] < 2:
            raise ArgumentError(f"x: got shape {tuple(x.shape)}, expected [B, n, F] with n ≥ 2")
        for block, conv in enumerate(self.edge_convs):
            neighbour = nearest_others(x if block else x[:, :, :2], NEIGHBOURS)
            x = torch.cat([conv(x, neighbour), x], 2)
        return self.fc1(x.mean(1))

    def forward(self, x: Tensor) -> Tensor:
        """Jets [B, n, in_channels] -> logits [B, classes]."""
        return self.fc2(self.dropout_layer(self.activations(x).relu()))


def nearest_others(x: Tensor, k: int) -> Tensor:
    """The k nearest other points of each point [B, n, min(k, n - 1)], by direct differences.

    Args:
        x: [B, n, F].
        k: Neighbours.

    >>> nearest_others(torch.tensor([[[0.0], [1.0], [3.0]]]), 1).tolist()
    [[[1], [0], [1]]]
    """
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return distance.topk(min(k, x.shape[1] - 1), largest=False).indices
