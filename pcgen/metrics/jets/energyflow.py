"""Energy-flow polynomials of jets (EFPs), by contraction of small tensors.

For a multigraph G on vertices 1, ..., n, a jet with weights z and distances θ has

    EFP_G = Σ_{i_1} ... Σ_{i_n} z_{i_1} ... z_{i_n} Π_{(k,l) ∈ G} θ_{i_k i_l},
    θ_ij = ((η_i - η_j)² + (φ_i - φ_j)²)^{β/2},

the measure that energyflow calls ``hadr`` with ``normed=None``. Komiske, Metodiev and Thaler,
"Energy flow polynomials: a complete linear basis for jet substructure", JHEP 04 (2018) 013, arXiv
1712.07124, equation 1.1.

The sum over n particles is never taken as such. The vertices of a connected graph are summed one
after the other, those of fewest neighbours first (variable elimination): a leaf gives a
matrix times a vector, a vertex of two neighbours a product of two matrices, and what several graphs
share is computed once. All graphs of up to five edges cost one matrix product or a few. The EFP of
a graph of several parts is the product of theirs.

A graph is the tuple of its edges, each a pair of vertices, repeated where the edge is multiple:
``((0, 1), (0, 2), (0, 2))``. The vertices are 0, ..., n - 1 and each has an edge; the one
exception is the dot, the graph of one vertex and no edge, written ``()``. The degree of a graph is
its number of edges. There are 1, 1, 3, 8, 23, 66 graphs of degree 0, ..., 5 (OEIS A050535).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement, permutations
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.ops import threads
from pcgen.ops.points import Period, wrap

Graph = tuple[tuple[int, int], ...]
"""Edges (u, v) with u < v, repeated where multiple."""

MAX_DEGREE = 5

# Entries [jets, n, n] of one matrix in flight: in reach of the cache on a CPU, 128 MB elsewhere.
_CPU_ENTRIES, _OTHER_ENTRIES = 1 << 17, 1 << 24


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


def efp_graphs(degree: int = 4) -> tuple[Graph, ...]:
    """The graphs of all EFPs of at most ``degree`` edges: 36 for degree 4, as FPD takes them.

    The order is energyflow's for ``EFPSet("d<=4")``: the dot, the connected graphs, the products.
    """
    return multigraphs(degree)


def w1efp_graphs() -> tuple[Graph, ...]:
    """The five connected graphs of four vertices and four edges, those of the W1EFP score.

    In energyflow's order for ``EFPSet("n==4", "d==4", "p==1")``: the star with a doubled edge, the
    path with an end edge doubled, the path with the middle edge doubled, the triangle with a
    pendant edge, and the square.
    """
    return tuple(
        graph
        for graph in multigraphs(4)
        if len(graph) == 4 and vertices(graph) == 4 and len(components(graph)) == 1
    )


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


@torch.no_grad()
def energy_flow_polynomials(
    clouds: Batch,
    graphs: Sequence[Graph] | None = None,
    *,
    beta: float = 1.0,
    period: Period | None = (None, 2 * torch.pi),
) -> Tensor:
    """EFPs of each jet, with its weights as they are (not normalised); no gradient.

    Args:
        clouds: B jets; the first two axes of ``pos`` are η and φ.
        graphs: What to compute; None is :func:`efp_graphs` of degree 4. Any graph does whose
            vertices can be summed through two neighbours at most, which holds for all of five
            edges and less.
        beta: Exponent β > 0 of the distances.
        period: Period of η and of φ, None for a line. As in energyflow, φ closes after 2π.

    Returns:
        [B, K] float64. An empty jet has 0 everywhere, a jet of one particle has its weight for the
        dot and 0 elsewhere.

    Raises:
        ArgumentError: β is not positive, the clouds have fewer than two axes, or a graph is out of
            reach.

    >>> pair = pc.make(torch.tensor([[0.0, 0.0], [0.3, 0.4]]), [2], weight=torch.tensor([2.0, 5.0]))
    >>> energy_flow_polynomials(pair, [(), ((0, 1),)]).round(decimals=6)  # 2 + 5, 2 * 2 * 5 * 0.5
    tensor([[ 7., 10.]], dtype=torch.float64)
    """
    if beta <= 0:
        raise ArgumentError(f"beta: got {beta}, expected a positive number")
    if clouds.pos.shape[1] < 2:
        raise ArgumentError(f"clouds: got {clouds.pos.shape[1]} axes, expected η and φ at least")
    parts = [components(graph) for graph in (efp_graphs() if graphs is None else graphs)]
    sums = {part: _elimination(part) for parts_ in parts for part in parts_}
    points = torch.cat([clouds.pos[:, :2].double(), pc.weights(clouds).double()[:, None]], 1)
    values = points.new_zeros(clouds.num_graphs, len(parts))
    blocks = list(_blocks(pc.sizes(clouds)))

    def compute(first: int, last: int) -> None:
        for jets in blocks[first:last]:
            block = _Block(*_padded(points, clouds.ptr, jets), beta, period)
            connected = {part: block.total(sums[part]) for part in sums}
            for k, factors in enumerate(parts):
                values[jets, k] = prod(connected[part] for part in factors)

    if points.device.type == "cpu":
        threads.run_torch(compute, np.full(len(blocks), _CPU_ENTRIES))
    else:
        compute(0, len(blocks))
    return values


def _blocks(sizes: Tensor) -> Iterator[Tensor]:
    """Indices of the non-empty jets, block by block of similar size and bounded memory."""
    room = _CPU_ENTRIES if sizes.device.type == "cpu" else _OTHER_ENTRIES
    lengths, order = sizes.sort(descending=True, stable=True)
    host = lengths.tolist()
    first, filled = 0, sum(length > 0 for length in host)
    while first < filled:
        last = min(first + max(room // host[first] ** 2, 1), filled)
        yield order[first:last]
        first = last


def _padded(points: Tensor, ptr: Tensor, jets: Tensor) -> tuple[Tensor, Tensor]:
    """Positions [b, n, 2] and weights [b, n] of some jets, padded with weight 0."""
    start, end = ptr[:-1][jets, None], ptr[1:][jets, None]
    row = start + torch.arange(int((end - start).max()), device=ptr.device)
    dense = points[row.clamp(max=len(points) - 1)].where((row < end)[..., None], 0)
    return dense[..., :2], dense[..., 2]


# A sum over vertices as nested tuples, so that equal parts of different graphs are equal keys.
# Vectors over particles:  ("weighted", vectors)        z_i Π f_i
#                          ("sum", matrices, vectors)   Σ_j Π A_ij z_j Π f_j
# Matrices:                ("theta", m)                 θ_ij^m
#                          ("through", A, vectors, B)   Σ_j Π A_ij z_j Π f_j Π B_jk
Key = tuple[Any, ...]


def _elimination(graph: Graph) -> Key:
    """Factors of the last vertex of a connected graph, after all others have been summed over."""
    factors: dict[int, Key] = dict.fromkeys(range(vertices(graph)), ())
    edges: dict[tuple[int, int], Key] = {}
    for u, v in set(graph):
        edges[u, v] = edges[v, u] = (("theta", graph.count((u, v))),)
    while len(factors) > 1:
        around = {v: [u for u in factors if (u, v) in edges] for v in factors}
        # Plain vertices and edges first: what they give is what other graphs need too.
        v = min(around, key=lambda v: _cost(factors[v], [edges[u, v] for u in around[v]]))
        own = factors.pop(v)
        match around[v]:
            case [u]:
                factors[u] = tuple(sorted((*factors[u], ("sum", edges[u, v], own)), key=repr))
            case [u, w]:
                for a, b in ((u, w), (w, u)):
                    through = ("through", edges[a, v], own, edges[v, b])
                    old = edges.get((a, b), ())
                    edges[a, b] = tuple(sorted((*old, through), key=repr))
            case _:
                raise ArgumentError(
                    f"graph: got {graph}, expected one that can be summed through two neighbours"
                )
        edges = {pair: key for pair, key in edges.items() if v not in pair}
    return next(iter(factors.values()))


def _cost(factors: Key, edges: list[Key]) -> tuple[int, int, int, str]:
    """Vertices are summed in this order; the last entry only makes it definite."""
    return len(edges), len(factors), sum(map(len, edges)), repr(edges)


class _Block:
    """Evaluates sums for some jets, each part once."""

    def __init__(self, pos: Tensor, z: Tensor, beta: float, period: Period | None) -> None:
        squared = torch.zeros(1, dtype=z.dtype, device=z.device)
        for axis, length in enumerate((period or (None, None))[:2]):
            gap = wrap(pos[:, :, None, axis] - pos[:, None, :, axis], length or 0)
            squared = squared + gap * gap
        self.theta = squared.sqrt_() if beta == 1 else squared.pow_(beta / 2)
        self.z = z
        self.known: dict[Key, Tensor] = {}

    def total(self, factors: Key) -> Tensor:
        """Σ_i z_i Π f_i [b]."""
        return self._weighted(factors).sum(1)

    def _weighted(self, factors: Key) -> Tensor:
        """z Π f [b, n]."""
        value = self.z
        for factor in factors:
            value = value * self._get(factor)
        return value

    def _product(self, matrices: Key) -> Tensor:
        """Elementwise product of matrices [b, n, n]."""
        value = self._get(matrices[0])
        for matrix in matrices[1:]:
            value = value * self._get(matrix)
        return value

    def _get(self, key: Key) -> Tensor:
        if key not in self.known:
            self.known[key] = self._compute(key)
        return self.known[key]

    def _compute(self, key: Key) -> Tensor:
        match key:
            case ("theta", 1):
                return self.theta
            case ("theta", m):
                return self._get(("theta", m - 1)) * self.theta
            case ("sum", matrices, vectors):
                vector = self._weighted(vectors)[..., None]
                return torch.bmm(self._product(matrices), vector)[..., 0]
            case ("through", left, vectors, right):
                weighted = self._product(left) * self._weighted(vectors)[:, None]
                return torch.bmm(weighted, self._product(right))
        raise AssertionError(key)
