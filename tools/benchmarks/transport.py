"""Earth mover: ours with certificate and gradient, packages, and raw solvers as the limit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen import clouds as pc
from pcgen.datasets import sample_jets
from pcgen.ops.ragged import arange_ragged
from pcgen.ops.transport import earth_mover
from pcgen.tools.benchmarks.measure import Case, Contender, Run


class Pairs(NamedTuple):
    """B pairs of clouds of n points [B, n, D] with weights [B, n] that sum to 1."""

    x: Tensor
    y: Tensor
    weight_x: Tensor
    weight_y: Tensor

    @property
    def ptr(self) -> Tensor:
        batch, points = self.weight_x.shape
        return torch.arange(batch + 1, device=self.x.device) * points

    def costs(self) -> list[np.ndarray]:
        """Distances of each pair [n, n], float64."""
        return list(torch.cdist(self.x.detach().double(), self.y.detach().double()).cpu().numpy())

    def first(self, number: int) -> Pairs:
        """The first pairs, as leaves of their own."""
        x, y = (side[:number].detach().clone().requires_grad_() for side in self[:2])
        return Pairs(x, y, self.weight_x[:number], self.weight_y[:number])


def jet_cases(device: str, quick: bool) -> list[Case[Pairs]]:
    """Jets of 30 and of 150 particles."""
    sizes = ((8, 30),) if quick else ((32, 30), (256, 30), (1024, 30), (32, 150), (256, 150))
    return [Case(f"B={b}, n={n}", 1.0 * b * n * n, partial(jets, b, n, device)) for b, n in sizes]


def uniform_cases(device: str, quick: bool) -> list[Case[Pairs]]:
    """Clouds of equal weights in the unit cube."""
    sizes = ((2, 256),) if quick else ((4, 512), (4, 2048))
    return [
        Case(f"B={b}, n={n}", 1.0 * b * n * n, partial(uniform, b, n, device)) for b, n in sizes
    ]


def jets(batch: int, points: int, device: str) -> Pairs:
    """Particles of the shipped jets: the hardest 30 of each, or runs over several jets if more."""
    sample = sample_jets("all").load()
    need = 2 * batch * points
    if points <= 30:
        sample = pc.select(sample, pc.sizes(sample) >= points)
        rows = arange_ragged(sample.ptr[:-1], torch.full_like(sample.ptr[:-1], points))
    else:
        rows = torch.arange(len(sample.pos))
    rows = rows.repeat(1 + need // len(rows))[:need]
    pos = sample.pos[rows].view(2, batch, points, -1).to(device)
    weight = sample.weight[rows].view(2, batch, points).to(device)
    weight = weight / weight.sum(-1, keepdim=True)
    return Pairs(pos[0].clone().requires_grad_(), pos[1].clone().requires_grad_(), *weight)


def uniform(batch: int, points: int, device: str) -> Pairs:
    """Points drawn evenly from the unit cube."""
    generator = torch.Generator().manual_seed(0)
    pos = torch.rand(2, batch, points, 3, generator=generator).to(device)
    weight = torch.full((batch, points), 1.0 / points, device=device)
    return Pairs(pos[0].clone().requires_grad_(), pos[1].clone().requires_grad_(), weight, weight)


def jet_contenders(quick: bool) -> list[Contender[Pairs]]:
    """Weighted clouds: exact, with gradients."""
    few = 0.125 if quick else 1 / 32
    return [
        Contender("pcgen", _ours(None), "ours"),
        Contender("POT emd2", _pot, module="ot", devices=("cpu",)),
        Contender("GeomLoss Sinkhorn", _geomloss, module="geomloss", bytes_per_work=64.0),
        Contender(
            "JetNet EMDLoss", _jetnet(few), module="jetnet.losses", share=few, devices=("cpu",)
        ),
        Contender("wasserstein", _wasserstein, "limit", "wasserstein", devices=("cpu",)),
        Contender("EnergyFlow", _energyflow, "limit", "energyflow", devices=("cpu",)),
        Contender("network simplex on all cores", _simplex, "limit", "ot", devices=("cpu",)),
    ]


def uniform_contenders() -> list[Contender[Pairs]]:
    """Equal weights: certified to 1 %, with gradients, against exact assignment."""
    return [
        Contender("pcgen, certified 1 %", _ours(0.01), "ours"),
        Contender("SciPy assignment + gather", _scipy, module="scipy", devices=("cpu",)),
        Contender("POT emd2", _pot, module="ot", devices=("cpu",)),
        Contender("GeomLoss Sinkhorn", _geomloss, module="geomloss", bytes_per_work=64.0),
        Contender(
            "SciPy assignment, solver alone", _assignment, "limit", "scipy", devices=("cpu",)
        ),
    ]


def _ours(tolerance: float | None) -> Callable[[Pairs], Run]:
    def prepare(given: Pairs) -> Run:
        x, y = (side.detach().flatten(0, 1).requires_grad_() for side in given[:2])
        weight_x, weight_y = given.weight_x.flatten(), given.weight_y.flatten()
        ptr = given.ptr

        def forward() -> Tensor:
            return earth_mover(
                x, y, ptr, ptr, weight_x=weight_x, weight_y=weight_y, tolerance=tolerance
            ).cost

        return Run(forward, (x, y))

    return prepare


def _pot(given: Pairs) -> Run:
    import ot

    def forward() -> Tensor:
        # POT wants weights of the cost's type that sum to one another to its precision.
        costs = torch.cdist(given.x.double(), given.y.double())
        weights = [w.double() / w.double().sum(1, keepdim=True) for w in given[2:]]
        return torch.stack([ot.emd2(a, b, c) for a, b, c in zip(*weights, costs, strict=True)])

    return Run(forward, given[:2])


def _geomloss(given: Pairs) -> Run:
    loss = import_module("geomloss").SamplesLoss(
        "sinkhorn", p=1, blur=0.005, scaling=0.9, debias=False, backend="tensorized"
    )
    return Run(lambda: loss(given.weight_x, given.x, given.weight_y, given.y), given[:2])


def _jetnet(share: float) -> Callable[[Pairs], Run]:
    def prepare(given: Pairs) -> Run:
        if given.x.shape[1] > 30:
            raise ValueError("its dense constraints take gigabytes")
        if len(given.x) > 32:
            raise ValueError("seconds a jet, as at B=32")
        part = given.first(max(1, round(share * len(given.x))))
        loss = import_module("jetnet.losses").EMDLoss(num_particles=part.x.shape[1], device="cpu")

        def forward() -> Tensor:
            sides = ((part.x, part.weight_x), (part.y, part.weight_y))
            return loss(*(torch.cat([pos, weight[..., None]], -1) for pos, weight in sides))

        return Run(forward, part[:2])

    return prepare


def _events(given: Pairs) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows of (weight, coordinates) for each cloud, of both sides."""
    sides = ((given.x, given.weight_x), (given.y, given.weight_y))
    first, second = (
        list(torch.cat([weight[..., None], pos.detach()], -1).double().numpy())
        for pos, weight in sides
    )
    return first, second


