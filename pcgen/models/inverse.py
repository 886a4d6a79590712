r"""What a generator says of an event of which little was measured: compressed sensing.

Measurements y = A x of an image x are answered by the noise z of a trained generator G whose image
would have given them,

.. math:: \hat z = \arg\min_z \frac{|A\, G(z) - y|^2}{|y|^2} + \lambda \frac{|z|^2}{d},
          \qquad \hat x = G(\hat z)

by gradient descent from several random starts, of which the one with the smallest misfit is kept
(Bora et al., arXiv 1703.03208, whose λ is λ |y|²/d here: both terms are relative, so that λ does
not depend on the unit of the energy or on the d numbers of z). Descent may end anywhere: the share
of starts that reach the measurements is part of the answer. What no G(z) can be is left to a sparse
deviation ν (Sparse-Gen; Dhar, Grover and Ermon, arXiv 1807.01442),

.. math:: \hat x = G(\hat z) + \hat\nu, \qquad
          \ldots + \lambda_1 \frac{|\nu|_1}{|y|}

whose steps are soft thresholds (:func:`pcgen.ops.sparse_recovery.ista`), so that its entries are
exactly zero where they are not needed. With a flow, z is the noise that its trajectories start
from, and the gradient goes back along them (D-Flow; Ben-Hamu et al., arXiv 2402.14017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, at_least
from pcgen.ops.segments import sum_by
from pcgen.ops.sparse_recovery import Linear, soft_threshold

ImageOf = Callable[[tuple[Tensor, ...]], Tensor]
"""Noise -> images [K, \\*shape] of K answers."""


@dataclass(frozen=True)
class Descent:
    """How z is searched for.

    Attributes:
        restarts: Random starts of each event.
        iterations: Steps of Adam from each.
        rate: Of Adam.
        prior: λ, weight of the mean square of z.
        deviation: λ₁ of the sparse deviation ν; None: there is none.
        tolerance: A start has succeeded where |A x - y| is at most so much of |y|.

    Raises:
        ArgumentError: a number is out of range.
    """

    restarts: int = 10
    iterations: int = 1000
    rate: float = 0.01
    prior: float = 1e-3
    deviation: float | None = None
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        at_least(1, restarts=self.restarts, iterations=self.iterations)
        at_least(0, prior=self.prior, deviation=self.deviation)
        for name in ("rate", "tolerance"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ArgumentError(f"{name}: got {value}, expected a positive number")


class Noise(NamedTuple):
    """Standard normal numbers that K answers are made of, in groups of rows.

    Attributes:
        rows: Tensors [N_g, ...], one of each group: noise of points, of clouds.
        owner: Answer of each row, [N_g] from 0 to K - 1.
    """

    rows: tuple[Tensor, ...]
    owner: tuple[Tensor, ...]

    def square(self, number: int) -> Tensor:
        """Mean square of the numbers of each of K answers [K]; 0 where it has none."""
        total = self.rows[0].new_zeros(number, dtype=torch.float64)
        count = torch.zeros_like(total)
        for rows, owner in zip(self.rows, self.owner, strict=True):
            if rows[0:1].numel():
                total = total + sum_by(rows.flatten(1).double().square().sum(1), owner, number)
                count = count + torch.bincount(owner, minlength=number) * rows[0].numel()
        return total / count.clamp(min=1)


class Answers(NamedTuple):
    """What was found for B events from R starts of each.

    Attributes:
        image: The best answer G(z) + ν of each event [B, \\*shape].
        deviation: ν of it; None where there is none.
        misfit: |A x - y| / |y| of each start [B, R]; infinite where the descent broke down.
        succeeded: Whether it is within the tolerance [B, R].
        best: The start that is kept [B].
        noise: Of all answers, answer after answer and event after event.
    """

    image: Tensor
    deviation: Tensor | None
    misfit: Tensor
    succeeded: Tensor
    best: Tensor
    noise: Noise

    @property
    def chosen(self) -> Tensor:
        """Number of the best answer of each event among all [B]."""
        starts = self.misfit.shape[1]
        return torch.arange(len(self.best), device=self.best.device) * starts + self.best


def invert(
    measurement: Linear, y: Tensor, image_of: ImageOf, start: Noise, descent: Descent
) -> Answers:
    """The events that a generator finds for measurements.

    Events and starts do not depend on each other: what is found for one is the same whatever else
    is in the batch, but for rounding.

    Args:
        measurement: A, on images.
        y: Measurements [B, m].
        image_of: G, from noise to images [B R, \\*shape], event after event.
        start: Where to start, of K = B R answers.
        descent: How to search.

    Raises:
        ArgumentError: the images are not those of B R answers.
    """
    restarts, number = descent.restarts, len(y) * descent.restarts
    wanted = y.repeat_interleave(restarts, 0)
    size = wanted.double().square().sum(1)
    unit = torch.where(size > 0, size, 1.0).sqrt()  # an empty event is measured in units of y
    rows = tuple(each.detach().clone().requires_grad_(True) for each in start.rows)
    with torch.no_grad():
        first = image_of(rows)
    if len(first) != number:
        raise ArgumentError(
            f"image_of: got {len(first)} images, expected {number}: {restarts} of each event"
        )
    found = _Found(number, first, rows, descent.deviation is not None)
    adam = torch.optim.Adam(
        [each for each in rows if each.numel()] or [torch.zeros(1)], descent.rate
    )
    shift = torch.zeros_like(first) if descent.deviation is not None else None
    for step in range(descent.iterations + 1):
        image = image_of(rows)
        image = image if shift is None else image + shift
        rest = measurement(image) - wanted
        misfit = rest.double().square().sum(1) / unit.square()
        loss = misfit + descent.prior * Noise(rows, start.owner).square(number)
        if shift is not None and descent.deviation:
            loss = loss + descent.deviation * shift.flatten(1).abs().sum(1).double() / unit
        found.keep(loss.detach(), misfit.detach().sqrt(), image.detach(), rows, start.owner, shift)
        if step == descent.iterations:
            break
        adam.zero_grad()
        if loss.requires_grad:
            torch.nan_to_num(loss, 0.0, 0.0, 0.0).sum().backward()
            adam.step()
        if shift is not None and descent.deviation is not None:
            shift = _shrunk(measurement, shift, rest.detach(), descent.deviation * unit)
    return found.answers(len(y), start.owner, descent)


def _shrunk(measurement: Linear, shift: Tensor, rest: Tensor, strength: Tensor) -> Tensor:
    """A step of ν: a gradient step of its misfit, and the soft threshold."""
    step = 1.0 / max(measurement.norm, 1e-30) ** 2
    broad = (0.5 * step * strength).to(shift).view(-1, *[1] * (shift.dim() - 1))
    return soft_threshold(shift - step * measurement.adjoint(rest), broad)


class _Found:
    """The best that each answer has been, by its loss: Adam with a constant rate moves on."""

    def __init__(
        self, number: int, image: Tensor, rows: tuple[Tensor, ...], deviates: bool
    ) -> None:
        self.loss = torch.full((number,), torch.inf, dtype=torch.float64, device=image.device)
        self.misfit = self.loss.clone()
        self.image, self.rows = image.clone(), tuple(each.detach().clone() for each in rows)
        self.shift = torch.zeros_like(image) if deviates else None

    def keep(
        self,
        loss: Tensor,
        misfit: Tensor,
        image: Tensor,
        rows: tuple[Tensor, ...],
        owner: tuple[Tensor, ...],
        shift: Tensor | None,
    ) -> None:
        """Keep the answers that are better than before; a loss that is not finite is none."""
        better = (loss < self.loss) & loss.isfinite()
        self.loss = torch.where(better, loss, self.loss)
        self.misfit = torch.where(better, misfit, self.misfit)
        self.image = torch.where(_broad(better, image), image, self.image)
        self.rows = tuple(
            torch.where(_broad(better[of], new), new.detach(), old)
            for new, old, of in zip(rows, self.rows, owner, strict=True)
        )
        if shift is not None and self.shift is not None:
            self.shift = torch.where(_broad(better, shift), shift, self.shift)

    def answers(self, events: int, owner: tuple[Tensor, ...], descent: Descent) -> Answers:
        misfit = self.misfit.view(events, descent.restarts)
        best = misfit.argmin(1)
        row = torch.arange(events, device=best.device) * descent.restarts + best
        return Answers(
            self.image[row],
            None if self.shift is None else self.shift[row],
            misfit,
            misfit <= descent.tolerance,
            best,
            Noise(self.rows, owner),
        )


def _broad(of_answer: Tensor, like: Tensor) -> Tensor:
    return of_answer.view(-1, *[1] * (like.dim() - 1))
