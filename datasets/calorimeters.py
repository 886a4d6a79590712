"""Calorimeters to simulate showers in: voxels, and the medium that fills them.

========= ====== ============================================================== ==================
name      voxels layers                                                         medium
========= ====== ============================================================== ==================
cylinder  6480   45 of 3.4 mm with 9 rings of 4.65 mm and 16 angles, as data    tungsten-silicon
                 set 2 of the CaloChallenge
stack     3042   14 planar ones of 240 mm × 240 mm: four of 12, 24 and 48 mm    lead-scintillator
                 with cells of 10, 20 and 40 mm, two of 96 mm with cells of
                 80 mm
========= ====== ============================================================== ==================
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from pcgen.datasets.media import MEDIA, Medium
from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter

GEOMETRIES = ("cylinder", "stack")
_HALF_WIDTH = 120.0  # mm, of the stack


class Detector(NamedTuple):
    """A calorimeter with its medium.

    Attributes:
        calorimeter: Voxels, with depths in mm.
        medium: Name, one of :data:`~pcgen.datasets.media.MEDIA`.
    """

    calorimeter: Calorimeter
    medium: str

    @property
    def filling(self) -> Medium:
        """The medium itself."""
        return MEDIA[self.medium]


def detector(
    geometry: str | Path,
    *,
    medium: str | None = None,
    thickness: Sequence[float] | None = None,
    particle: str | None = None,
) -> Detector:
    """A calorimeter by its name, or from an XML file of the CaloChallenge.

    Args:
        geometry: ``"cylinder"``, ``"stack"`` or an XML file of the CaloChallenge.
        medium: One of :data:`~pcgen.datasets.media.MEDIA`; None: that of the name. A file has none.
        thickness: Of each layer in mm, one number for all layers that are equal; None: that of the
            name. A file has none.
        particle: Whose calorimeter to take from a file that has several.

    Raises:
        ArgumentError: a name is unknown, or a file comes without medium or thickness.
        FileError: the file is missing, is no such XML or holds no such particle.

    >>> detector("stack").calorimeter.voxels
    3042
    """
    if medium not in (None, *MEDIA):
        raise ArgumentError(f"medium: got {medium!r}, expected one of {', '.join(MEDIA)}")
    if geometry == "cylinder":
        layers, own = [3.4] * 45, "tungsten-silicon"
        rings = [4.65 * ring for ring in range(10)]
        depth = _edges(layers, thickness)
        calorimeter = Calorimeter.cylindrical([rings] * 45, [16] * 45, depth=depth)
    elif geometry == "stack":
        layers, own = [12.0] * 4 + [24.0] * 4 + [48.0] * 4 + [96.0] * 2, "lead-scintillator"
        edges = [_cells(width) for width in [10] * 4 + [20] * 4 + [40] * 4 + [80] * 2]
        calorimeter = Calorimeter.planar(edges, edges, depth=_edges(layers, thickness))
    elif Path(geometry).suffix.lower() == ".xml":
        for name, value, what in (
            ("medium", medium, f"one of {', '.join(MEDIA)}"),
            ("thickness", thickness, "that of the layers in mm"),
        ):
            if value is None:
                raise ArgumentError(f"{name}: got none for {geometry}, expected {what}")
        flat = Calorimeter.from_xml(geometry, particle)
        depth = _edges([0.0] * len(flat.layers), thickness)
        return Detector(Calorimeter(flat.layers, flat.numbers, depth), str(medium))
    else:
        known = ", ".join(GEOMETRIES)
        raise ArgumentError(f"geometry: got {str(geometry)!r}, expected {known} or a file .xml")
    return Detector(calorimeter, medium or own)


def _cells(width: int) -> tuple[float, ...]:
    number = round(2 * _HALF_WIDTH / width)
    return tuple(-_HALF_WIDTH + width * k for k in range(number + 1))


def _edges(usual: Sequence[float], thickness: Sequence[float] | None) -> tuple[float, ...]:
    """Edges along z of layers that are as thick as usual, or as requested."""
    given = list(usual if thickness is None else thickness)
    layers = given * len(usual) if len(given) == 1 else given
    if len(layers) != len(usual) or not all(0 < each < 1e6 for each in layers):
        shown = " ".join(f"{each:g}" for each in given[:8])
        raise ArgumentError(
            f"thickness: got {shown}, expected one positive number of mm, or {len(usual)} of them"
        )
    return tuple(accumulate(layers, initial=0.0))
