"""Jets: kinematics, substructure, energy-flow polynomials, and the scores of JetNet."""

from pcgen.metrics.jets.energyflow import efp_graphs, energy_flow_polynomials, w1efp_graphs
from pcgen.metrics.jets.jetnet import (
    frechet_particlenet_distance,
    load_particlenet,
    load_statistics,
    w1efp,
    w1m,
    w1p,
)
from pcgen.metrics.jets.kinematics import girth, mass, ptd, relative, transverse_momentum, width
from pcgen.metrics.jets.prongs import (
    lund_declusterings,
    lund_density,
    n_subjettiness,
    substructure,
)

__all__ = [
    "efp_graphs",
    "energy_flow_polynomials",
    "frechet_particlenet_distance",
    "girth",
    "load_particlenet",
    "load_statistics",
    "lund_declusterings",
    "lund_density",
    "mass",
    "n_subjettiness",
    "ptd",
    "relative",
    "substructure",
    "transverse_momentum",
    "w1efp",
    "w1efp_graphs",
    "w1m",
    "w1p",
    "width",
]
