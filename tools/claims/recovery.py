r"""Xin et al. 2016: sparse vectors from a coherent dictionary, by solvers and by learnt networks.

The dictionary is the sum of i^-2 u_i v_i' over i = 1 to 20 with normal u [20] and v [100], and has
columns of norm 1, nearly parallel ones among them; two entries are not zero, with amplitudes of
either sign from 0.1 to 0.5. An answer is right if its two largest entries are the support. Networks
learn from 512 new vectors a step, 1000 steps of Adam, by the cross entropy of the support; this
loss and the rate are those of a pilot of four runs, seed 0. The paper has no figures in its text:
those of "published" are orderings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pcgen.nn.unrolled import SupportClassifier, UnrolledThresholding
from pcgen.objectives.support import recovered, support_loss
from pcgen.ops.sparse_recovery import Matrix, fista, iht, omp
from pcgen.tools.claims.claim import Claim

ROWS, COLUMNS, NONZEROS, TESTS, BATCH, STEPS, RATE = 20, 100, 2, 1000, 512, 1000, 3e-3


def dictionary(seed: int, coherent: bool) -> Tensor:
    """Columns of norm 1 [ROWS, COLUMNS]."""
    draw = torch.Generator().manual_seed(seed)
    if not coherent:
        matrix = torch.randn(ROWS, COLUMNS, generator=draw)
    else:
        u, v = (torch.randn(ROWS, n, generator=draw) for n in (ROWS, COLUMNS))
        matrix = (u / torch.arange(1, ROWS + 1) ** 2) @ v
    return matrix / matrix.norm(dim=0)


def vectors(number: int, draw: torch.Generator) -> Tensor:
    """Sparse vectors [number, COLUMNS]."""
    place = torch.rand(number, COLUMNS, generator=draw).topk(NONZEROS, 1).indices
    size = 0.1 + 0.4 * torch.rand(place.shape, generator=draw)
    sign = 2 * torch.randint(2, place.shape, generator=draw) - 1
    return torch.zeros(number, COLUMNS).scatter(1, place, sign * size)


Solver = UnrolledThresholding | SupportClassifier

NETWORKS: dict[str, Callable[[Tensor], Solver]] = {
    "tied": lambda matrix: UnrolledThresholding(matrix, tied=True),
    "untied": UnrolledThresholding,
    "classifier": lambda matrix: SupportClassifier(ROWS, COLUMNS),
}
SOLVERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "OMP": lambda matrix, y: omp(matrix.double(), y.double(), NONZEROS),
    "IHT": lambda matrix, y: iht(Matrix(matrix), y, NONZEROS),
    "FISTA": lambda matrix, y: fista(Matrix(matrix), y, 1e-3, steps=3000),
}


def fit(net: Solver, matrix: Tensor, seed: int, steps: int) -> Solver:
    """Train a network on new vectors by the loss of its logits."""
    draw = torch.Generator().manual_seed(3000 + seed)
    adam = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=steps)
    for _ in range(steps):
        truth = vectors(BATCH, draw)
        adam.zero_grad()
        support_loss(net.logits(truth @ matrix.T), truth).mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        schedule.step()
    return net.eval()


@functools.cache
def share(name: str, seed: int, quick: bool, coherent: bool = True) -> float:
    """Share of the supports that a solver or a network recovers."""
    matrix = dictionary(seed, coherent)
    truth = vectors(20 if quick else TESTS, torch.Generator().manual_seed(4000 + seed))
    y = truth @ matrix.T
    if name in SOLVERS:
        return recovered(SOLVERS[name](matrix, y).abs(), truth).exact
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = NETWORKS[name](matrix)
    net = fit(net, matrix, seed, 3 if quick else STEPS)
    with torch.no_grad():
        return recovered(net.logits(y), truth).exact


def shares(name: str, coherent: bool, seeds: Sequence[int], quick: bool) -> list[float]:
    """Of each seed."""
    return [share(name, seed, quick, coherent) for seed in seeds]


def ahead(name: str, of: str, seeds: Sequence[int], quick: bool) -> list[float]:
    """Share of one less that of another, on the coherent dictionary."""
    return [share(name, seed, quick) - share(of, seed, quick) for seed in seeds]


_PAPER = "1605.01636"
CLAIMS = (
    Claim("recovery", "incoherent dictionary: share of supports that FISTA recovers", _PAPER,
          "solvers suffice", functools.partial(shares, "FISTA", False), 0.95, above=True),
    Claim("recovery", "incoherent dictionary: OMP", _PAPER, "solvers suffice",
          functools.partial(shares, "OMP", False), 0.9, above=True),
    Claim("recovery", "coherent dictionary: OMP", _PAPER, "fails",
          functools.partial(shares, "OMP", True), 0.1),
    Claim("recovery", "coherent dictionary: IHT", _PAPER, "fails",
          functools.partial(shares, "IHT", True), 0.1),
    Claim("recovery", "coherent: untied less tied layers", _PAPER, "> 0",
          functools.partial(ahead, "untied", "tied"), 0.1, above=True),
    Claim("recovery", "coherent: untied layers less OMP", _PAPER, "> 0",
          functools.partial(ahead, "untied", "OMP"), 0.3, above=True),
    Claim("recovery", "coherent: residual classifier less OMP", _PAPER, "> 0",
          functools.partial(ahead, "classifier", "OMP"), 0.3, above=True),
)  # fmt: skip
