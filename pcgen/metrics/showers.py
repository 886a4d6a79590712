r"""Features of showers: the numbers by which the CaloChallenge compares them.

With the energies E_i of the voxels of a layer, and their centres (x, y) at radius r,

    E_layer = Σ E_i,   <x> = Σ x_i E_i / E_layer,   width = sqrt(<x²> - <x>²),
    sparsity = fraction of the voxels without energy,

the same for y and r. In the CaloChallenge x is called η and y is called φ; both are in mm.

All is computed in float64. A layer without energy has centre and width 0 and sparsity 1, and its
energy enters logarithms as 1e-8 MeV, so that every feature of an empty shower is finite.

Krause et al., CaloChallenge 2022: A Community Challenge for Fast Calorimeter Simulation,
arXiv:2410.21611.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.images import check_showers, cloud_to_shower
from pcgen.images.placing import Outside

_FLOOR = 1e-8  # MeV, added before a logarithm is taken


class Showers(NamedTuple):
    """B showers.

    Attributes:
        voxels: Energies [B, V] in MeV.
        incident: Energy of the particle that caused each of them [B] in MeV.
    """

    voxels: Tensor
    incident: Tensor

    def above(self, threshold: float) -> Showers:
        """The same showers, with the voxels of less than ``threshold`` emptied.

        Negative energies and NaN stay, so that they are refused and not forgotten.
        """
        # The CaloChallenge's own rule empties what is below the threshold and keeps what is on it
        # (arXiv:2410.21611); clouds of pcgen.images keep what is strictly above theirs.
        dead = (self.voxels >= 0) & (self.voxels < threshold)
        return Showers(self.voxels.masked_fill(dead, 0), self.incident)

    def select(self, index: Tensor) -> Showers:
        """The showers at ``index``, integers or a boolean mask."""
        return Showers(self.voxels[index], self.incident[index])

    @property
    def usable(self) -> Tensor:
        """Which showers are finite, without negative voxels, of a particle with energy [B]."""
        good = ((self.voxels >= 0) & (self.voxels < torch.inf)).all(1)
        return good & (self.incident > 0) & (self.incident < torch.inf)


class ShowerFeatures(NamedTuple):
    """Features of B showers in a calorimeter of L layers, float64.

    In a layer of rings that are not cut into angles x and y have no meaning: all voxels are at
    y = 0.

    Attributes:
        energy: [B, L] in MeV.
        centre_x: Centre of energy [B, L] in mm.
        centre_y: [B, L] in mm.
        centre_r: Mean radius [B, L] in mm.
        width_x: [B, L] in mm.
        width_y: [B, L] in mm.
        width_r: [B, L] in mm.
        sparsity: Fraction of the voxels that are empty [B, L].
    """

    energy: Tensor
    centre_x: Tensor
    centre_y: Tensor
    centre_r: Tensor
    width_x: Tensor
    width_y: Tensor
    width_r: Tensor
    sparsity: Tensor


def showers_of(clouds: Batch, calorimeter: Calorimeter, *, outside: Outside = "error") -> Showers:
    """The showers that clouds stand for; the first column of ``y`` is the incident energy.

    Raises:
        ArgumentError: the clouds have other coordinates, or no ``y``.
        DataError: a value is not finite or a weight negative, or points are outside.
    """
    if clouds.get("y") is None or not clouds.y.shape[1]:
        raise ArgumentError("clouds: got no y, expected the incident energy in its first column")
    return Showers(cloud_to_shower(clouds, calorimeter, outside=outside), clouds.y[:, 0])


def check_pair(showers: Showers, calorimeter: Calorimeter) -> None:
    """Refuse showers that are not finite, have negative energies or come from no particle.

    Raises:
        ArgumentError: shapes do not fit.
        DataError: naming the event.
    """
    check_showers(showers.voxels, calorimeter)
    incident = showers.incident
    if incident.shape != showers.voxels.shape[:1]:
        raise ArgumentError(
            f"incident: got {tuple(incident.shape)}, expected [{len(showers.voxels)}]"
        )
    bad = ~((incident > 0) & torch.isfinite(incident))
    if bool(bad.any()):
        event = int(bad.nonzero()[0])
        raise DataError(
            f"incident energy of event {event}: got {float(incident[event])}, "
            "expected a positive number"
        )


def shower_features(showers: Showers, calorimeter: Calorimeter) -> ShowerFeatures:
    """Energy, centres, widths and sparsity of each layer.

    Raises:
        ArgumentError: shapes do not fit.
        DataError: an energy is negative or not finite; names the event.

    >>> calorimeter = Calorimeter.cylindrical([(0, 2, 4)], [1])
    >>> features = shower_features(Showers(torch.tensor([[3.0, 1.0]]), torch.ones(1)), calorimeter)
    >>> features.energy.item(), features.centre_r.item(), features.sparsity.item()
    (4.0, 1.5, 0.0)
    """
    check_pair(showers, calorimeter)
    geometry, first = calorimeter.geometry(showers.voxels.device), calorimeter.boundaries
    place = torch.stack([geometry.centre[:, 0], geometry.centre[:, 1], geometry.r], 1)
    moments = torch.cat([torch.ones_like(place[:, :1]), place, place.square()], 1)
    sums, sparsity = [], []
    for start, stop in pairwise(first):
        energy = showers.voxels[:, start:stop]
        sums.append(energy.double() @ moments[start:stop])
        sparsity.append((energy <= 0).double().mean(1))
    total = torch.stack(sums, 1)
    norm = total[..., :1].clamp(min=torch.finfo(torch.double).tiny)
    centre, square = total[..., 1:4] / norm, total[..., 4:] / norm
    # Rounding can leave the variance of a single voxel below zero.
    width = (square - centre.square()).clamp(min=0).sqrt()
    (centre_x, centre_y, centre_r), (width_x, width_y, width_r) = centre.unbind(2), width.unbind(2)
    return ShowerFeatures(
        energy=total[..., 0],
        centre_x=centre_x,
        centre_y=centre_y,
        centre_r=centre_r,
        width_x=width_x,
        width_y=width_y,
        width_r=width_r,
        sparsity=torch.stack(sparsity, 1),
    )


def high_level_features(showers: Showers, calorimeter: Calorimeter) -> Tensor:
    """Input of the CaloChallenge's high-level classifier and of its FPD and KPD [B, F], float64.

    In this order: log10 of the incident energy; log10(E_layer + 1e-8) of each layer; for the layers
    cut into angles, centres in η and in φ and widths in η and in φ, over 100 mm; log10 of the
    total energy + 1e-8; sparsity of each layer; centres and widths in r over 100 mm. With energies
    in MeV these are 362 numbers in data sets 2 and 3.

    Raises:
        ArgumentError: shapes do not fit.
        DataError: an energy is negative or not finite; names the event.
    """
    features, angular = shower_features(showers, calorimeter), angular_layers(calorimeter)
    plane = (features.centre_x, features.centre_y, features.width_x, features.width_y)
    columns = [
        showers.incident.double().log10()[:, None],
        (features.energy + _FLOOR).log10(),
        *(each[:, angular] / 100 for each in plane),
        (features.energy.sum(1, keepdim=True) + _FLOOR).log10(),
        features.sparsity,
        features.centre_r / 100,
        features.width_r / 100,
    ]
    return torch.cat(columns, 1)


def high_level_names(calorimeter: Calorimeter) -> list[str]:
    """What the columns of :func:`high_level_features` are."""
    every = calorimeter.numbers
    angular = [every[layer] for layer in angular_layers(calorimeter)]
    parts = (
        ("log energy", every),
        ("centre eta", angular),
        ("centre phi", angular),
        ("width eta", angular),
        ("width phi", angular),
        ("log total energy", ()),
        ("sparsity", every),
        ("centre r", every),
        ("width r", every),
    )
    names = ["log incident energy"]
    for name, layers in parts:
        names += [f"{name}, layer {layer}" for layer in layers] or [name]
    return names


def low_level_features(showers: Showers, calorimeter: Calorimeter) -> Tensor:
    """Input of the CaloChallenge's low-level classifier [B, 1 + V], float64.

    log10 of the incident energy, then the energy of each voxel over the incident energy.

    Raises:
        ArgumentError: shapes do not fit.
        DataError: an energy is negative or not finite; names the event.
    """
    check_pair(showers, calorimeter)
    incident = showers.incident.double()[:, None]
    return torch.cat([incident.log10(), showers.voxels.double() / incident], 1)


def log_voxels(voxels: Tensor, *, empty: float = 0.1) -> Tensor:
    """log10 of each voxel's energy, where an empty one counts as ``empty`` MeV [B, V], float64.

    On these the CaloChallenge computes precision, recall, density and coverage
    (:func:`~pcgen.metrics.scores.prdc`).

    >>> log_voxels(torch.tensor([[0.0, 100.0]])).tolist()
    [[-1.0, 2.0]]
    """
    energy = voxels.double()
    return torch.where(energy > 0, energy, empty).log10()


def own_facts(showers: Showers, calorimeter: Calorimeter) -> ChallengeData:
    """Facts about showers that are of no data set of the challenge, taken from themselves.

    The threshold is the least energy of a voxel that has some, and histograms end where the cells
    do; there is none of the response by energy.

    Raises:
        DataError: no voxel has energy.

    >>> cells = Calorimeter.planar([(-2, 0, 2)], [(-1, 1)])
    >>> own_facts(Showers(torch.tensor([[0.0, 3.0]]), torch.ones(1)), cells).centre
    1.0
    """
    filled = showers.voxels[showers.voxels > 0]
    if not len(filled):
        raise DataError("showers: got none with energy, expected some")
    reach = float(calorimeter.geometry().centre[:, :2].abs().max())
    incident = (float(showers.incident.min()), float(showers.incident.max()))
    return ChallengeData(
        "", calorimeter.voxels, float(filled.min()), incident, reach or 1.0, reach or 1.0
    )


def angular_layers(calorimeter: Calorimeter) -> list[int]:
    """Layers in which x and y are measured: all but rings that are not cut into angles."""
    return [
        layer
        for layer, grid in enumerate(calorimeter.layers)
        if not calorimeter.cylinder or grid.cells[0] > 1
    ]


@dataclass(frozen=True)
class ChallengeData:
    """Facts about one data set.

    Attributes:
        particle: Name of the particle in the file of the calorimeter.
        voxels: Number of voxels.
        threshold: Least energy of a voxel that is read out, in MeV; below it a voxel is empty.
        energies: Edges of the bins of incident energy, in MeV.
        responses: Where the histogram of total over incident energy begins and ends in each of
            these bins; empty where there is none.
        centre: Centres of energy are histogrammed between minus this and this, in mm.
        width: Widths are histogrammed from 0 to this, in mm.
        wide: Layers, by their numbers in the file, whose histograms are wider.
        wide_centre: The same as ``centre`` for those.
        wide_width: The same as ``width`` for those.
    """

    particle: str
    voxels: int
    threshold: float
    energies: tuple[float, ...]
    centre: float
    width: float
    responses: tuple[tuple[float, float], ...] = ()
    wide: tuple[int, ...] = ()
    wide_centre: float = 0.0
    wide_width: float = 0.0

    def centre_limit(self, layer: int) -> float:
        """Where the histogram of centres of energy ends in a layer, in mm."""
        return self.wide_centre if layer in self.wide else self.centre

    def width_limit(self, layer: int) -> float:
        """Where the histogram of widths ends in a layer, in mm."""
        return self.wide_width if layer in self.wide else self.width


# One bin for each of the 15 energies of data set 1: 256 MeV to 4 TeV in powers of two.
_POWERS = tuple(2.0**power for power in range(8, 24))


_DECADES = (1e3, 1e4, 1e5, 1e6)


_BROAD, _NARROW = (0.4, 1.4), (0.9, 1.1)


# The readout threshold of 0.5 keV, over the sampling fraction of the silicon.
_SILICON = 0.5e-3 / 0.033


def _first(particle: str, voxels: int, narrow: int) -> ChallengeData:
    """One half of data set 1; from energy number ``narrow`` on, its response is narrow."""
    return ChallengeData(
        particle,
        voxels,
        threshold=1.0,
        energies=_POWERS,
        centre=100.0,
        width=100.0,
        responses=(_BROAD,) * narrow + (_NARROW,) * (15 - narrow),
        wide=(12, 13),
        wide_centre=500.0,
        wide_width=400.0,
    )


CALOCHALLENGE = {
    "1-photons": _first("photon", 368, narrow=4),
    "1-pions": _first("pion", 533, narrow=15),
    "2": ChallengeData("electron", 6480, _SILICON, _DECADES, 30.0, 30.0),
    "3": ChallengeData("electron", 40500, _SILICON, _DECADES, 30.0, 30.0),
}
