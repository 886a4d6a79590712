r"""A detector row: overlapping pulses of one channel taken apart into hits.

A channel is sampled 64 times. A hit at time t adds a pulse a u e^(1 - u), u = (time - t) / τ after
it, with τ of three samples and a from 0.2 to 1; there are one to four hits, and noise of 0.005.
The dictionary has a pulse for every half sample: neighbours overlap by 0.99. Solvers and a network
of unrolled thresholds answer with amplitudes >= 0 of these 128 pulses. Neighbouring pulses are one
hit, at their mean time and with their sum, and hits below 0.1 are dropped. A true hit is found if a
hit lies within one sample of it. The score is F1, the harmonic mean of efficiency (share of true
hits that are found) and purity (share of hits that are true).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pcgen.nn.unrolled import UnrolledThresholding
from pcgen.ops.sparse_recovery import Matrix, fista, iht, omp
from pcgen.tools.claims.claim import Claim

SAMPLES, BINS, DECAY, HITS, NOISE, LOWEST = 64, 128, 3.0, 4, 0.005, 0.1
TESTS, BATCH, STEPS, RATE = 500, 256, 1500, 3e-3


def dictionary() -> Tensor:
    """Pulses that begin at every half sample [SAMPLES, BINS], of height 1."""
    since = (torch.arange(SAMPLES)[:, None] - torch.arange(BINS)[None] / 2) / DECAY
    return torch.where(since > 0, since * (1 - since).exp(), 0.0)


def events(number: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Amplitudes of the pulses [number, BINS] of one to four hits, and samples with noise."""
    hits = torch.randint(1, HITS + 1, (number, 1), generator=draw)
    # The last pulses would be cut off before their peak.
    place = torch.rand(number, BINS - 16, generator=draw).topk(HITS, 1).indices
    size = 0.2 + 0.8 * torch.rand(place.shape, generator=draw)
    size = torch.where(torch.arange(HITS) < hits, size, 0.0)
    truth = torch.zeros(number, BINS).scatter(1, place, size)
    samples = truth @ dictionary().T
    return truth, samples + NOISE * torch.randn(samples.shape, generator=draw)


def network(seed: int, steps: int) -> nn.Module:
    """Unrolled thresholds that learn amplitudes by squared error."""
    matrix = dictionary()
    net = UnrolledThresholding(matrix, layers=12, strength=0.02)
    draw = torch.Generator().manual_seed(3000 + seed)
    adam = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=steps)
    for _ in range(steps):
        truth, samples = events(BATCH, draw)
        adam.zero_grad()
        (net(samples) - truth).square().sum(1).mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        schedule.step()
    return net.eval()


SOLVERS: dict[str, Callable[[Tensor], Tensor]] = {
    "OMP": lambda y: omp(dictionary().double(), y.double(), HITS),
    "IHT": lambda y: iht(Matrix(dictionary()), y, HITS, steps=3000),
    "FISTA": lambda y: fista(Matrix(dictionary()), y, 0.02, steps=3000, nonnegative=True),
}


class Score(NamedTuple):
    """How well hits are recovered.

    Attributes:
        efficiency: Share of the true hits that are found.
        purity: Share of the hits that are true.
        resolution: Root mean square of the amplitude's relative error, of the hits that are found.
    """

    efficiency: float
    purity: float
    resolution: float

    @property
    def f1(self) -> float:
        """Harmonic mean of efficiency and purity; 0 where both are."""
        total = self.efficiency + self.purity
        return 2 * self.efficiency * self.purity / total if total else 0.0


def hits(amplitudes: Sequence[float]) -> list[tuple[float, float]]:
    """Times in samples and amplitudes of the hits of one channel: runs of pulses, joined."""
    found, total, moment = [], 0.0, 0.0
    for place, value in enumerate([*amplitudes, 0.0]):
        if value > 0.1 * LOWEST:
            total, moment = total + value, moment + value * place
        elif total:
            if total >= LOWEST:
                found.append((0.5 * moment / total, total))
            total = moment = 0.0
    return found


def score(found: Tensor, truth: Tensor) -> Score:
    """Compare amplitudes [B, BINS]; every true hit goes to the nearest hit that is left."""
    right, wanted, made, square = 0, 0, 0, 0.0
    for ours, theirs in zip(found.tolist(), truth.tolist(), strict=True):
        left = hits(ours)
        made += len(left)
        for place, size in ((0.5 * k, value) for k, value in enumerate(theirs) if value > 0):
            wanted += 1
            near = min(left, key=lambda hit: abs(hit[0] - place), default=None)
            if near is not None and abs(near[0] - place) <= 1:
                left.remove(near)
                right += 1
                square += (near[1] / size - 1) ** 2
    resolution = (square / right) ** 0.5 if right else float("nan")
    return Score(right / max(wanted, 1), right / max(made, 1), resolution)


@functools.cache
def of(name: str, seed: int, quick: bool) -> Score:
    """The score of a solver or of the network."""
    truth, samples = events(20 if quick else TESTS, torch.Generator().manual_seed(4000 + seed))
    if name in SOLVERS:
        return score(SOLVERS[name](samples), truth)
    with torch.no_grad():
        answer = _trained(seed, quick)(samples)
    return score(answer, truth)


def _trained(seed: int, quick: bool) -> nn.Module:
    with torch.enable_grad():
        return network(seed, 3 if quick else STEPS)


def f1(name: str, seeds: Sequence[int], quick: bool) -> list[float]:
    """Of each seed."""
    return [of(name, seed, quick).f1 for seed in seeds]


def ahead(name: str, other: str, seeds: Sequence[int], quick: bool) -> list[float]:
    """F1 of one less that of another."""
    return [of(name, seed, quick).f1 - of(other, seed, quick).f1 for seed in seeds]


def resolution(name: str, seeds: Sequence[int], quick: bool) -> list[float]:
    """Of the amplitude, of each seed."""
    return [of(name, seed, quick).resolution for seed in seeds]


_PAPER = "1605.01636"
CLAIMS = (
    Claim("pulses", "F1 of the hits: OMP with four pulses", _PAPER, "misses neighbours",
          functools.partial(f1, "OMP"), 0.9),
    Claim("pulses", "non-negative LASSO (FISTA)", "ours", "none", functools.partial(f1, "FISTA"),
          0.8, above=True),
    Claim("pulses", "IHT with four pulses", _PAPER, "fails", functools.partial(f1, "IHT"), 0.7),
    Claim("pulses", "12 unrolled layers, learnt", _PAPER, "best", functools.partial(f1, "untied"),
          0.9, above=True),
    Claim("pulses", "F1 of the unrolled layers less that of OMP", _PAPER, "> 0",
          functools.partial(ahead, "untied", "OMP"), 0.05, above=True),
    Claim("pulses", "relative resolution of the amplitude, unrolled layers", "ours", "none",
          functools.partial(resolution, "untied"), 0.15),
)  # fmt: skip