def _wasserstein(given: Pairs) -> Run:
    solver, pairs = (
        import_module("wasserstein").EMD(norm=True),
        list(zip(*_events(given), strict=True)),
    )

    def one(a: np.ndarray, b: np.ndarray) -> float:
        return solver(
            a[:, 0], np.ascontiguousarray(a[:, 1:]), b[:, 0], np.ascontiguousarray(b[:, 1:])
        )

    return Run(lambda: torch.tensor([one(a, b) for a, b in pairs]))


def _energyflow(given: Pairs) -> Run:
    emd = import_module("energyflow.emd").emd
    pairs = list(zip(*_events(given), strict=True))
    return Run(lambda: torch.tensor([emd(a, b, R=1.0, norm=True) for a, b in pairs]))


def _simplex(given: Pairs) -> Run:
    """POT's compiled solver on costs computed before, in as many threads as torch uses."""
    from ot.lp.emd_wrap import emd_c

    weights = [(w.double() / w.double().sum(1, keepdim=True)).cpu().numpy() for w in given[2:]]
    problems = list(zip(*weights, given.costs(), strict=True))

    def one(problem: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
        return emd_c(*problem, 10**9, 1)[1]

    return Run(lambda: torch.tensor(_threaded(one, problems)))


def _scipy(given: Pairs) -> Run:
    """Exact assignment, and the value at its plan by plain torch."""
    from scipy.optimize import linear_sum_assignment

    def forward() -> Tensor:
        plans = _threaded(lambda cost: linear_sum_assignment(cost)[1], given.costs())
        target = torch.from_numpy(np.stack(plans))[..., None].expand_as(given.y)
        return (given.x - given.y.gather(1, target)).norm(dim=-1).mean(1)

    return Run(forward, given[:2])


def _assignment(given: Pairs) -> Run:
    from scipy.optimize import linear_sum_assignment

    costs = given.costs()

    def one(cost: np.ndarray) -> float:
        row, column = linear_sum_assignment(cost)
        return cost[row, column].mean()

    return Run(lambda: torch.tensor(_threaded(one, costs)))


def _threaded(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    """Both solvers release Python's lock: give them the cores that ours has."""
    if torch.get_num_threads() == 1:
        return list(map(function, items))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(function, items))
