"""Networks on images, each with a reading of the empty cells.

=====================  ===========================================================================
``readings``           what an empty cell is: a zero, a known zero or unknown, not there
``layers``             the layers of each reading, and the pyramid made of them
``encoder``            encoder and critic
``unet``               velocity field
``real_nvp``           invertible network to noise, on several scales
``decoders``           from a code to a dense image, most of which is empty
``locally_connected``  windows of an image with weights of their own
``lagan``              generator and critic of LAGAN, with minibatch discrimination
=====================  ===========================================================================
"""

from pcgen.nn.images.decoders import (
    GatedImageDecoder,
    GaussianImageDecoder,
    HurdleImageDecoder,
    ImageTrunk,
    RasterisedDecoder,
    ReLUImageDecoder,
)
from pcgen.nn.images.encoder import ImageEncoder
from pcgen.nn.images.lagan import LAGANCritic, LAGANGenerator, MinibatchDiscrimination
from pcgen.nn.images.layers import Cellwise
from pcgen.nn.images.locally_connected import LocallyConnected2d
from pcgen.nn.images.readings import DenseReading, ObservedReading, Reading, SiteReading
from pcgen.nn.images.real_nvp import ImageRealNVP
from pcgen.nn.images.unet import ImageUNet

__all__ = [
    "Cellwise",
    "DenseReading",
    "GatedImageDecoder",
    "GaussianImageDecoder",
    "HurdleImageDecoder",
    "ImageEncoder",
    "ImageRealNVP",
    "ImageTrunk",
    "ImageUNet",
    "LAGANCritic",
    "LAGANGenerator",
    "LocallyConnected2d",
    "MinibatchDiscrimination",
    "ObservedReading",
    "RasterisedDecoder",
    "ReLUImageDecoder",
    "Reading",
    "SiteReading",
]
