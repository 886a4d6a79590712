"""Networks on point sets.

``encoder``        how encoders are called: with clouds, or with PyG's ``(x, pos, batch)``
``pointnet``       PointNet and its T-Nets
``edgeconv``       DGCNN: EdgeConv on the nearest neighbours
``epic``           EPiC layers and their encoder
``attention``      Set Transformer: blocks, pooling by attention, encoder
``layered``        points in detector layers: EPiC with a vector of each layer
``lists``          the control: an MLP on the padded list
``mixture``        points that are independent given the class: a density of clouds
``fields``         velocity fields of all of these
``contexts``       reading another cloud, and fields whose points attend to it
``decoders``       from a code to a set (EPiC layers) or to a list (MLP)
``starts``         what the points of a set decoder start from: noise or ranks
=================  =============================================================================
=======
===================  =============================================================================
``encoder``          how encoders are called: with clouds, or with PyG's ``(x, pos, batch)``
``pointnet``         PointNet and its T-Nets
``edgeconv``         DGCNN: EdgeConv on the nearest neighbours
``epic``             EPiC layers and their encoder
``attention``        Set Transformer: blocks, pooling by attention, encoder
``message_passing``  messages between all points of a cloud, and their encoder
``layered``          points in detector layers: EPiC with a vector of each layer
``lists``            the control: an MLP on the padded list
``mixture``          points that are independent given the class: a density of clouds
``fields``           velocity fields of all of these
``decoder``          how decoders of sets are called
``decoders``         from a code to a set (EPiC, attention, message passing) or to a list (MLP)
``starts``           what the points of a set decoder start from: noise or ranks
===================  =============================================================================
"""

from pcgen.nn.points.attention import (
    AttentionBlock,
    AttentionEncoder,
    AttentionPool,
    InducedAttention,
    SelfAttention,
)
from pcgen.nn.points.contexts import (
    ContextEncoder,
    ContextField,
    ContextGenerator,
    ContextQuery,
    ContextReader,
    CrossAttention,
)
from pcgen.nn.points.decoder import PointDecoder
from pcgen.nn.points.decoders import (
    AttentionDecoder,
    MessagePassingDecoder,
    MLPDecoder,
    SetDecoder,
)
from pcgen.nn.points.edgeconv import DGCNN
from pcgen.nn.points.encoder import PointEncoder, PointReader
from pcgen.nn.points.epic import EPiCEncoder, EPiCLayer
from pcgen.nn.points.fields import AttentionField, DeepSetField, EdgeConvField, EPiCField
from pcgen.nn.points.layered import LayeredEncoder, LayeredField
from pcgen.nn.points.lists import ListEncoder, ListField
from pcgen.nn.points.message_passing import MessageLayer, MessagePassingEncoder
from pcgen.nn.points.mixture import PointMixture
from pcgen.nn.points.pointnet import PointNet, TransformNet, orthogonality
from pcgen.nn.points.starts import Noise, Ranks

__all__ = [
    "DGCNN",
    "AttentionBlock",
    "AttentionDecoder",
    "AttentionEncoder",
    "AttentionField",
    "AttentionPool",
    "ContextEncoder",
    "ContextField",
    "ContextGenerator",
    "ContextQuery",
    "ContextReader",
    "CrossAttention",
    "DeepSetField",
    "EPiCEncoder",
    "EPiCField",
    "EPiCLayer",
    "EdgeConvField",
    "InducedAttention",
    "LayeredEncoder",
    "LayeredField",
    "ListEncoder",
    "ListField",
    "MLPDecoder",
    "MessageLayer",
    "MessagePassingDecoder",
    "MessagePassingEncoder",
    "Noise",
    "PointDecoder",
    "PointEncoder",
    "PointMixture",
    "PointNet",
    "PointReader",
    "Ranks",
    "SelfAttention",
    "SetDecoder",
    "TransformNet",
    "orthogonality",
]
