"""What is optimised: reconstruction, latent divergences, adversarial games, gradient penalties.

Everything returns one value per cloud [B]; whoever optimises takes the mean.
"""

from pcgen.objectives.adversarial import (
    HINGE,
    LEAST_SQUARES,
    NON_SATURATING,
    RELATIVISTIC,
    SATURATING,
    WASSERSTEIN,
    Game,
)
from pcgen.objectives.latent import kl_normal
from pcgen.objectives.penalties import gradient_penalty, r1, r1_r2, r2, roth, wgan_gp
from pcgen.objectives.reconstruction import ChamferLoss, EarthMoverLoss, Scaled

__all__ = [
    "HINGE",
    "LEAST_SQUARES",
    "NON_SATURATING",
    "RELATIVISTIC",
    "SATURATING",
    "WASSERSTEIN",
    "ChamferLoss",
    "EarthMoverLoss",
    "Game",
    "Scaled",
    "gradient_penalty",
    "kl_normal",
    "r1",
    "r1_r2",
    "r2",
    "roth",
    "wgan_gp",
]
