"""Scores of samples of one pool of events: what an evaluation is made of."""

from pcgen.metrics.comparisons.comparison import Comparison, Measure, permutation_p_values
from pcgen.metrics.comparisons.features import FeatureDistance
from pcgen.metrics.comparisons.fidelity import Fidelity
from pcgen.metrics.comparisons.marginals import (
    Column,
    Marginals,
    event_columns,
    marginals,
    point_columns,
)
from pcgen.metrics.comparisons.neighbourhood import (
    Neighbourhood,
    chamfer_neighbourhood,
    earth_mover_neighbourhood,
)
from pcgen.metrics.comparisons.occupancy import (
    Occupancy,
    grid_nodes,
    jensen_shannon,
    occupancy,
)
from pcgen.metrics.comparisons.physics import frechet_physics, kernel_physics
from pcgen.metrics.comparisons.separation import ShowerSeparation
from pcgen.metrics.comparisons.together import Together
from pcgen.metrics.comparisons.two_sample import TwoSample

__all__ = [
    "Column",
    "Comparison",
    "FeatureDistance",
    "Fidelity",
    "Marginals",
    "Measure",
    "Neighbourhood",
    "Occupancy",
    "ShowerSeparation",
    "Together",
    "TwoSample",
    "chamfer_neighbourhood",
    "earth_mover_neighbourhood",
    "event_columns",
    "frechet_physics",
    "grid_nodes",
    "jensen_shannon",
    "kernel_physics",
    "marginals",
    "occupancy",
    "permutation_p_values",
    "point_columns",
]
