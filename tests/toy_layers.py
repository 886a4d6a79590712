"""Toy showers: points in four layers, whose numbers and energies follow the incident energy."""

from __future__ import annotations

import torch
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.schema import Quantity, Schema

SCHEMA = Schema(
    (Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "mm")),
    Quantity("energy", "MeV"),
    condition=(Quantity("incident_energy", "MeV"),),
    labels=("electron", "photon"),
    layers=("0", "1", "2", "3"),
)
DEPTH = torch.tensor([1.0, 3.0, 5.0, 9.0])


def toy_showers(number: int, seed: int = 0) -> Batch:
    """Showers of 0 to about 60 points, unsorted; the response is 0.8 with a width of 5 %."""
    random = torch.Generator().manual_seed(seed)
    energy = 1e3 * 10 ** (2 * torch.rand(number, generator=random))
    label = torch.randint(2, (number,), generator=random)
    profile = torch.tensor([[0.5, 1.0, 0.6, 0.1], [0.1, 0.8, 1.0, 0.3]])[label]
    mean = 2.2 * (energy / 1e3).sqrt()[:, None] * profile
    counts = torch.poisson(mean, generator=random).long()
    layer = torch.arange(4).repeat(number).repeat_interleave(counts.flatten())
    sizes = counts.sum(1)
    rows = int(sizes.sum())
    event = torch.arange(number).repeat_interleave(sizes)
    order = (event + torch.rand(rows, generator=random)).argsort()
    layer = layer[order]
    xy = torch.randn(rows, 2, generator=random) * (1 + layer)[:, None]
    weight = torch.rand(rows, generator=random) + 0.05
    response = 0.8 * (1 + 0.05 * torch.randn(number, generator=random))
    clouds = cl.make(
        torch.cat([xy, DEPTH[layer][:, None]], 1),
        sizes,
        weight=weight,
        layer=layer,
        y=energy[:, None],
        label=label,
    )
    total = cl.total(clouds)
    scale = (response * energy / torch.where(total > 0, total, 1.0))[clouds.batch]
    return cl.replace(clouds, weight=weight * scale)
