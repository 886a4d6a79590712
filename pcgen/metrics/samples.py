"""Samples of a pool of events, as numbers of events or as how often each event occurs."""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


def check_samples(a: Tensor, b: Tensor, events: int) -> None:
    """Refuse what are not P pairs of samples of N events.

    Args:
        a: Events of the first samples [P, n], n ≥ 2; an event may occur more than once.
        b: Events of the second samples [P, m], m ≥ 2.
        events: N.

    Raises:
        ArgumentError: shapes do not fit, or a number is not that of an event.
    """
    if a.dim() != 2 or b.dim() != 2 or len(a) != len(b) or min(a.shape[1], b.shape[1]) < 2:
        raise ArgumentError(
            f"a, b: got shapes {tuple(a.shape)} and {tuple(b.shape)}, expected [P, n] and [P, m] "
            "with n, m ≥ 2"
        )
    for name, sample in (("a", a), ("b", b)):
        if len(sample) and not 0 <= int(sample.min()) <= int(sample.max()) < events:
            raise ArgumentError(
                f"{name}: got events {int(sample.min())} to {int(sample.max())}, "
                f"expected 0 to {events - 1}"
            )


def counted(samples: Tensor, events: int) -> Tensor:
    """How often each of N events occurs in each of P samples [P, n] -> [P, N] int32.

    >>> counted(torch.tensor([[0, 2, 2]]), 3).tolist()
    [[1, 0, 2]]
    """
    zeros = torch.zeros(len(samples), events, dtype=torch.int32, device=samples.device)
    return zeros.scatter_add_(1, samples, torch.ones_like(samples, dtype=torch.int32))
