"""Scores of samples of one pool are those of the full matrices, whatever events they share."""

from __future__ import annotations

import pytest
import torch
from full_matrices import scores_of_matrices

from pcgen import clouds as pc
from pcgen.metrics import pairwise
from pcgen.metrics.distances import chamfer_distance, earth_mover_distance
from pcgen.metrics.scores import neighbours
from pcgen.schema import Quantity, Schema
from pcgen.testing import random_clouds, random_sizes

PLANE = Schema((Quantity("x"), Quantity("y")), weight=Quantity("e"))


@pytest.fixture(scope="module")
def clouds():
    return random_clouds(random_sizes(24, 1, 5), dtype=torch.double)


def matrices(clouds, a, b, distance):
    first, second = pc.select(clouds, a), pc.select(clouds, b)
    between = pairwise(distance, first, second)
    among = (pairwise(distance, side) for side in (first, second))
    return list(scores_of_matrices(between, *among))


@pytest.mark.parametrize("table", [4096, 12])
def test_are_those_of_the_full_matrices(clouds, table, monkeypatch):
    monkeypatch.setattr(neighbours, "TABLE", table)
    scores = neighbours.earth_mover_neighbourhood(clouds, PLANE)
    rows = torch.stack([torch.randperm(24)[:10] for _ in range(4)])
    found = scores.compare(rows[:, :5], rows[:, 5:])
    for p in range(4):
        expected = matrices(clouds, rows[p, :5], rows[p, 5:], earth_mover_distance())
        assert found[:, p].tolist() == pytest.approx(expected, rel=1e-12)


def test_chamfer_needs_no_bound(clouds):
    scores = neighbours.chamfer_neighbourhood(clouds, PLANE)
    order = torch.arange(24)
    found = scores.compare(order[None, :12], order[None, 12:])
    expected = matrices(clouds, order[:12], order[12:], chamfer_distance())
    assert found[:, 0].tolist() == pytest.approx(expected, rel=1e-12)


def test_a_cloud_drawn_twice_counts_twice_for_mmd_and_once_for_coverage(clouds):
    scores = neighbours.earth_mover_neighbourhood(clouds, PLANE, scores=("COV", "MMD"))
    assert [m.name for m in scores.measures] == ["COV-EMD", "MMD-EMD"]
    a, b = torch.tensor([3, 3, 3, 7]), torch.tensor([10, 11, 12, 13])
    between = pairwise(earth_mover_distance(), pc.select(clouds, a), pc.select(clouds, b))
    found = scores.compare(a[None], b[None])[:, 0]
    assert found[0].item() == len({int(a[k]) for k in between.argmin(0)}) / 4
    assert found[1].item() == pytest.approx(between.min(1).values.mean().item())


def test_two_sets_far_apart_have_p_at_its_least():
    generator = torch.Generator().manual_seed(0)
    pos = torch.randn(40, 2, generator=generator) + 5 * (torch.arange(40) >= 20)[:, None]
    pool = pc.make(pos, [1] * 40, weight=torch.ones(40))
    scores = neighbours.earth_mover_neighbourhood(pool, PLANE)
    p = scores.p_values(torch.arange(20), torch.arange(20, 40), 49, generator)
    assert p.tolist() == [0.02, 0.02, 0.02]


def test_weightless_clouds_are_not_usable():
    pool = pc.make(torch.zeros(2, 2), [1, 1, 0], weight=torch.tensor([1.0, 0.0]))
    scores = neighbours.earth_mover_neighbourhood(pool, PLANE)
    assert scores.usable.tolist() == [True, False, False]
