"""Networks of Achlioptas et al. on shapes, and the autoencoder of their recipes.

"Learning representations and generative models for 3D point clouds", arXiv 1707.02392: the encoder
has the same layers on each point and takes the maximum over them; decoder and generator are fully
connected layers to all coordinates. Three departures: rows are normalised by ``LayerNorm``
where the paper has batch normalisation, which makes a cloud depend on its neighbours; a linear map
stands between the maxima and the code; and the networks take class and log n as a condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pcgen.errors import at_least
from pcgen.models.autoencoder import Autoencoder, Deterministic
from pcgen.models.gan import Adversary
from pcgen.models.representations import Points
from pcgen.nn import MLPDecoder, PointNet
from pcgen.objectives.adversarial import NON_SATURATING, WASSERSTEIN
from pcgen.objectives.penalties import wgan_gp
from pcgen.recipes.assembly import reconstruction

AUTOENCODER: Mapping[str, Any] = {"lr": 5e-4, "schedule": "constant"}
GAME: Mapping[str, Any] = {"lr": 1e-4, "betas": (0.5, 0.999), "schedule": "constant"}
"""Adam as in the paper."""
PLAIN = Adversary(NON_SATURATING, None, optimiser=GAME)
WGAN = Adversary(WASSERSTEIN, wgan_gp, strength=10.0, steps=5, optimiser=GAME)
"""What the paper's GAN and l-WGAN play."""


@dataclass(frozen=True)
class ShapeNetworks:
    """Layers on each point and a maximum; fully connected layers to a list of points.

    Attributes:
        length: Longest cloud.
    """

    length: int

    def encoder(self, points: Points, out: int) -> nn.Module:
        """``(clouds, condition) -> [B, out]``; with ``out=1`` the critic."""
        critic = out == 1
        options: dict[str, Any] = {"norm": None} if critic else {"activation": nn.ReLU}
        return PointNet(
            points.value_channels,
            out,
            hidden=(64, 128, 256, 256, 512) if critic else (64, 128, 128, 256, 128),
            head=(128, 64) if critic else (),
            condition_channels=points.condition_channels,
            **options,
        )

    def decoder(self, points: Points, code: int) -> nn.Module:
        """``(code, sizes, condition, generator) -> clouds``, of two hidden layers."""
        return self._list(points, code, (256, 256))

    def generator(self, points: Points, code: int) -> nn.Module:
        """As a decoder, of four hidden layers."""
        return self._list(points, code, (64, 128, 512, 1024))

    def _list(self, points: Points, code: int, hidden: tuple[int, ...]) -> nn.Module:
        axes = len(points.schema.axes)
        return MLPDecoder(
            code,
            axes,
            points.value_channels - axes,
            max_points=self.length,
            condition_channels=points.condition_channels,
            hidden=hidden,
            activation=nn.ReLU,
        )


def codec(points: Points, latent_dim: int, list_length: int, distance: str) -> Autoencoder:
    """The paper's autoencoder.

    Raises:
        ArgumentError: a size is out of range, or the distance is unknown.
    """
    at_least(1, latent_dim=latent_dim, list_length=list_length)
    networks = ShapeNetworks(list_length)
    # Of two columns at least, since one is a critic.
    features = max(latent_dim, 2)
    return Autoencoder(
        points,
        networks.encoder(points, features),
        Deterministic(features, latent_dim),
        networks.decoder(points, latent_dim),
        reconstruction(distance, points.standardize),
        optimiser=AUTOENCODER,
    )
