"""A recipe of a few parameters, which worker processes can import, and a fast training of it."""

from __future__ import annotations

from pcgen.io import JETS
from pcgen.models.autoencoder import Autoencoder, Deterministic, Gaussian
from pcgen.models.cardinality import Cardinality
from pcgen.nn import PointNet, SetDecoder
from pcgen.objectives.reconstruction import ChamferLoss
from pcgen.standardize import Standardize

FAST = {"steps": 4, "batch_size": 16, "max_points": 8, "validate_events": 40, "log_every": 2,
        "checkpoint_every": 2, "validate_every": 2, "accelerator": "cpu", "progress": False,
        "samples": 6}  # fmt: skip


def tiny(latent_dim: int = 2, sampled: bool = True) -> Autoencoder:
    """A VAE of a few parameters, or a plain autoencoder."""
    standardize = Standardize(JETS)
    points, condition = standardize.point_features, standardize.condition_features
    return Autoencoder(
        standardize=standardize,
        cardinality=Cardinality(JETS),
        encoder=PointNet(points, 4, hidden=(8,), head=(), condition_channels=condition),
        latent=(Gaussian if sampled else Deterministic)(4, latent_dim),
        decoder=SetDecoder(
            latent_dim, 2, points - 2, condition_channels=condition, hidden=8, layers=1
        ),
        reconstruction={"chamfer": ChamferLoss(standardize=standardize)},
    )
