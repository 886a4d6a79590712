"""pcgen: generative models of sparse detector signals as weighted point clouds.

``pcgen.load(run_or_checkpoint).sample(number=1000)`` samples from a trained model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcgen.loading import load

__all__ = ["load"]
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    # Looked up when asked for: ``import pcgen`` stays instant, and loads no torch.
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pcgen.loading import load

    return load


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
