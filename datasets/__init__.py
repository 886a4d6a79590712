"""Data sets and simulations, one file each, and the small shipped samples.

``open_clouds`` opens files of clouds, ``sample_jets`` and ``sample_showers`` those that ship with
pcgen; ``simulate_jets``, ``simulate_showers``, ``simulate_tracks``, ``simulate_electrons`` and
``simulate_shapes`` generate more. They are imported on first use, so that processes that only run
Pythia do not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcgen.datasets.electrons import simulate_electrons
    from pcgen.datasets.jets import sample_jets, simulate_jets
    from pcgen.datasets.loading import CloudDataset, open_clouds
    from pcgen.datasets.shapes import simulate_shapes
    from pcgen.datasets.showers import sample_showers, simulate_showers
    from pcgen.datasets.tracks import observed_modules, simulate_tracks

__all__ = [
    "CloudDataset",
    "observed_modules",
    "open_clouds",
    "sample_jets",
    "sample_showers",
    "simulate_electrons",
    "simulate_jets",
    "simulate_shapes",
    "simulate_showers",
    "simulate_tracks",
]

_HOMES = {
    "CloudDataset": "loading",
    "observed_modules": "tracks",
    "open_clouds": "loading",
    "sample_jets": "jets",
    "simulate_electrons": "electrons",
    "simulate_jets": "jets",
    "sample_showers": "showers",
    "simulate_shapes": "shapes",
    "simulate_showers": "showers",
    "simulate_tracks": "tracks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
