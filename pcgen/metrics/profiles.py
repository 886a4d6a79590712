"""Means over showers: energy along the depth and away from the axis, voxels of each energy.

And any score in bins of incident energy.

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
from pcgen.grids import Calorimeter, Grid
from pcgen.images import check_showers
from pcgen.metrics.showers import Showers

T = TypeVar("T")


class Profile(NamedTuple):
    """What a shower has in each of K bins on average, float64.

    Attributes:
        edges: Between the bins [K+1].
        mean: Mean over the showers [K].
        error: Its standard error [K]; infinite for fewer than two showers.
    """

    edges: Tensor
    mean: Tensor
    error: Tensor


def longitudinal_profile(voxels: Tensor, calorimeter: Calorimeter) -> Profile:
    """Mean energy in each layer, in MeV, against depth in mm (or layers, where it is not known).

    Args:
        voxels: Energies [B, V], B ≥ 1.
        calorimeter: The V voxels in L layers.

    Raises:
        ArgumentError: shapes do not fit, or there is no shower.
        DataError: an energy is negative or not finite; names the event.
    """
    depth = calorimeter.depth or range(len(calorimeter.layers) + 1)
    bins = calorimeter.geometry(voxels.device).layer
    return _profile(voxels, calorimeter, bins, depth)


def radial_profile(
    voxels: Tensor, calorimeter: Calorimeter, edges: Sequence[float] | None = None
) -> Profile:
    """Mean energy in MeV at the radii between ``edges``, all layers together.

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
        rings = {grid.edges[1] for grid in calorimeter.layers if isinstance(grid, Grid)}
        if not calorimeter.cylinder or len(rings) > 1:
            raise ArgumentError("edges: got none, expected some: the layers have no common rings")
        (edges,) = rings
    radius = calorimeter.geometry(voxels.device).r
    return _profile(voxels, calorimeter, bin_of(radius, edges), edges)


def voxel_spectrum(voxels: Tensor, calorimeter: Calorimeter, edges: Sequence[float]) -> Profile:
    """Mean number of voxels whose energy lies in each bin; others are left out.

    Args:
        voxels: Energies [B, V], B ≥ 1.
        calorimeter: The V voxels.
        edges: Rising energies in MeV.

    Raises:
        ArgumentError: shapes do not fit, or there is no shower.
        DataError: an energy is negative or not finite; names the event.

    >>> cells = Calorimeter.planar([(0, 1)], [(0, 1, 2, 3)])
    >>> voxel_spectrum(torch.tensor([[0.0, 3.0, 5.0]]), cells, [1, 4, 6, 9]).mean.tolist()
    [1.0, 1.0, 0.0]
    """
    _check(voxels, calorimeter)
    number = voxels.new_zeros(len(voxels), len(edges) - 1, dtype=torch.double)
    for start, stop in pairwise(calorimeter.boundaries):
        place = bin_of(voxels[:, start:stop], edges)
        event, _ = (place >= 0).nonzero(as_tuple=True)
        number.index_put_((event, place[place >= 0]), number.new_ones(()), accumulate=True)
    return _averaged(number, edges)


def per_energy(score: Callable[..., T], edges: Sequence[float], *sets: Showers) -> list[T | None]:
    """A score in each bin of incident energy.

    Args:
        score: Takes as many :class:`Showers` as there are ``sets``.
        edges: Of the bins, rising, in MeV.
        sets: Showers; each bin gets those of its energies, in their order.

    Returns:
        The score of each bin; None where one of the sets has no shower in it.

    >>> showers = Showers(torch.eye(3), torch.tensor([1.0, 2.0, 8.0]))
    >>> per_energy(lambda each: len(each.voxels), [1, 4, 6, 10], showers)
    [2, None, 1]
    """
    bins = [bin_of(each.incident, edges) for each in sets]
    results: list[T | None] = []
    for number in range(len(edges) - 1):
        parts = [each.select(place == number) for each, place in zip(sets, bins, strict=True)]
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
    voxels: Tensor, calorimeter: Calorimeter, bins: Tensor, edges: Sequence[float]
) -> Profile:
    """Mean energy of the voxels [V] in each of their ``bins`` [V]."""
    _check(voxels, calorimeter)
    number = torch.arange(len(edges) - 1, device=voxels.device)
    within = (bins[:, None] == number).double()
    energy = voxels.new_zeros(len(voxels), len(edges) - 1, dtype=torch.double)
    for start, stop in pairwise(calorimeter.boundaries):
        energy += voxels[:, start:stop].double() @ within[start:stop]
    return _averaged(energy, edges)


def _check(voxels: Tensor, calorimeter: Calorimeter) -> None:
    check_showers(voxels, calorimeter)
    if not len(voxels):
        raise ArgumentError("voxels: got no shower, expected at least one")


def _averaged(value: Tensor, edges: Sequence[float]) -> Profile:
    """Mean and standard error over the showers of [B, K]."""
    number = len(value)
    error = value.std(0) / math.sqrt(number) if number > 1 else torch.full_like(value[0], math.inf)
    borders = torch.tensor(edges, dtype=torch.double, device=value.device)
    return Profile(borders, value.mean(0), error)
