"""A network that is to judge jets must be able to see their mass.

A maximum over the points alone cannot represent a sum; a critic that cannot regress the mass from
the constituents (R² above 0.99) is blind to what matters.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.nn import AttentionEncoder, EPiCEncoder
from pcgen.ops.segments import segment_sum
from pcgen.schema import Quantity, Schema
from pcgen.standardize import Standardize

SCHEMA = Schema((Quantity("eta"), Quantity("phi")), Quantity("pt", "GeV"))


def jets(number: int, draw: torch.Generator) -> Batch:
    """Clusters of particles around one to three axes, centred, of total weight 1."""
    sizes = torch.randint(15, 60, (number,), generator=draw)
    cloud = torch.repeat_interleave(torch.arange(number), sizes)
    n = len(cloud)
    prongs = torch.randint(1, 4, (number,), generator=draw)
    prong = (torch.rand(n, generator=draw) * prongs[cloud]).long()
    axes = 0.25 * torch.randn(number, 3, 2, generator=draw)
    pos = axes[cloud, prong] + 0.05 * torch.randn(n, 2, generator=draw)
    clouds = pc.make(pos, sizes, weight=torch.exp(1.5 * torch.randn(n, generator=draw)))
    weight = clouds.weight / pc.total(clouds)[cloud]
    centre = segment_sum(weight[:, None] * pos, clouds.ptr)
    return pc.replace(clouds, pos=pos - centre[cloud], weight=weight)


def mass(clouds: Batch) -> Tensor:
    """Invariant mass over total pT of massless particles [B]."""
    pt, (eta, phi) = clouds.weight.double(), clouds.pos.double().unbind(1)
    momentum = torch.stack([eta.cosh(), phi.cos(), phi.sin(), eta.sinh()], 1) * pt[:, None]
    energy, *vector = segment_sum(momentum, clouds.ptr).unbind(1)
    square = energy.square() - torch.stack(vector).square().sum(0)
    return square.clamp(min=0).sqrt().float()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "steps"),
    [
        (lambda: EPiCEncoder(3, 1, hidden=64, layers=2), 1000),
        (lambda: AttentionEncoder(3, 1, hidden=32, layers=2), 300),
    ],
    ids=["epic", "attention"],
)
def test_mass_can_be_read_off_the_constituents(build: Callable[[], nn.Module], steps: int) -> None:
    draw = torch.Generator().manual_seed(1)
    train, test = jets(6000, draw), jets(2000, draw)
    standardize, net = Standardize(SCHEMA).fit(train), build()
    target = mass(train)
    centre, width = target.mean(), target.std()
    optimiser = torch.optim.Adam(net.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    for _ in range(steps):
        rows = torch.randint(6000, (48,), generator=draw)
        got = net(standardize(pc.select(train, rows)))[:, 0]
        loss = (got - (target[rows] - centre) / width).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        residual = net(standardize(test))[:, 0] * width + centre - mass(test)
    assert 1 - float(residual.square().mean() / mass(test).var()) > 0.99
