"""Loopless multigraphs up to a number of edges: the names of the energy-flow polynomials.

A graph is the tuple of its edges, each a pair of vertices, repeated where the edge is multiple:
``((0, 1), (0, 2), (0, 2))``. The vertices are 0, ..., n - 1 and each has an edge; the one
exception is the dot, the graph of one vertex and no edge, written ``()``. The degree of a graph is
its number of edges. There are 1, 1, 3, 8, 23, 66 graphs of degree 0, ..., 5 (OEIS A050535; Komiske,
Metodiev and Thaler, "Energy flow polynomials", arXiv 1712.07124).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations_with_replacement, permutations

from pcgen.errors import ArgumentError

Graph = tuple[tuple[int, int], ...]
"""Edges (u, v) with u < v, repeated where multiple."""

MAX_DEGREE = 5


def vertices(graph: Graph) -> int:
    """Number of vertices.

    >>> vertices(()), vertices(((0, 1), (0, 2)))
    (1, 3)
    """
    return max((v for edge in graph for v in edge), default=0) + 1


def components(graph: Graph) -> tuple[Graph, ...]:
    """The connected parts, each in its canonical labels.

    >>> components(((0, 1), (2, 3), (2, 3)))
    (((0, 1),), ((0, 1), (0, 1)))
    """
    groups: list[list[tuple[int, int]]] = []
    for edge in graph:
        touched = [g for g in groups if any(set(edge) & set(other) for other in g)]
        groups = [g for g in groups if g not in touched]
        groups.append([edge, *(other for group in touched for other in group)])
    return tuple(_canonical(group) for group in groups) or ((),)


@lru_cache(maxsize=8)
def multigraphs(degree: int) -> tuple[Graph, ...]:
    """All graphs of at most ``degree`` edges, the dot and the connected ones first.

    Connected graphs are sorted by the number of vertices, of distinct edges, the distinct edges,
    the degree and the multiplicities; products of them by vertices, degree, number of factors and
    the factors themselves, larger ones first. Up to degree 4 that is the order of energyflow.

    Raises:
        ArgumentError: ``degree`` is not among 0, ..., 5.

    >>> [len(multigraphs(d)) for d in range(5)]
    [1, 2, 5, 13, 36]
    >>> multigraphs(2)
    ((), ((0, 1),), ((0, 1), (0, 1)), ((0, 1), (0, 2)), ((0, 1), (2, 3)))
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ArgumentError(f"degree: got {degree}, expected 0 to {MAX_DEGREE}")
    levels: list[set[Graph]] = [{((0, 1),)} if degree else set()]
    for _ in range(degree - 1):
        levels.append({larger for graph in levels[-1] for larger in _one_edge_more(graph)})
    connected = sorted({graph for level in levels for graph in level}, key=_connected_order)
    rank = {graph: k for k, graph in enumerate(connected)}
    products = [
        sorted(factors, key=lambda g: (-vertices(g), len(g), rank[g]))
        for count in range(2, degree + 1)
        for factors in combinations_with_replacement(connected, count)
        if sum(map(len, factors)) <= degree
    ]
    products.sort(key=lambda factors: _product_order(factors, rank))
    return ((), *connected, *(_side_by_side(factors) for factors in products))


def _one_edge_more(graph: Graph) -> Iterator[Graph]:
    """Every connected graph that one more edge makes, to a new vertex or between old ones."""
    number = vertices(graph)
    for v in range(1, number + 1):
        for u in range(min(v, number)):
            yield _canonical([*graph, (u, v)])


def _canonical(edges: Iterable[tuple[int, int]]) -> Graph:
    """The labels in which the distinct edges, then the multiplicities, are the smallest."""
    edges = list(edges)
    names = sorted({v for edge in edges for v in edge})
    best: tuple[list[tuple[int, int]], list[int]] | None = None
    for order in permutations(range(len(names))):
        label = dict(zip(names, order, strict=True))
        renamed = [(min(label[u], label[v]), max(label[u], label[v])) for u, v in edges]
        distinct = sorted(set(renamed))
        key = (distinct, [renamed.count(edge) for edge in distinct])
        best = key if best is None or key < best else best
    if best is None:
        return ()
    return tuple(edge for edge, count in zip(*best, strict=True) for _ in range(count))


def _connected_order(graph: Graph) -> tuple[object, ...]:
    distinct = sorted(set(graph))
    multiplicities = [graph.count(edge) for edge in distinct]
    return vertices(graph), len(distinct), distinct, len(graph), multiplicities


def _product_order(factors: list[Graph], rank: dict[Graph, int]) -> tuple[object, ...]:
    sizes, degrees = [vertices(g) for g in factors], [len(g) for g in factors]
    ranks = [rank[g] for g in factors]
    return sum(sizes), sum(degrees), len(factors), [-n for n in sizes], degrees, ranks


def _side_by_side(factors: list[Graph]) -> Graph:
    """The factors as one graph, the smallest on the first vertices."""
    edges: list[tuple[int, int]] = []
    start = 0
    for graph in reversed(factors):
        edges += [(u + start, v + start) for u, v in graph]
        start += vertices(graph)
    return tuple(edges)
