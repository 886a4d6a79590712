from __future__ import annotations

from itertools import permutations

import pytest

from pcgen.errors import ArgumentError
from pcgen.metrics.jets.energyflow import components, multigraphs, vertices

# energyflow 1.4.0, EFPSet("d<=4").graphs(), edges sorted.
ENERGYFLOW = [
    "",
    "01",
    "01 01",
    "01 01 01",
    "01 01 01 01",
    "01 02",
    "01 02 02",
    "01 02 02 02",
    "01 01 02 02",
    "01 02 12",
    "01 02 02 12",
    "01 02 03",
    "01 02 02 03",
    "01 02 13",
    "01 02 02 13",
    "01 01 02 13",
    "01 02 12 03",
    "01 02 13 23",
    "01 02 03 04",
    "01 02 03 14",
    "01 02 13 24",
    "01 23",
    "01 23 23",
    "01 23 23 23",
    "01 01 23 23",
    "01 23 24",
    "01 01 23 24",
    "01 23 24 24",
    "01 23 24 34",
    "01 23 45",
    "01 23 24 25",
    "01 23 24 35",
    "01 02 34 35",
    "01 23 45 45",
    "01 23 45 46",
    "01 23 45 67",
]


def read(text):
    return tuple((int(a), int(b)) for a, b in text.split())


def test_numbers_of_graphs_are_known():
    # Partial sums of OEIS A050535, and of A076864 for connected graphs.
    assert [len(multigraphs(d)) for d in range(6)] == [1, 2, 5, 13, 36, 102]
    connected = [sum(len(components(g)) == 1 for g in multigraphs(d)) for d in range(6)]
    assert connected == [1, 2, 4, 9, 21, 54]


def test_order_is_that_of_energyflow():
    for ours, theirs in zip(multigraphs(4), ENERGYFLOW, strict=True):
        assert sorted(components(ours)) == sorted(components(read(theirs)))


def test_no_two_graphs_are_the_same_up_to_labels():
    graphs = {tuple(sorted(graph)) for graph in multigraphs(3)}
    for graph in graphs:
        for order in permutations(range(vertices(graph))):
            renamed = sorted(tuple(sorted((order[u], order[v]))) for u, v in graph)
            assert tuple(renamed) == graph or tuple(renamed) not in graphs


def test_components_do_not_depend_on_labels():
    one, other = ((4, 3), (0, 7), (7, 0)), ((1, 0), (1, 0), (2, 5))
    assert sorted(components(one)) == sorted(components(other)) == [((0, 1),), ((0, 1), (0, 1))]


def test_degree_out_of_range_is_refused():
    with pytest.raises(ArgumentError, match="degree: got 6"):
        multigraphs(6)
