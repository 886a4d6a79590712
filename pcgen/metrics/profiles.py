"""Mean energy of showers along the depth and away from the axis, and any score by incident energy.

A bin [e_k, e_{k+1}) holds its lower edge, the last one both, as in ``numpy.histogram``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter
from pcgen.images import check_showers
from pcgen.metrics.showers import Showers

T = TypeVar("T")


class Profile(NamedTuple):
    """Mean energy of K bins, float64.

    Attributes:
        edges: Between the bins [K+1], in mm, or layers where the calorimeter knows no depth.
        mean: Mean energy of a shower in each bin [K], in MeV.
        error: Its standard error [K]; infinite for fewer than two showers.
    """

    edges: Tensor
    mean: Tensor
    error: Tensor


def longitudinal_profile(voxels: Tensor, calorimeter: Calorimeter) -> Profile:
    """Mean energy in each layer.

    Args:
        voxels: Energies [B, V], B ≥ 1.
        calorimeter: The V voxels in L layers.

    Raises:
        ArgumentError: shapes do not fit, or there is no shower.
        DataError: an energy is negative or not finite; names the event.
    """
    depth = calorimeter.depth or range(len(calorimeter.layers) + 1)
    bins = calorimeter.geometry(voxels.device).layer
    return _profile(voxels, calorimeter, bins, tuple(map(float, depth)))


def radial_profile(
    voxels: Tensor, calorimeter: Calorimeter, edges: Sequence[float] | None = None
) -> Profile:
    """Mean energy at the radii between ``edges``, all layers together.

    A voxel counts where its centre is; what is beyond the edges is left out.

    Args:
        voxels: Energies [B, V], B ≥ 1.
        calorimeter: The V voxels.
        edges: Rising radii in mm; None: those of the rings, where all layers have the same.

    Raises:
        ArgumentError: shapes do not fit, or the layers have different rings.
        DataError: an energy is negative or not finite; names the event.
    """
    if edges is None:
        rings = {grid.edges[1] for grid in calorimeter.layers}
        if not calorimeter.cylinder or len(rings) > 1:
            raise ArgumentError("edges: got none, expected some: the layers have no common rings")
        (edges,) = rings
    radius = calorimeter.geometry(voxels.device).r
    return _profile(voxels, calorimeter, bin_of(radius, edges), tuple(map(float, edges)))


def per_energy(score: Callable[..., T], edges: Sequence[float], *sets: Showers) -> list[T | None]:
    """A score in each bin of incident energy.

    Args:
        score: Takes as many :class:`Showers` as there are ``sets``.
        edges: Of the bins, rising, in MeV.
        sets: Showers; each bin gets those of its energies, in their order.

    Returns:
        What ``score`` says of each bin; None where one of the sets has no shower in it.

    >>> showers = Showers(torch.eye(3), torch.tensor([1.0, 2.0, 8.0]))
    >>> per_energy(lambda each: len(each.voxels), [1, 4, 6, 10], showers)
    [2, None, 1]
    """
    bins = [bin_of(each.incident, edges) for each in sets]
    results: list[T | None] = []
    for number in range(len(edges) - 1):
        rows = [place == number for place in bins]
        parts = [
            Showers(each.voxels[row], each.incident[row])
            for each, row in zip(sets, rows, strict=True)
        ]
        empty = any(not len(part.incident) for part in parts)
        results.append(None if empty else score(*parts))
    return results


def bin_of(values: Tensor, edges: Sequence[float]) -> Tensor:
    """Bin of each value [n], -1 where it is in none.

    Raises:
        ArgumentError: the edges do not rise, or are fewer than two.
    """
    borders = torch.tensor(edges, dtype=torch.double, device=values.device)
    if len(borders) < 2 or not bool((borders.diff() > 0).all()):
        raise ArgumentError(f"edges: got {list(edges)}, expected at least two rising numbers")
    values = values.double().contiguous()
    place = torch.bucketize(values, borders, right=True) - 1
    place = torch.where(values == borders[-1], len(borders) - 2, place)
    return torch.where(place < len(borders) - 1, place, -1)


def _profile(
    voxels: Tensor, calorimeter: Calorimeter, bins: Tensor, edges: tuple[float, ...]
) -> Profile:
    check_showers(voxels, calorimeter)
    if not len(voxels):
        raise ArgumentError("voxels: got no shower, expected at least one")
    number = torch.arange(len(edges) - 1, device=voxels.device)
    within, energy = (bins[:, None] == number).double(), torch.zeros((), dtype=torch.double)
    for start, stop in pairwise(calorimeter.boundaries):
        energy = energy + voxels[:, start:stop].double() @ within[start:stop]
    if len(energy) < 2:
        error = torch.full_like(energy[0], math.inf)
    else:
        error = energy.std(0) / math.sqrt(len(energy))
    borders = torch.tensor(edges, dtype=torch.double, device=voxels.device)
    return Profile(borders, energy.mean(0), error)
