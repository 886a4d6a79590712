"""Names of games and of remedies in the options of recipes; what they are is built elsewhere.

Read by the command line without torch, see :mod:`pcgen.recipes.adversaries`. Not every remedy goes
with every game and every kind of event: what does not is refused with its reason.
"""

from __future__ import annotations

from typing import Literal

Game = Literal[
    "non-saturating",
    "saturating",
    "maximum-likelihood",
    "wasserstein",
    "hinge",
    "least-squares",
    "relativistic",
]
Regulariser = Literal[
    "r1", "r2", "r1-r2", "roth", "wgan-gp", "wgan-lp", "dragan", "clip", "spectral", "none"
]
Modes = Literal["none", "reg-gan", "mdgan", "vae-gan"]
"""Encoders beside the generator, see :mod:`pcgen.models.mode_gan`."""
LatentGame = Literal[Game, "r1", "wgan-gp"]
"""Those of :data:`Game`, and two former names of a game with its regulariser."""
