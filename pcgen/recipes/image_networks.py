"""Networks of images and of active cells that recipes choose by name.

The recipes are in :mod:`pcgen.recipes.images`.

========= ===================================== =================================================
name      reading of the critic or encoder      generator
========= ===================================== =================================================
dense     DenseReading()                        ReLU output
active    DenseReading(active_channel=True)     the same
observed  ObservedReading(empty="missing")      the same
gated     DenseReading()                        occupancy gate times intensity
points    DenseReading()                        points, then rasterised
========= ===================================== =================================================
"""

from __future__ import annotations

from torch import nn

from pcgen.errors import ArgumentError
from pcgen.models.representations import Images, Sites
from pcgen.nn import (
    DenseReading,
    GatedImageDecoder,
    ImageEncoder,
    ImageTrunk,
    ImageUNet,
    ObservedReading,
    RasterisedDecoder,
    ReLUImageDecoder,
    SetDecoder,
    SiteReading,
    SparseDecoder,
)
from pcgen.nn.images import Reading
from pcgen.recipes.networks import GLOBAL

DENSE, SITES = DenseReading(), SiteReading()
READINGS: dict[str, Reading] = {
    "active": DenseReading(active_channel=True),
    # As the literature applies the layer to sparse images: the comparison shows what it costs.
    "observed": ObservedReading(empty="missing"),
}


def image_encoder(
    network: str, images: Images, out: int, channels: int, *, continuous: bool = False
) -> ImageEncoder:
    """Encoder or critic of images ``(image, condition) -> [B, out]``."""
    return ImageEncoder(
        images.shape,
        out,
        READINGS.get(network, DENSE),
        channels=channels,
        condition_channels=images.condition_channels,
        continuous=continuous,
    )


def site_encoder(
    cells: Images | Sites,
    out: int,
    channels: int,
    *,
    continuous: bool = False,
    coarse: bool = False,
) -> ImageEncoder:
    """Encoder or critic at active sites ``(event, condition) -> [B, out]``."""
    return ImageEncoder(
        cells.shape,
        out,
        SITES,
        channels=channels,
        condition_channels=cells.condition_channels,
        continuous=continuous,
        coarse=coarse,
    )


def image_field(images: Images, channels: int) -> ImageUNet:
    """Velocity field of all cells of images ``(image, time, condition)``."""
    return ImageUNet(
        images.shape,
        DENSE,
        channels=channels,
        condition_channels=images.condition_channels,
    )


def site_field(sites: Sites, channels: int) -> ImageUNet:
    """Velocity field of active sites ``(clouds, time, condition)``."""
    return ImageUNet(
        sites.shape,
        SITES,
        channels=channels,
        condition_channels=sites.condition_channels,
    )


def image_generator(network: str, images: Images, code: int, channels: int) -> nn.Module:
    """Generator of images from noise."""
    if network == "points":
        if images.grid is None:
            raise ArgumentError(
                "network: got 'points' in a calorimeter, expected dense, active, observed or gated"
            )
        axes = len(images.schema.axes)
        decoder = SetDecoder(
            code,
            axes,
            images.standardize.point_features - axes,
            condition_channels=images.condition_channels,
            hidden=4 * channels,
            global_channels=GLOBAL,
            layers=3,
        )
        return RasterisedDecoder(decoder, images.standardize, images.grid)
    trunk = image_trunk(images, code, channels)
    return GatedImageDecoder(trunk) if network == "gated" else ReLUImageDecoder(trunk)


def image_trunk(images: Images, code: int, channels: int) -> ImageTrunk:
    """What decoders of images have in common, from code to the finest level."""
    return ImageTrunk(
        code, channels, shape=images.shape, condition_channels=images.condition_channels
    )


def sparse_decoder(sites: Sites, code: int, channels: int) -> SparseDecoder:
    """Which cells are active, coarse to fine, and what they hold."""
    return SparseDecoder(
        code, channels, shape=sites.shape, condition_channels=sites.condition_channels
    )
