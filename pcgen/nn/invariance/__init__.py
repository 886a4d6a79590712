"""Any backbone, of images or of clouds, made invariant; any generator made equivariant.

===================  =============================================================================
``frame_averaging``  the networks: frame averages, canonical poses, TI-pooling
``poses``            poses of clouds, from their moments
``image_poses``      poses of images, under the symmetries of a square grid
``transformations``  rotations, flips and shifts of images and clouds
``random_transform`` random transformations while training
===================  =============================================================================
"""

from pcgen.nn.invariance.frame_averaging import Canonical, FrameAverage, Posed, RandomPose, TIPool
from pcgen.nn.invariance.image_poses import GridGroup, ImagePose
from pcgen.nn.invariance.poses import CloudPose, Euclidean
from pcgen.nn.invariance.random_transform import RandomAffine, RandomTransform
from pcgen.nn.invariance.transformations import (
    Affine,
    GridSymmetry,
    PeriodicShift,
    flips,
    periodic_shifts,
    quarter_turns,
    rotation,
    symmetries,
    warp,
)

__all__ = [
    "Affine",
    "Canonical",
    "CloudPose",
    "Euclidean",
    "FrameAverage",
    "GridGroup",
    "GridSymmetry",
    "ImagePose",
    "PeriodicShift",
    "Posed",
    "RandomAffine",
    "RandomPose",
    "RandomTransform",
    "TIPool",
    "flips",
    "periodic_shifts",
    "quarter_turns",
    "rotation",
    "symmetries",
    "warp",
]
