r"""Images and clouds: the same event stored as filled cells of a grid, or as weighted points.

With cells c of a grid, an image I [B, \*grid.shape] and a cloud of points (p_i, w_i),

    image_to_cloud:  one point at the centre of each cell whose I_c > threshold, with w = I_c
    cloud_to_image:  I_c = Σ_{i: p_i in c} w_i       (or mean, max, number)
    splat:           I_c = Σ_i w_i Π_d h_d(p_i, c)   with linear hats h between cell centres

and in a calorimeter, whose layers have cells of their own, an image is a row of V voxels:

    shower_to_cloud, cloud_to_shower

The total weight is conserved by each of them. Both directions are vectorised over events.
"""

from __future__ import annotations

from pcgen.images.cells import cloud_to_image, image_to_cloud
from pcgen.images.multi_hit import MultiHit
from pcgen.images.placing import Outside, Overflow, overflow, project
from pcgen.images.sampling import jitter, snap
from pcgen.images.showers import (
    check_showers,
    cloud_to_shower,
    in_calorimeter,
    shower_overflow,
    shower_to_cloud,
)
from pcgen.images.splatting import splat
from pcgen.images.spreading import spread_over_cells

__all__ = [
    "MultiHit",
    "Outside",
    "Overflow",
    "check_showers",
    "cloud_to_image",
    "cloud_to_shower",
    "image_to_cloud",
    "in_calorimeter",
    "jitter",
    "overflow",
    "project",
    "shower_overflow",
    "shower_to_cloud",
    "snap",
    "splat",
    "spread_over_cells",
]
