"""What the CaloChallenge fixes for each of its data sets.

Krause et al., CaloChallenge 2022: A Community Challenge for Fast Calorimeter Simulation,
arXiv:2410.21611, and its evaluation code (github.com/CaloChallenge/homepage).
"""

from __future__ import annotations

from dataclasses import dataclass


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
