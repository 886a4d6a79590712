"""What scores take and return: rows of finite numbers, samples of a pool of events, estimates.

A sample of a pool of N events is given by the numbers of its events, or by how often each of the N
occurs in it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError


class Estimate(NamedTuple):
    """A measured number.

    Attributes:
        value: The number.
        error: Its uncertainty, of one standard deviation.
    """

    value: float
    error: float


# Indices listed in an error.
LISTED = 10


def check_rows(*, least: int = 1, **sets: Tensor) -> tuple[Tensor, ...]:
    """Sets of events as float64 rows [N, F] of one width F and on one device.

    Args:
        least: Events that each set must have.
        **sets: Features of each set [N, F], or one number for each event [N].

    Raises:
        ArgumentError: a set has another rank, width or device, or fewer than ``least`` events.
        DataError: a row is not finite; all such rows are named by their index (the first ten).

    >>> check_rows(real=torch.zeros(3), generated=torch.ones(2, 1))[0].shape
    torch.Size([3, 1])
    """
    rows = {name: x[:, None] if x.dim() == 1 else x for name, x in sets.items()}
    first = next(iter(rows.values()))
    for name, x in rows.items():
        if x.dim() != 2 or len(x) < least or x.shape[1] != first.shape[1] or not x.shape[1]:
            raise ArgumentError(
                f"{name}: got shape {tuple(sets[name].shape)}, expected [N, {first.shape[-1]}] "
                f"with N ≥ {least}"
            )
        if x.device != first.device:
            raise ArgumentError(f"{name}: got device {x.device}, expected {first.device}")
        bad = (~torch.isfinite(x)).any(1).nonzero().flatten().tolist()
        if bad:
            listed = ", ".join(map(str, bad[:LISTED])) + (", ..." if len(bad) > LISTED else "")
            raise DataError(
                f"{name}: got values that are not finite in {len(bad)} of {len(x)} events "
                f"({listed}), expected finite features"
            )
    return tuple(x.detach().double() for x in rows.values())


def divided_by_maximum(reference: Tensor, *sets: Tensor) -> tuple[Tensor, ...]:
    """Sets of features [N, F], each feature over its largest size in ``reference``; 0 stays 0.

    The convention of FPD and KPD (Kansal et al., arXiv 2211.10295), with the real events as the
    reference: one outlying event there is enough to shrink a feature to nothing.
    """
    largest = reference.abs().amax(0)
    largest = largest.where(largest > 0, 1)
    return tuple(features / largest for features in sets)


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
