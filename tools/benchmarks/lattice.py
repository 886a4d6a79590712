"""A submanifold convolution beside the dense layer, from 0.5 to 30 % of active cells.

3 x 3 (x 3) taps, 32 channels in and out, batch 16. Ours starts from the coordinates of the active
sites: they are checked, the rulebook is built, and the layer runs forward and backward. The dense
layer is given its image; what it would take to fill it is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pcgen.nn import SparseImage, SubmanifoldConv
from pcgen.ops.lattice import Sites, active_sites
from pcgen.ops.rulebooks import submanifold
from pcgen.tools.benchmarks.measure import Case, Contender, Run, Table

EVENTS, CHANNELS = 16, 32
OCCUPANCIES = (0.005, 0.01, 0.03, 0.1, 0.3)
SHAPES = ((32,) * 2, (64,) * 2, (128,) * 2, (256,) * 2, (32,) * 3, (64,) * 3)
DENSE = ("torch", "torch, channels last")
OURS = "pcgen"
KEPT = "rulebook kept"
RULES = "rulebook alone"
PEERS = {"spconv": "spconv.pytorch", "SparseConvNet": "sparseconvnet"}


class Problem(NamedTuple):
    """Active cells of B events, by occupancy: coordinates [N, D] and pointer [B+1]."""

    shape: tuple[int, ...]
    device: str
    sites: dict[float, tuple[Tensor, Tensor]]


def cases(device: str, quick: bool) -> list[Case[Problem]]:
    """Lattices of 2 and 3 dimensions, with scattered sites and with sites in jets."""
    shapes = ((16, 16),) if quick else SHAPES
    return [
        Case(
            f"{' x '.join(map(str, shape))}, {kind}",
            float(EVENTS * math.prod(shape) * 3 ** len(shape)),
            partial(draw, shape, kind == "jets", device),
        )
        for shape in shapes
        for kind in ("scattered", "jets")
    ]


def draw(shape: tuple[int, ...], jets: bool, device: str) -> Problem:
    """So many different cells of each event, uniformly or around the axes of three jets."""
    generator = torch.Generator().manual_seed(0)
    volume = math.prod(shape)
    axes = [torch.arange(size, dtype=torch.float32) for size in shape]
    cell = torch.cartesian_prod(*axes)
    logarithm = torch.zeros(EVENTS, volume)
    if jets:
        centre = torch.rand(EVENTS, 3, 1, len(shape), generator=generator) * torch.tensor(shape)
        distance = torch.stack([(cell - each).norm(dim=-1) for each in centre])
        logarithm = torch.logsumexp(-distance * 16 / max(shape), 1)
    # Draws without replacement: the largest of log-density plus Gumbel noise.
    noise = torch.rand(EVENTS, volume, generator=generator).clamp(min=1e-12)
    rank = logarithm - (-noise.log()).log()
    sites = {}
    for occupancy in OCCUPANCIES:
        number = max(1, round(occupancy * volume))
        chosen = rank.topk(number, 1).indices.sort(1).values.flatten()
        ptr = torch.arange(EVENTS + 1) * number
        sites[occupancy] = (cell[chosen].long().to(device), ptr.to(device))
    return Problem(shape, device, sites)


def contenders() -> list[Contender[Problem]]:
    """The dense layer, and ours and other packages at each occupancy."""
    found = [Contender(name, partial(_dense, name == DENSE[1])) for name in DENSE]
    for occupancy in OCCUPANCIES:
        found += [
            Contender(named(OURS, occupancy), partial(_ours, occupancy), "ours"),
            Contender(named(KEPT, occupancy), partial(_kept, occupancy), "ours"),
            Contender(named(RULES, occupancy), partial(_rules, occupancy), "ours"),
        ]
        found += [
            Contender(named(name, occupancy), partial(adapter, occupancy), module=PEERS[name])
            for name, adapter in (("spconv", _spconv), ("SparseConvNet", _sparseconvnet))
        ]
    return found


def named(name: str, occupancy: float) -> str:
    """Name of a contender at an occupancy."""
    return f"{name} {100 * occupancy:g} %"


def crossover(results: Table, case: str) -> float | None:
    """Occupancy at which ours takes as long as the faster dense layer, None above all of them.

    Between two occupancies the logarithm of the time is taken as linear in that of the occupancy.
    """
    row = results[case]
    dense = min(row[name].total for name in DENSE)
    points = [(math.log(o), math.log(row[named(OURS, o)].total / dense)) for o in OCCUPANCIES]
    if points[0][1] >= 0:
        return OCCUPANCIES[0]
    for (x, y), (following, above) in pairwise(points):
        if above >= 0:
            return math.exp(x - y * (following - x) / (above - y))
    return None


def _dense(last: bool, given: Problem) -> Run:
    torch.manual_seed(0)
    dimensions = len(given.shape)
    layer = getattr(nn, f"Conv{dimensions}d")(CHANNELS, CHANNELS, 3, padding=1).to(given.device)
    image = torch.randn(EVENTS, CHANNELS, *given.shape, device=given.device)
    if last:
        order = torch.channels_last if dimensions == 2 else torch.channels_last_3d
        layer, image = layer.to(memory_format=order), image.contiguous(memory_format=order)
    image.requires_grad_()
    return Run(lambda: _total(layer(image).flatten(2).sum(2)), (image, *layer.parameters()))


def _total(value: Tensor) -> Tensor:
    """Something small to differentiate: sums over events and sites [C]."""
    return value.sum(0)


def _features(given: Problem, occupancy: float) -> Tensor:
    torch.manual_seed(0)
    number = len(given.sites[occupancy][0])
    return torch.randn(number, CHANNELS, device=given.device).requires_grad_()


def _layer(given: Problem, occupancy: float, sites: Callable[[], Sites]) -> Run:
    x = _features(given, occupancy)
    layer = SubmanifoldConv(len(given.shape), CHANNELS, CHANNELS).to(given.device)
    leaves = (x, *layer.parameters())
    return Run(lambda: _total(layer(SparseImage(x, sites())).x), leaves)


def _ours(occupancy: float, given: Problem) -> Run:
    cell, ptr = given.sites[occupancy]
    return _layer(given, occupancy, lambda: active_sites(cell, ptr, given.shape))


def _kept(occupancy: float, given: Problem) -> Run:
    sites = active_sites(*given.sites[occupancy], given.shape)
    return _layer(given, occupancy, lambda: sites)


def _rules(occupancy: float, given: Problem) -> Run:
    cell, ptr = given.sites[occupancy]

    def forward() -> Tensor:
        blocks = submanifold(active_sites(cell, ptr, given.shape), 3).blocks
        return torch.tensor([len(blocks)])

    return Run(forward)


def _spconv(occupancy: float, given: Problem) -> Run:
    package = import_module(PEERS["spconv"])
    cell, ptr = given.sites[occupancy]
    x, dimensions = _features(given, occupancy), len(given.shape)
    event = torch.repeat_interleave(torch.arange(EVENTS, device=cell.device), ptr.diff())
    index = torch.cat([event[:, None], cell], 1).int()
    # The default algorithm is for GPUs alone.
    how = {"algo": package.ConvAlgo.Native} if given.device == "cpu" else {}
    kind = getattr(package, f"SubMConv{dimensions}d")
    layer = kind(CHANNELS, CHANNELS, 3, **how).to(given.device)

    def forward() -> Tensor:
        image = package.SparseConvTensor(x, index, list(given.shape), EVENTS)
        return _total(layer(image).features)

    return Run(forward, (x, *layer.parameters()))


def _sparseconvnet(occupancy: float, given: Problem) -> Run:
    package = import_module(PEERS["SparseConvNet"])
    cell, ptr = given.sites[occupancy]
    x, dimensions = _features(given, occupancy), len(given.shape)
    event = torch.repeat_interleave(torch.arange(EVENTS, device=cell.device), ptr.diff())
    index = torch.cat([cell, event[:, None]], 1).cpu()
    take = package.InputLayer(dimensions, torch.tensor(given.shape), mode=0)
    layer = package.SubmanifoldConvolution(dimensions, CHANNELS, CHANNELS, 3, True)
    layer = layer.to(given.device)
    return Run(lambda: _total(layer(take([index, x])).features), (x, *layer.parameters()))
