"""Random numbers, drawn where the generator lives, so that one seed is one sample.

A generator of the CPU then gives the same clouds whatever the device of the model.
"""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Uniform numbers in [0, 1) of the dtype and device of ``like``."""
    device = like.device if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=device).to(like)


def normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of the dtype and device of ``like``.

    >>> seed = torch.Generator().manual_seed(0)
    >>> normal((2, 3), torch.zeros(1, dtype=torch.float64), seed).dtype
    torch.float64
    """
    device = like.device if generator is None else generator.device
    return torch.randn(shape, generator=generator, device=device).to(like)
