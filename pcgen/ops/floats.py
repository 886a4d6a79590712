r"""Numbers near the ends of a float's range: squares that would leave it, results that do.

Lengths are taken of differences times a power of two, :math:`|t| = |2^k t| / 2^k`, with k = 0
unless a square would overflow or lose digits. Powers of two round nothing, so that ordinary numbers
keep all their bits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import DataError

# Largest number below which squares lose digits, and above which they, or sums of some, overflow;
# then the exponents by which such numbers are multiplied.
_RANGES = {
    torch.float32: (2.0**-40, 2.0**60, 100, -100),
    torch.float64: (2.0**-400, 2.0**500, 800, -800),
}


def watched(value: Tensor) -> bool:
    """Whether the numbers may be looked at: on the CPU, outside of ``torch.compile``."""
    return value.device.type == "cpu" and not torch.compiler.is_compiling()


def exponent(extent: float, dtype: torch.dtype) -> int:
    """k for which numbers up to ``extent``, times 2^k, have squares; 0 for ordinary ones."""
    small, large, up, down = _RANGES[dtype]
    return up if 0 < extent < small else down if extent > large else 0


def length(step: Tensor, squared: Tensor) -> Tensor:
    """|t| of differences [..., D] as [...], whatever their size; its gradient at 0 is 0.

    Args:
        step: Differences, already taken around the circle on periodic axes.
        squared: Their Σ t², which is used where it is in range.
    """
    if watched(squared) and _ordinary(step.detach(), squared.detach()):
        return _root(squared)
    # Scaled to about 1, so that no factor of the gradient leaves the range either.
    small, large, up, _ = _RANGES[step.dtype]
    largest = step.detach().abs().amax(-1)
    power = -torch.frexp(largest).exponent.clamp(-up, up)
    power = torch.where((largest < small) | (largest > large), power, 0)
    scale = torch.ldexp(torch.ones_like(largest), power)
    scaled = step * scale[..., None]
    return _root((scaled * scaled).sum(-1)) / scale


def _ordinary(step: Tensor, squared: Tensor) -> bool:
    if not squared.numel():
        return True
    small, large = _RANGES[step.dtype][:2]
    low, high = (float(value) for value in squared.aminmax())
    if not high <= large**2:
        return False
    return low >= small**2 or not bool(step[squared < small**2].any())


def _root(squared: Tensor) -> Tensor:
    """Square root with gradient 0 at 0."""
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)


def check_range(value: Tensor, true: Tensor, what: str) -> None:
    """Refuse results [B] that a float cannot hold; where numbers may not be looked at, nothing.

    Args:
        value: Results in the type that is returned.
        true: The same where they are not lost: a result of 0 is one if this is 0 as well.
        what: For the message, ``"distance"`` say.

    Raises:
        DataError: a result is beyond the largest or below the smallest number; names the pair.
    """
    lost = ~value.detach().isfinite() | ((value.detach() == 0) & (true != 0))
    if bool(lost.any()):
        limits = torch.finfo(value.dtype)
        b = int(lost.nonzero()[0])
        side = "below the smallest" if bool(value[b] == 0) else "beyond the largest"
        bound = limits.smallest_normal if bool(value[b] == 0) else limits.max
        name = str(value.dtype).removeprefix("torch.")
        raise DataError(
            f"pair {b}: the {what} is {side} {name} ({bound:.2g}), expected one that it holds; "
            "use other units for the coordinates" + (" or float64" if name != "float64" else "")
        )
