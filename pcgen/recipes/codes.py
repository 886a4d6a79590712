"""Names of latent terms, of shapes of codes and of priors in the options of recipes.

Read by the command line without torch; :mod:`pcgen.recipes.code_assembly` builds what they are.
"""

from __future__ import annotations

from typing import Literal

LatentTerm = Literal["gaussian", "none", "adversarial", "density-ratio", "mmd", "sliced"]
PriorShape = Literal["normal", "ring", "roll"]
PriorName = Literal["normal", "mixture", "real-nvp", "gan", "flow"]
