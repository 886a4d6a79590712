"""What is optimised: reconstruction, likelihoods, divergences, games, gradient penalties, flows.

Losses return one value per cloud [B]; whoever optimises takes the mean.
"""

from pcgen.objectives.adversarial import (
    HINGE,
    LEAST_SQUARES,
    MAXIMUM_LIKELIHOOD,
    NON_SATURATING,
    RELATIVISTIC,
    SATURATING,
    WASSERSTEIN,
    Game,
)
from pcgen.objectives.flow_matching import straight_path
from pcgen.objectives.latent import kl_normal, mmd, sliced_wasserstein
from pcgen.objectives.likelihood import (
    bernoulli,
    best_log_std,
    bounded_log_std,
    gaussian,
    hurdle,
)
from pcgen.objectives.noise import InstanceNoise
from pcgen.objectives.penalties import (
    clip,
    dragan,
    gradient_penalty,
    r1,
    r1_r2,
    r2,
    roth,
    spread,
    wgan_gp,
    wgan_lp,
)
from pcgen.objectives.reconstruction import ChamferLoss, EarthMoverLoss, Scaled

__all__ = [
    "HINGE",
    "LEAST_SQUARES",
    "MAXIMUM_LIKELIHOOD",
    "NON_SATURATING",
    "RELATIVISTIC",
    "SATURATING",
    "WASSERSTEIN",
    "ChamferLoss",
    "EarthMoverLoss",
    "Game",
    "InstanceNoise",
    "Scaled",
    "bernoulli",
    "best_log_std",
    "bounded_log_std",
    "clip",
    "dragan",
    "gaussian",
    "gradient_penalty",
    "hurdle",
    "kl_normal",
    "mmd",
    "r1",
    "r1_r2",
    "r2",
    "roth",
    "sliced_wasserstein",
    "spread",
    "straight_path",
    "wgan_gp",
    "wgan_lp",
]
