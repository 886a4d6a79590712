r"""The network simplex for one transport problem, compiled.

An extreme plan moves mass along the arcs of a spanning tree. *Potentials* :math:`\pi` make the
reduced cost :math:`c_{st} + \pi_s - \pi_t` of its arcs 0. As long as another arc has a negative
one, it enters: mass moves around the cycle that it closes until an arc of the tree is empty, which
leaves; the part cut off hangs on the new arc. The first tree is a star: all mass goes through a
root, at a cost that is too high.

Points x are nodes 0 to n - 1, points y nodes n to n + m - 1, the root is node n + m. Arcs run from
x to y only: along a path to the root every other arc loses what the ones between gain. The order of
the search, ties and sums are those of the solver of POT 0.9.7, so that plans and prices are equal
to the last bit.

References:
    Ahuja, Magnanti and Orlin, Network flows, 1993, chapter 11 (the method; why it ends).
    Kiraly and Kovacs, Efficient implementations of minimum-cost flow algorithms, 2012 (the search
    by blocks; a tree as one walk through all nodes).
    Bonneel et al., Displacement interpolation using Lagrangian mass transport, 2011 (mixed arcs).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)

ROUNDING = 2.2204460492503131e-15
"""A reduced cost is negative from this fraction of its largest part on."""
LEFT_OVER = 1e-8
"""Mass, of a total of 1, that may stay with the root."""

_NODE = np.dtype(
    [(name, np.uint32) for name in ("parent", "depth", "after", "before", "last", "arc")]
    + [("cost", np.float64), ("flow", np.float64)]
)
"""Parent and depth; neighbours in a walk that visits children behind their parents, and the last
descendant in it; the arc to the parent, its cost and its mass."""


class _Arcs(NamedTuple):
    """The n m arcs between points in the order of the search, infinite costs in the tree.

    The costs of arcs to the root follow, but are of no meaning.
    """

    cost: Array
    source: Array
    target: Array


@_compiled
def network_simplex(
    mass_x: Array, mass_y: Array, cost: Array, iterations: int
) -> tuple[Array, Array, Array, bool]:
    """Optimal plan [n, m], prices [n] and [m] (0 where no mass is), and whether they were reached.

    Args:
        mass_x, mass_y: Masses [n], [m] >= 0 that sum to 1.
        cost: [n, m], at most 1.
        iterations: Largest number of pivots.
    """
    rows, columns = np.flatnonzero(mass_x > 0)[::-1], np.flatnonzero(mass_y > 0)[::-1]
    n, m = len(rows), len(columns)
    arcs, nearest = _arcs(cost, rows, columns)
    nodes, price = _star(mass_x[rows], mass_y[columns], arcs.cost[: n * m].max())
    paths = np.empty((2, n + m), np.uint32)
    for arc in nearest:
        if arcs.cost[arc] + price[arcs.source[arc]] - price[arcs.target[arc]] < 0:
            _pivot(arcs, nodes, price, paths[0], paths[1], arc)
    entering, begin, block = 0, 0, max(int(math.sqrt(n * m)), 10)
    for _ in range(iterations):
        entering, begin = _search(arcs, price, begin, block)
        if entering < 0:
            break
        _pivot(arcs, nodes, price, paths[0], paths[1], entering)
    plan, sound = np.zeros(cost.shape), entering < 0
    for node in nodes[:-1]:
        arc = node["arc"]
        if arc < n * m:
            plan[rows[arcs.source[arc]], columns[arcs.target[arc] - n]] = node["flow"]
        elif not abs(node["flow"]) <= LEFT_OVER:
            sound = False
    price = price[:-1] - max(price[:-1].max(), 0.0)
    price_x, price_y = np.zeros(len(mass_x)), np.zeros(len(mass_y))
    price_x[rows], price_y[columns] = -price[:n], price[n:]
    return plan, price_x, price_y, sound


@_compiled
def _arcs(cost: Array, rows: Array, columns: Array) -> tuple[_Arcs, Array]:
    """The arcs between the points with mass, and the place of the cheapest one of each column.

    They stand as the entries of the matrix do; where some points have no mass, neighbours of the
    matrix are a step apart.
    """
    n, m = len(rows), len(columns)
    number = n * m
    step = 1 if cost.size == number else max(int(math.sqrt(number)), 10)
    source, target = np.empty(number, np.uint32), np.empty(number, np.uint32)
    arcs = _Arcs(np.empty(number + n + m), source, target)
    nearest, least = np.empty(m, np.int64), np.full(m, np.inf)
    place, lane = 0, 0
    for i in range(n):
        row = cost[rows[i]]
        for j in range(m):
            arcs.cost[place], source[place], target[place] = row[columns[j]], i, n + j
            if arcs.cost[place] < least[j]:
                least[j], nearest[j] = arcs.cost[place], place
            place += step
            if place >= number:
                lane += 1
                place = lane
    return arcs, nearest


@_compiled
def _star(mass_x: Array, mass_y: Array, largest: float) -> tuple[Array, Array]:
    """Nodes, all of them children of the root, and their potentials."""
    n, m = len(mass_x), len(mass_y)
    root = n + m
    nodes, price = np.empty(root + 1, _NODE), np.zeros(root + 1)
    price[n:root] = (largest + 1) * root
    for k in range(root + 1):
        node = nodes[k]
        node["parent"], node["depth"], node["last"], node["arc"] = root, 1, k, n * m + k
        node["after"], node["before"] = (k + 1) % (root + 1), (k + root) % (root + 1)
        node["cost"] = price[k]
        if k < root:
            node["flow"] = mass_x[k] if k < n else mass_y[k - n]
    nodes[root]["depth"], nodes[root]["last"] = 0, root - 1
    return nodes, price


@_compiled
def _search(arcs: _Arcs, price: Array, begin: int, block: int) -> tuple[int, int]:
    """The best arc of the first block that has a negative one, -1 for none, and where to go on."""
    number = len(arcs.source)
    found, low, place, left, looked = -1, 0.0, begin, block, 0
    while looked < number:
        stop = min(place + left, number, place + number - looked)
        cost, source, target = (
            arcs.cost[place:stop],
            arcs.source[place:stop],
            arcs.target[place:stop],
        )
        for k in range(len(cost)):
            reduced = cost[k] + price[source[k]] - price[target[k]]
            if reduced < low:
                found, low = place + k, reduced
        left -= stop - place
        looked += stop - place
        place = stop
        if left == 0 or looked == number:
            if found >= 0:
                largest = max(abs(price[arcs.source[found]]), abs(price[arcs.target[found]]))
                if low < -ROUNDING * max(largest, abs(arcs.cost[found])):
                    return found, place - 1 if left == 0 else place
            left = block
        if place == number:
            place = 0
    return -1, begin


@_compiled
def _pivot(
    arcs: _Arcs, nodes: Array, price: Array, path_x: Array, path_y: Array, entering: int
) -> None:
    """Let an arc enter the tree and another one leave it; both paths [n + m] are scratch."""
    source, target, cost = arcs.source[entering], arcs.target[entering], arcs.cost[entering]
    up_x, up_y = _paths(nodes, path_x, path_y, source, target)
    at_x, at_y, least_x, least_y = 0, 0, np.inf, np.inf
    for k in range(0, up_x, 2):
        if nodes[path_x[k]]["flow"] < least_x:
            at_x, least_x = k, nodes[path_x[k]]["flow"]
    for k in range(0, up_y, 2):
        if nodes[path_y[k]]["flow"] <= least_y:
            at_y, least_y = k, nodes[path_y[k]]["flow"]
    moved = min(least_x, least_y)
    if moved > 0:
        _push(nodes, path_x, up_x, moved)
        _push(nodes, path_y, up_y, moved)
    if least_y <= least_x:
        stem, top, onto, shift = path_y, at_y, source, price[source] - price[target] + cost
    else:
        stem, top, onto, shift = path_x, at_x, target, price[target] - price[source] - cost
    out, end = nodes[stem[top]], _hang(nodes, stem, top, onto)
    arcs.cost[out["arc"]], arcs.cost[entering] = out["cost"], np.inf
    _turn(nodes, stem, top, onto, entering, cost, moved, end)
    k = stem[0]
    while True:
        node = nodes[k]
        price[k] += shift
        node["depth"] = nodes[node["parent"]]["depth"] + np.uint32(1)
        if k == end:
            break
        k = node["after"]


@_compiled
def _paths(nodes: Array, path_x: Array, path_y: Array, u: int, v: int) -> tuple[int, int]:
    """Store the nodes from u and from v up to where they meet; how many these are."""
    up_x, up_y = 0, 0
    while nodes[u]["depth"] > nodes[v]["depth"]:
        path_x[up_x] = u
        u = nodes[u]["parent"]
        up_x += 1
    while nodes[v]["depth"] > nodes[u]["depth"]:
        path_y[up_y] = v
        v = nodes[v]["parent"]
        up_y += 1
    while u != v:
        path_x[up_x], path_y[up_y] = u, v
        u, v = nodes[u]["parent"], nodes[v]["parent"]
        up_x += 1
        up_y += 1
    return up_x, up_y


@_compiled
def _push(nodes: Array, path: Array, number: int, moved: float) -> None:
    """Take mass from every other arc of a path, and give it to those between."""
    for k in range(number):
        nodes[path[k]]["flow"] -= moved
        moved = -moved


@_compiled
def _hang(nodes: Array, stem: Array, top: int, onto: int) -> int:
    """Move the subtree of node ``stem[top]`` in the walk: behind ``onto``, and ``stem[0]`` first.

    Each node of the stem is then followed by its descendants but those that went before. Returns
    the last of them all.
    """
    end, start = nodes[stem[top]]["last"], nodes[stem[top]]["before"]
    _link(nodes, start, nodes[end]["after"])
    u = nodes[stem[top]]["parent"]
    while nodes[u]["last"] == end:
        nodes[u]["last"] = start
        u = nodes[u]["parent"]
    inner = nodes[stem[0]]["last"]
    tail, left, right = inner, nodes[stem[0]]["before"], nodes[inner]["after"]
    for k in range(1, top + 1):
        u = stem[k]
        outer, outside, piece = nodes[u]["last"], nodes[u]["before"], left
        if outer != inner:
            _link(nodes, left, right)
            piece, right = outer, nodes[outer]["after"]
        _link(nodes, tail, u)
        tail, inner, left = piece, outer, outside
    _link(nodes, tail, nodes[onto]["after"])
    _link(nodes, onto, stem[0])
    u = onto
    while nodes[u]["last"] == onto:
        nodes[u]["last"] = tail
        u = nodes[u]["parent"]
    return tail


@_compiled
def _link(nodes: Array, one: int, other: int) -> None:
    nodes[one]["after"], nodes[other]["before"] = other, one


@_compiled
def _turn(
    nodes: Array, stem: Array, top: int, parent: int, arc: int, cost: float, flow: float, end: int
) -> None:
    """Give each node of a stem the arc of the one before it, and the first one a new arc."""
    for k in range(top + 1):
        node = nodes[stem[k]]
        old_arc, old_cost, old_flow = node["arc"], node["cost"], node["flow"]
        node["parent"], node["arc"], node["cost"], node["flow"] = parent, arc, cost, flow
        node["last"] = end
        parent, arc, cost, flow = stem[k], old_arc, old_cost, old_flow
