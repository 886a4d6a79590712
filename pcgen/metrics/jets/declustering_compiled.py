"""The compiled loops behind :mod:`pcgen.metrics.jets.prongs`: sequential recombination.

The pair of least distance is found among nearest neighbours in (y, φ), which are kept up to date:
if d_ij is the least of all, with i the softer, then j is the nearest neighbour of i (Cacciari and
Salam, hep-ph/0512210). A jet of n particles costs about n².
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@_compiled
def _squared(y: Array, phi: Array, i: int, j: int) -> float:
    gap = abs(phi[i] - phi[j]) % (2 * np.pi)
    gap = min(gap, 2 * np.pi - gap)
    return (y[i] - y[j]) ** 2 + gap**2


@_compiled
def _find_neighbour(y: Array, phi: Array, number: int, i: int, near: Array, squared: Array) -> None:
    near[i], squared[i] = -1, np.inf
    for j in range(number):
        if j != i:
            value = _squared(y, phi, i, j)
            if value < squared[i]:
                near[i], squared[i] = j, value


@_compiled
def _closest(pt: Array, squared: Array, number: int, kt: bool) -> int:
    """The cluster whose distance to its neighbour, times its p_T² for kT, is the least."""
    best, least = 0, np.inf
    for i in range(number):
        value = squared[i] * pt[i] ** 2 if kt else squared[i]
        if value < least:
            best, least = i, value
    return best


@_compiled
def _recombine(y: Array, phi: Array, pt: Array, p: Array, i: int, j: int, winner: bool) -> None:
    """Cluster i becomes i + j."""
    if winner:
        if pt[j] > pt[i]:
            y[i], phi[i] = y[j], phi[j]
        pt[i] += pt[j]
        return
    p[i] += p[j]
    e, px, py, pz = p[i]
    square = px**2 + py**2
    transverse = square + max(e**2 - pz**2 - square, 0.0)
    y[i] = np.sign(pz) * 0.5 * np.log((e + abs(pz)) ** 2 / transverse)
    phi[i] = np.arctan2(py, px)
    pt[i] = np.sqrt(square)


@_compiled
def _remove(
    y: Array,
    phi: Array,
    pt: Array,
    p: Array,
    name: Array,
    near: Array,
    squared: Array,
    j: int,
    last: int,
) -> None:
    """Cluster ``last`` takes the place of j."""
    y[j], phi[j], pt[j], name[j] = y[last], phi[last], pt[last], name[last]
    p[j] = p[last]
    near[j], squared[j] = near[last], squared[last]


@_compiled
def _step(
    y: Array,
    phi: Array,
    pt: Array,
    p: Array,
    name: Array,
    near: Array,
    squared: Array,
    number: int,
    i: int,
    j: int,
    winner: bool,
) -> None:
    """Recombine j into i among ``number`` clusters and mend the neighbours."""
    _recombine(y, phi, pt, p, i, j, winner)
    last = number - 1
    _remove(y, phi, pt, p, name, near, squared, j, last)
    merged = j if i == last else i
    for k in range(last):
        if k == merged or near[k] == i or near[k] == j:
            _find_neighbour(y, phi, last, k, near, squared)
            continue
        if near[k] == last:
            near[k] = j
        value = _squared(y, phi, k, merged)
        if value < squared[k]:
            near[k], squared[k] = merged, value


@_compiled
def subjettiness(
    eta: Array, phi: Array, pt: Array, ptr: Array, first: int, last: int, tau: Array
) -> None:
    """Σ p_T min ΔR to the 1, ..., T axes of exclusive kT clustering, winner takes all [B, T]."""
    for b in range(first, last):
        rows = slice(ptr[b], ptr[b + 1])
        number = ptr[b + 1] - ptr[b]
        y, angle, weight = eta[rows].copy(), phi[rows].copy(), pt[rows].copy()
        p, name = np.zeros((number, 4)), np.arange(number)
        near, squared = np.empty(number, np.int64), np.empty(number)
        for k in range(number):
            _find_neighbour(y, angle, number, k, near, squared)
        while number > 1:
            i = _closest(weight, squared, number, True)
            _step(y, angle, weight, p, name, near, squared, number, i, near[i], True)
            number -= 1
            if number <= tau.shape[1]:
                tau[b, number - 1] = _distance(eta[rows], phi[rows], pt[rows], y, angle, number)


@_compiled
def _distance(
    eta: Array, phi: Array, pt: Array, axis_eta: Array, axis_phi: Array, number: int
) -> float:
    total = 0.0
    for k in range(len(eta)):
        least = np.inf
        for a in range(number):
            gap = abs(phi[k] - axis_phi[a]) % (2 * np.pi)
            gap = min(gap, 2 * np.pi - gap)
            least = min(least, (eta[k] - axis_eta[a]) ** 2 + gap**2)
        total += pt[k] * np.sqrt(least)
    return total


@_compiled
def primary(
    eta: Array,
    phi: Array,
    pt: Array,
    ptr: Array,
    first: int,
    last: int,
    found: Array,
    number_found: Array,
) -> None:
    """Cambridge/Aachen with E-scheme, then down the harder branch: (Δ, soft p_T, hard p_T).

    Those of jet b go to ``found[ptr[b]:]`` [N, 3] and their number to ``number_found`` [B].
    """
    for b in range(first, last):
        rows = slice(ptr[b], ptr[b + 1])
        size = ptr[b + 1] - ptr[b]
        number = size
        y, angle, weight = eta[rows].copy(), phi[rows].copy(), pt[rows].copy()
        p = np.empty((size, 4))
        p[:, 0], p[:, 1] = weight * np.cosh(y), weight * np.cos(angle)
        p[:, 2], p[:, 3] = weight * np.sin(angle), weight * np.sinh(y)
        name = np.arange(size)
        near, squared = np.empty(size, np.int64), np.empty(size)
        history, harder = np.empty((size, 3)), np.empty(size, np.int64)
        for k in range(size):
            _find_neighbour(y, angle, size, k, near, squared)
        while number > 1:
            i = _closest(weight, squared, number, False)
            j, merge = near[i], size - number
            soft, hard = (i, j) if weight[i] < weight[j] else (j, i)
            history[merge] = np.sqrt(squared[i]), weight[soft], weight[hard]
            harder[merge] = name[hard]
            name[i] = size + merge
            _step(y, angle, weight, p, name, near, squared, number, i, j, False)
            number -= 1
        node = 2 * size - 2
        while node >= size:
            found[ptr[b] + number_found[b]] = history[node - size]
            number_found[b] += 1
            node = harder[node - size]
