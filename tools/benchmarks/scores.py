"""1-NN accuracy under the earth mover's distance of 1,000 + 1,000 jets of 30 particles."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen import metrics
from pcgen.datasets import sample_jets
from pcgen.metrics.nearest_clouds import NearestClouds

PERIODS = (None, 2 * math.pi)


class Neighbours(NamedTuple):
    """How long the nearest of all jets took.

    Attributes:
        jets: Jets in both sets together.
        seconds: Exactly, by bounds first.
        solved: Distances computed for it.
        pairs: Pairs of jets.
        full: The full matrix, reckoned from ``sampled`` pairs [s].
        sampled: Pairs computed for that.
        accuracy: 1-NN accuracy (two halves of one sample: 0.5 within its spread).
    """

    jets: int
    seconds: float
    solved: int
    pairs: int
    full: float
    sampled: int
    accuracy: float


def nearest_jets(quick: bool) -> Neighbours:
    """Time the search and a sample of the full matrix, one after the other."""
    number = 60 if quick else 2000
    jets = hardest(number, 30)
    distance = metrics.distances.earth_mover_distance(PERIODS)
    generator = torch.Generator().manual_seed(0)
    sampled = 200 if quick else 10000
    pair = torch.randint(number, (2, sampled), generator=generator)
    # Compiled here, before the clock starts.
    distance(pc.select(jets, pair[0, :100]), pc.select(jets, pair[1, :100]))
    start = time.perf_counter()
    distance(pc.select(jets, pair[0]), pc.select(jets, pair[1]))
    each = (time.perf_counter() - start) / sampled
    start = time.perf_counter()
    bound = metrics.distances.earth_mover_bound(jets, PERIODS)
    table = NearestClouds(jets, distance, bound)
    index = table.nearest().index
    seconds = time.perf_counter() - start
    own = (torch.arange(number) < number // 2) == (index < number // 2)
    pairs = number * (number - 1) // 2
    return Neighbours(
        number, seconds, table.solved, pairs, each * pairs, sampled, own.double().mean().item()
    )


def hardest(number: int, points: int) -> Batch:
    """Jets of the shipped sample, cut to their hardest particles (they are sorted by weight)."""
    jets = sample_jets("all").read(0, number)
    place = torch.arange(len(jets.pos)) - jets.ptr[:-1][jets.batch]
    return pc.select_points(jets, place < points)
