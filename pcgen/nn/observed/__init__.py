"""Layers on images of which a part was not observed: dead, masked or not built cells.

================  ================================================================================
``image``         values and which of them are known
``convolutions``  sparsity-invariant, partial and normalised convolutions
``pooling``       pooling and upsampling
================  ================================================================================
"""

from pcgen.nn.observed.convolutions import (
    NormalizedConv,
    PartialConv,
    SparsityInvariantConv,
    SparsityInvariantTransposedConv,
)
from pcgen.nn.observed.image import ObservedImage, concat_channels
from pcgen.nn.observed.pooling import ObservedPool, ObservedUpsample

__all__ = [
    "NormalizedConv",
    "ObservedImage",
    "ObservedPool",
    "ObservedUpsample",
    "PartialConv",
    "SparsityInvariantConv",
    "SparsityInvariantTransposedConv",
    "concat_channels",
]
