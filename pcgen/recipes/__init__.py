"""Named models, composed from parts by typed functions: the only place where nn meets models.

A recipe takes plain values and gives an untrained model; ``RECIPES`` names those that a command or
a checkpoint may ask for.
"""

from __future__ import annotations

from collections.abc import Callable

from pcgen.models.base import GenerativeModel
from pcgen.recipes.jets import jets_autoencoder, jets_latent_gan, jets_latent_mixture, jets_vae
from pcgen.recipes.points import points_flow, points_gan, points_vae

RECIPES: dict[str, Callable[..., GenerativeModel]] = {
    "jets-autoencoder": jets_autoencoder,
    "jets-latent-gan": jets_latent_gan,
    "jets-latent-mixture": jets_latent_mixture,
    "jets-vae": jets_vae,
    "points-flow": points_flow,
    "points-gan": points_gan,
    "points-vae": points_vae,
}

__all__ = [
    "RECIPES",
    "jets_autoencoder",
    "jets_latent_gan",
    "jets_latent_mixture",
    "jets_vae",
    "points_flow",
    "points_gan",
    "points_vae",
]
