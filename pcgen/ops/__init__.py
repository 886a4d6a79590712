"""Operations on ragged batches of point clouds: tensors in, tensors out, for any training loop.

Nothing here knows a model or PyTorch Geometric. Distances between clouds take rows [N, D] with a
pointer [B+1], or dense clouds [B, N, D]. Compiled code and kernels are loaded at their first call.
"""

from pcgen.ops.chamfer_distance import chamfer, density_aware, f_score
from pcgen.ops.divergences import energy_distance, sinkhorn_divergence
from pcgen.ops.lattice import Sites, active_sites
from pcgen.ops.legacy import approxmatch, msn
from pcgen.ops.neighbors import (
    Neighbors,
    knn,
    knn_graph,
    knn_rows,
    nearest,
    nearest_neighbors,
    radius_graph,
)
from pcgen.ops.ode import Integrator
from pcgen.ops.padding import Padding
from pcgen.ops.rulebooks import strided, submanifold, transposed
from pcgen.ops.sampling import Subset, farthest_points, fps
from pcgen.ops.segments import (
    max_by,
    mean_by,
    segment_circular_mean,
    segment_logsumexp,
    segment_max,
    segment_mean,
    segment_min,
    segment_softmax,
    segment_std,
    segment_sum,
    sum_by,
)
from pcgen.ops.sliced_transport import sliced
from pcgen.ops.sparse_conv import convolve
from pcgen.ops.sparse_pool import reduce_windows
from pcgen.ops.surfaces import sample_surface
from pcgen.ops.symmetric_eigen import eigh
from pcgen.ops.transport import (
    EnergyDifference,
    KullbackLeibler,
    ToleranceWarning,
    TotalVariation,
    Transport,
    earth_mover,
)

__all__ = [
    "EnergyDifference",
    "Integrator",
    "KullbackLeibler",
    "Neighbors",
    "Padding",
    "Sites",
    "Subset",
    "ToleranceWarning",
    "TotalVariation",
    "Transport",
    "active_sites",
    "approxmatch",
    "chamfer",
    "convolve",
    "density_aware",
    "earth_mover",
    "eigh",
    "energy_distance",
    "f_score",
    "farthest_points",
    "fps",
    "knn",
    "knn_graph",
    "knn_rows",
    "max_by",
    "mean_by",
    "msn",
    "nearest",
    "nearest_neighbors",
    "radius_graph",
    "reduce_windows",
    "sample_surface",
    "segment_circular_mean",
    "segment_logsumexp",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_softmax",
    "segment_std",
    "segment_sum",
    "sinkhorn_divergence",
    "sliced",
    "strided",
    "submanifold",
    "sum_by",
    "transposed",
]
