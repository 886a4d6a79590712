r"""Representations: how one event looks to networks, as points, as active cells or as an image.

A jet of particles (or a shower) has three representations, and every model that is built on one
can be trained on each of them:

========== ============================================ ========================================
class      event                                        values, where noise and gradients act
========== ============================================ ========================================
`Points`   clouds in standardised units                 ``pos`` and ``x`` of the points [N, D + F]
`Layered`  clouds whose layers have points and  the same, with the energy of a point as its
           energies that are drawn first        share of its layer
`Singles`  the points of clouds of one point,           all of the rows
           as rows [M, C]
`Sites`    clouds of active cells                       ``x``: standardised log fraction [N, 1]
`Images`   [B, 1, \*shape]: 0 where inactive,           all cells
           :math:`1 + x - x_{floor} \ge 1` where active
`Hits`     [B, \*shape]: 1 where active, 0 else         all cells
========== ============================================ ========================================

Cells are those of a grid, or the voxels of a calorimeter. An *active* cell is one in which the
detector saw energy. Networks take the same condition [B, K]
as input whatever the representation: y, one-hot class and log n of the points or active cells. The
total energy and n come from a :class:`~pcgen.models.cardinality.Cardinality`; the values say how
the total is shared out.
"""

from __future__ import annotations

from pcgen.models.representations.base import Event, Loss, Representation, Seen
from pcgen.models.representations.cells import Images, Sites
from pcgen.models.representations.hits import Hits
from pcgen.models.representations.layered import Layered
from pcgen.models.representations.points import Points
from pcgen.models.representations.singles import Singles

__all__ = [
    "Event",
    "Hits",
    "Images",
    "Layered",
    "Loss",
    "Points",
    "Representation",
    "Seen",
    "Singles",
    "Sites",
]
