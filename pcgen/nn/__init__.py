"""Blocks, encoders, decoders and critics for clouds.

Networks see standardised clouds: the channels ``cat(pos, x)`` of each point and, where they are
conditional, the condition ``y``. An encoder maps clouds to rows, ``forward(clouds, condition=None)
-> [B, F]`` (None: the condition is ``clouds.y``) and ``features(clouds) -> [N, F']``; one column of
it makes a critic. A decoder maps
``forward(code [B, Z], sizes [B], y, generator)`` to clouds. No net looks across clouds, so what a
cloud is mapped to does not depend on the batch it comes in.

Clouds on a lattice can also be seen as sparse images: :class:`SparseImage` and the layers on it.
Dense images of which cells were not observed are :class:`ObservedImage`, with layers of their own.
Any backbone, of images or of clouds, is made invariant by :class:`FrameAverage` and its siblings.
"""

from pcgen.nn.attention import (
    AttentionBlock,
    AttentionEncoder,
    AttentionPool,
    SelfAttention,
)
from pcgen.nn.code_field import CodeField
from pcgen.nn.decoders import MLPDecoder, SetDecoder
from pcgen.nn.edgeconv import DGCNN
from pcgen.nn.epic import EPiCEncoder, EPiCLayer
from pcgen.nn.fields import AttentionField, DeepSetField, EdgeConvField, EPiCField
from pcgen.nn.frame_averaging import Canonical, FrameAverage, Posed, RandomPose
from pcgen.nn.image_decoders import (
    GatedImageDecoder,
    GaussianImageDecoder,
    HurdleImageDecoder,
    ImageTrunk,
    ReLUImageDecoder,
)
from pcgen.nn.image_encoders import ConvEncoder, ObservedEncoder, SiteEncoder
from pcgen.nn.image_poses import GridGroup, ImagePose
from pcgen.nn.lists import ListEncoder, ListField
from pcgen.nn.mlp import LEAKY, MLP, spectral_normed, weight_normed
from pcgen.nn.observed_image import Cellwise, ObservedImage, concat_channels
from pcgen.nn.observed_pool import ObservedPool, ObservedUpsample
from pcgen.nn.particlenet import ParticleNet
from pcgen.nn.pointnet import PointNet, TransformNet, orthogonality
from pcgen.nn.pooling import pool, scaled_sum
from pcgen.nn.poses import CloudPose, Euclidean
from pcgen.nn.random_transform import RandomAffine, RandomTransform
from pcgen.nn.ranked import RankedDecoder
from pcgen.nn.rasterised import RasterisedDecoder
from pcgen.nn.sparse_conv import (
    SparseConv,
    SparseInverseConv,
    SparseTransposedConv,
    SubmanifoldConv,
)
from pcgen.nn.sparse_decoder import SparseDecoder
from pcgen.nn.sparse_image import Rowwise, SparseImage
from pcgen.nn.sparse_pool import GlobalPool, SiteNorm, SparsePool
from pcgen.nn.sparsity_invariant import (
    NormalizedConv,
    PartialConv,
    SparsityInvariantConv,
    SparsityInvariantTransposedConv,
)
from pcgen.nn.ti_pooling import TIPool
from pcgen.nn.time_features import time_features
from pcgen.nn.transformations import (
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
from pcgen.nn.unets import ConvUNet, SiteUNet

__all__ = [
    "DGCNN",
    "LEAKY",
    "MLP",
    "Affine",
    "AttentionBlock",
    "AttentionEncoder",
    "AttentionField",
    "AttentionPool",
    "Canonical",
    "Cellwise",
    "CloudPose",
    "CodeField",
    "ConvEncoder",
    "ConvUNet",
    "DeepSetField",
    "EPiCEncoder",
    "EPiCField",
    "EPiCLayer",
    "EdgeConvField",
    "Euclidean",
    "FrameAverage",
    "GatedImageDecoder",
    "GaussianImageDecoder",
    "GlobalPool",
    "GridGroup",
    "GridSymmetry",
    "HurdleImageDecoder",
    "ImagePose",
    "ImageTrunk",
    "ListEncoder",
    "ListField",
    "MLPDecoder",
    "NormalizedConv",
    "ObservedEncoder",
    "ObservedImage",
    "ObservedPool",
    "ObservedUpsample",
    "PartialConv",
    "ParticleNet",
    "PeriodicShift",
    "PointNet",
    "Posed",
    "RandomAffine",
    "RandomPose",
    "RandomTransform",
    "RankedDecoder",
    "RasterisedDecoder",
    "ReLUImageDecoder",
    "Rowwise",
    "SelfAttention",
    "SetDecoder",
    "SiteEncoder",
    "SiteNorm",
    "SiteUNet",
    "SparseConv",
    "SparseDecoder",
    "SparseImage",
    "SparseInverseConv",
    "SparsePool",
    "SparseTransposedConv",
    "SparsityInvariantConv",
    "SparsityInvariantTransposedConv",
    "SubmanifoldConv",
    "TIPool",
    "TransformNet",
    "concat_channels",
    "flips",
    "orthogonality",
    "periodic_shifts",
    "pool",
    "quarter_turns",
    "rotation",
    "scaled_sum",
    "spectral_normed",
    "symmetries",
    "time_features",
    "warp",
    "weight_normed",
]
