"""Data sets and simulations, one file each, and the small shipped samples.

``open_clouds`` opens files of clouds, ``sample_jets`` the jets that ship with pcgen. They are
imported on first use, so that processes that only run Pythia do not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcgen.datasets.jets import sample_jets, simulate
    from pcgen.datasets.loading import CloudDataset, open_clouds

__all__ = ["CloudDataset", "open_clouds", "sample_jets", "simulate"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "loading" if name in ("CloudDataset", "open_clouds") else "jets"
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
