"""pcgen: generative models of sparse detector signals as weighted point clouds.

``pcgen.load(run_or_checkpoint).sample(number=1000)`` samples from a trained model;
``pcgen.convert("images.npz", "clouds.h5")`` is the command of this name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcgen.conversion import convert
    from pcgen.loading import load

__all__ = ["convert", "load"]
__version__ = "0.2.0"

_PLACES = {"convert": "pcgen.conversion", "load": "pcgen.loading"}


def __getattr__(name: str) -> Any:
    # Imported on first use: ``import pcgen`` stays instant, and loads no torch.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
