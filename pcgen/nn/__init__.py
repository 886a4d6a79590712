"""Networks: encoders, decoders, critics and velocity fields.

================  ================================================================================
room              what is in it
================  ================================================================================
``points``        networks on point sets
``images``        networks on images, each with a reading of the empty cells
``sparse``        layers on active cells
``observed``      layers on images of which a part was not observed
``invariance``    any backbone made invariant under rotations, flips and shifts
================  ================================================================================

Beside the rooms are what they share: perceptrons and networks on codes (``mlp``), an invertible one
(``coupling``), the condition and the time of a flow (``condition``), pooling of ragged rows
(``pooling``), the lattice of an image (``lattice``), ``reset_parameters`` and ``print``
(``network``); and ``particlenet``, the network of a metric.

Networks take standardised clouds: the channels ``cat(pos, x)`` of each point and, where they are
conditional, the condition ``y``. An encoder maps clouds to rows, ``forward(clouds, condition=None)
-> [B, F]`` (None: the condition is ``clouds.y``) or ``forward(x, pos, batch, condition=None)``, and
``features(clouds) -> [N, F']``; one column of it makes a critic. A decoder maps
``forward(code [B, Z], sizes [B], y, generator)`` to clouds. No network looks across clouds, so the
result for a cloud does not depend on the batch it comes in.
"""

from pcgen.nn.condition import time_features
from pcgen.nn.coupling import RealNVP
from pcgen.nn.images import (
    Cellwise,
    DenseReading,
    GatedImageDecoder,
    GaussianImageDecoder,
    HurdleImageDecoder,
    ImageEncoder,
    ImageTrunk,
    ImageUNet,
    LAGANCritic,
    LAGANGenerator,
    LocallyConnected2d,
    MinibatchDiscrimination,
    ObservedReading,
    RasterisedDecoder,
    ReLUImageDecoder,
    SiteReading,
)
from pcgen.nn.invariance import (
    Affine,
    Canonical,
    CloudPose,
    Euclidean,
    FrameAverage,
    GridGroup,
    GridSymmetry,
    ImagePose,
    PeriodicShift,
    Posed,
    RandomAffine,
    RandomPose,
    RandomTransform,
    TIPool,
    flips,
    periodic_shifts,
    quarter_turns,
    rotation,
    symmetries,
    warp,
)
from pcgen.nn.layer_profile import LayerProfileField
from pcgen.nn.mlp import LEAKY, MLP, CodeField, RowGenerator, spectral_normed, weight_normed
from pcgen.nn.observed import (
    NormalizedConv,
    ObservedImage,
    ObservedPool,
    ObservedUpsample,
    PartialConv,
    SparsityInvariantConv,
    SparsityInvariantTransposedConv,
    concat_channels,
)
from pcgen.nn.particlenet import ParticleNet
from pcgen.nn.points import (
    DGCNN,
    AttentionBlock,
    AttentionDecoder,
    AttentionEncoder,
    AttentionField,
    AttentionPool,
    DeepSetField,
    EdgeConvField,
    EPiCEncoder,
    EPiCField,
    EPiCLayer,
    InducedAttention,
    LayeredEncoder,
    LayeredField,
    ListEncoder,
    ListField,
    MessageLayer,
    MessagePassingDecoder,
    MessagePassingEncoder,
    MLPDecoder,
    Noise,
    PointDecoder,
    PointEncoder,
    PointMixture,
    PointNet,
    Ranks,
    SelfAttention,
    SetDecoder,
    TransformNet,
    orthogonality,
)
from pcgen.nn.pooling import pool, scaled_sum
from pcgen.nn.sparse import (
    GlobalPool,
    SiteNorm,
    SparseConv,
    SparseDecoder,
    SparseImage,
    SparseInverseConv,
    SparsePool,
    SparseTransposedConv,
    SubmanifoldConv,
)

__all__ = [
    "DGCNN",
    "LEAKY",
    "MLP",
    "Affine",
    "AttentionBlock",
    "AttentionDecoder",
    "AttentionEncoder",
    "AttentionField",
    "AttentionPool",
    "Canonical",
    "Cellwise",
    "CloudPose",
    "CodeField",
    "DeepSetField",
    "DenseReading",
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
    "ImageEncoder",
    "ImagePose",
    "ImageTrunk",
    "ImageUNet",
    "InducedAttention",
    "LAGANCritic",
    "LAGANGenerator",
    "LayerProfileField",
    "LayeredEncoder",
    "LayeredField",
    "ListEncoder",
    "ListField",
    "LocallyConnected2d",
    "MLPDecoder",
    "MessageLayer",
    "MessagePassingDecoder",
    "MessagePassingEncoder",
    "MinibatchDiscrimination",
    "Noise",
    "NormalizedConv",
    "ObservedImage",
    "ObservedPool",
    "ObservedReading",
    "ObservedUpsample",
    "PartialConv",
    "ParticleNet",
    "PeriodicShift",
    "PointDecoder",
    "PointEncoder",
    "PointMixture",
    "PointNet",
    "Posed",
    "RandomAffine",
    "RandomPose",
    "RandomTransform",
    "Ranks",
    "RasterisedDecoder",
    "ReLUImageDecoder",
    "RealNVP",
    "RowGenerator",
    "SelfAttention",
    "SetDecoder",
    "SiteNorm",
    "SiteReading",
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
