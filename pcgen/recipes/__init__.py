"""Named models, composed from parts by typed functions of plain values.

``RECIPES`` names those that a command or a checkpoint may ask for. Importing this package is cheap:
a recipe imports torch when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pcgen.recipes.chains import points_chain, points_gsn, points_sequential_vae
from pcgen.recipes.classifiers import points_classifier
from pcgen.recipes.contexts import points_context_flow, points_context_gan, points_set_generation
from pcgen.recipes.flows import (
    points_flow,
    points_flow_gan,
    points_flow_map,
    points_flow_student,
)
from pcgen.recipes.hits import hits_wake_sleep
from pcgen.recipes.hybrids import points_hybrid
from pcgen.recipes.images import (
    image_flow,
    image_gan,
    image_real_nvp,
    image_vae,
    sites_flow,
    sites_gan,
    sites_vae,
)
from pcgen.recipes.latent import image_latent, points_latent, sites_latent
from pcgen.recipes.paper_gans import epic_gan, gapt, lagan, mpgan, smearing_gan
from pcgen.recipes.point_games import points_gan, points_latent_gan
from pcgen.recipes.points import (
    points_autoencoder,
    points_latent_flow,
    points_latent_mixture,
    points_vae,
)
from pcgen.recipes.shapes import (
    shapes_gan,
    shapes_latent_flow,
    shapes_latent_gan,
    shapes_latent_mixture,
)
from pcgen.recipes.showers import showers_flow, showers_latent_gan

if TYPE_CHECKING:
    from pcgen.models.base import GenerativeModel

RECIPES: dict[str, Callable[..., GenerativeModel]] = {
    "points-autoencoder": points_autoencoder,
    "points-vae": points_vae,
    "points-latent": points_latent,
    "points-latent-flow": points_latent_flow,
    "points-latent-gan": points_latent_gan,
    "points-latent-mixture": points_latent_mixture,
    "points-gan": points_gan,
    "points-gsn": points_gsn,
    "points-chain": points_chain,
    "points-sequential-vae": points_sequential_vae,
    "points-flow": points_flow,
    "points-flow-map": points_flow_map,
    "points-flow-student": points_flow_student,
    "points-flow-gan": points_flow_gan,
    "points-context-flow": points_context_flow,
    "points-context-gan": points_context_gan,
    "points-set-generation": points_set_generation,
    "points-classifier": points_classifier,
    "points-hybrid": points_hybrid,
    "image-gan": image_gan,
    "image-vae": image_vae,
    "image-latent": image_latent,
    "image-flow": image_flow,
    "image-real-nvp": image_real_nvp,
    "sites-gan": sites_gan,
    "sites-vae": sites_vae,
    "sites-latent": sites_latent,
    "sites-flow": sites_flow,
    "hits-wake-sleep": hits_wake_sleep,
    "showers-flow": showers_flow,
    "showers-latent-gan": showers_latent_gan,
    "shapes-gan": shapes_gan,
    "shapes-latent-gan": shapes_latent_gan,
    "shapes-latent-mixture": shapes_latent_mixture,
    "shapes-latent-flow": shapes_latent_flow,
    "epic-gan": epic_gan,
    "mpgan": mpgan,
    "gapt": gapt,
    "lagan": lagan,
    "smearing-gan": smearing_gan,
}

ALIASES = {
    "jets-autoencoder": "points-autoencoder",
    "jets-classifier": "points-classifier",
    "shapes-classifier": "points-classifier",
    "jets-vae": "points-vae",
    "jets-latent-gan": "points-latent-gan",
    "jets-latent-mixture": "points-latent-mixture",
}
"""Other names of recipes, former ones among them, on the command line and in checkpoints."""

_RENAMED = {
    "points": {"network": "encoder", "max_points": "list_length", "steps": "integration_steps"},
    "image": {"steps": "integration_steps"},
    "sites": {"steps": "integration_steps"},
}
_LIST_LENGTH = 192


def current(name: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A recipe and its arguments by their present names, from those of any version.

    >>> current("points-flow", {"network": "epic", "steps": 8, "max_points": 192})
    ('points-flow', {'encoder': 'epic', 'integration_steps': 8})
    >>> current("jets-vae", {"latent_dim": 8})
    ('points-vae', {'latent_dim': 8})
    """
    name = ALIASES.get(name, name)
    renamed = _RENAMED.get(name.split("-")[0], {})
    if name in RECIPES:
        arguments = {renamed.get(key, key): value for key, value in arguments.items()}
    of_set = name.startswith("points-") and arguments.get("encoder") != "list"
    if of_set and arguments.get("list_length") == _LIST_LENGTH:
        # Earlier versions stored the default of an option that this network does not have.
        arguments = {key: value for key, value in arguments.items() if key != "list_length"}
    return name, dict(arguments)


__all__ = [
    "ALIASES",
    "RECIPES",
    "current",
    "epic_gan",
    "gapt",
    "hits_wake_sleep",
    "image_flow",
    "image_gan",
    "image_latent",
    "image_real_nvp",
    "image_vae",
    "lagan",
    "mpgan",
    "points_autoencoder",
    "points_chain",
    "points_classifier",
    "points_context_flow",
    "points_context_gan",
    "points_flow",
    "points_flow_gan",
    "points_flow_map",
    "points_flow_student",
    "points_gan",
    "points_gsn",
    "points_hybrid",
    "points_latent",
    "points_latent_flow",
    "points_latent_gan",
    "points_latent_mixture",
    "points_sequential_vae",
    "points_set_generation",
    "points_vae",
    "shapes_gan",
    "shapes_latent_flow",
    "shapes_latent_gan",
    "shapes_latent_mixture",
    "showers_flow",
    "showers_latent_gan",
    "sites_flow",
    "sites_gan",
    "sites_latent",
    "sites_vae",
    "smearing_gan",
]
