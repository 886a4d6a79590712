"""A recipe of a few parameters, which worker processes can import, and a fast training of it."""

from __future__ import annotations

from pcgen.io import JETS
from pcgen.models.autoencoder import Autoencoder, Deterministic, Gaussian
from pcgen.models.representations import Points
from pcgen.nn import PointNet, SetDecoder
from pcgen.objectives.reconstruction import ChamferLoss

FAST = {"steps": 4, "batch_size": 16, "max_points": 8, "validate_events": 40, "log_every": 2,
        "checkpoint_every": 2, "validate_every": 2, "accelerator": "cpu", "progress": False,
        "samples": 6}  # fmt: skip


def tiny(latent_dim: int = 2, sampled: bool = True) -> Autoencoder:
    """A VAE of a few parameters, or a plain autoencoder."""
    see = Points(JETS)
    points, condition = see.value_channels, see.condition_channels
    return Autoencoder(
        see,
        PointNet(points, 4, hidden=(8,), head=(), condition_channels=condition),
        (Gaussian if sampled else Deterministic)(4, latent_dim),
        SetDecoder(latent_dim, 2, points - 2, condition_channels=condition, hidden=8, layers=1),
        {"chamfer": ChamferLoss(standardize=see.standardize)},
    )
