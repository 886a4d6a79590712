"""Named models, composed from parts by typed functions: the only place where nn meets models.

A recipe takes plain values and gives an untrained model; ``RECIPES`` names those that a command or
a checkpoint may ask for.
"""

from __future__ import annotations

from collections.abc import Callable

from pcgen.models.base import GenerativeModel
from pcgen.recipes.images import (
    image_flow,
    image_gan,
    image_vae,
    sites_flow,
    sites_gan,
    sites_vae,
)
from pcgen.recipes.jets import jets_autoencoder, jets_latent_gan, jets_latent_mixture, jets_vae
from pcgen.recipes.points import points_flow, points_gan, points_vae

RECIPES: dict[str, Callable[..., GenerativeModel]] = {
    "image-flow": image_flow,
    "image-gan": image_gan,
    "image-vae": image_vae,
    "jets-autoencoder": jets_autoencoder,
    "jets-latent-gan": jets_latent_gan,
    "jets-latent-mixture": jets_latent_mixture,
    "jets-vae": jets_vae,
    "points-flow": points_flow,
    "points-gan": points_gan,
    "points-vae": points_vae,
    "sites-flow": sites_flow,
    "sites-gan": sites_gan,
    "sites-vae": sites_vae,
}

ALIASES: dict[str, str] = {}
"""Older names of recipes, which commands and checkpoints may still give."""

__all__ = [
    "ALIASES",
    "RECIPES",
    "image_flow",
    "image_gan",
    "image_vae",
    "jets_autoencoder",
    "jets_latent_gan",
    "jets_latent_mixture",
    "jets_vae",
    "points_flow",
    "points_gan",
    "points_vae",
    "sites_flow",
    "sites_gan",
    "sites_vae",
]
