"""Layers on active cells: what the detector saw empty is not there.

================  ================================================================================
``image``         features at the active sites of a batch of events
``convolutions``  submanifold, strided, inverse and transposed convolutions
``pooling``       pooling and normalisation
``decoder``       from a code to active cells, coarse to fine
================  ================================================================================
"""

from pcgen.nn.sparse.convolutions import (
    SparseConv,
    SparseInverseConv,
    SparseTransposedConv,
    SubmanifoldConv,
)
from pcgen.nn.sparse.decoder import SparseDecoder
from pcgen.nn.sparse.image import SparseImage
from pcgen.nn.sparse.pooling import GlobalPool, SiteNorm, SparsePool

__all__ = [
    "GlobalPool",
    "SiteNorm",
    "SparseConv",
    "SparseDecoder",
    "SparseImage",
    "SparseInverseConv",
    "SparsePool",
    "SparseTransposedConv",
    "SubmanifoldConv",
]
