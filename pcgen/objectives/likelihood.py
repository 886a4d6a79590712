r"""Likelihoods of images, as losses: negative logarithms in nats, one value per event.

*Hurdle* (Cragg, Econometrica 39 (1971) 829; also called spike and slab): a cell is active or not,
o = 1 or 0, and has an energy only where it is,

.. math::
    \log p = \sum_\text{cells} [o \log p + (1 - o) \log(1 - p)]
           + \sum_\text{active} \log N(x; \mu, \sigma^2)

With x the standardised logarithm of the energy, the energy of an active cell is log-normal.

*Gaussian*, the one of plain pixels, whose minimum in μ is that of the squared error,

.. math:: \log p = \sum_\text{cells} \log N(x; \mu, \sigma^2)

with one σ for all pixels. It decides how much the pixels count beside other terms of a loss and
should be learned: its best value for a batch is the root of the mean squared error
(:func:`best_log_std`; Rybkin, Daniilidis and Levine, "Simple and effective VAE training with
calibrated decoders", arXiv 2006.13202).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pcgen.errors import ArgumentError

LEAST_LOG_STD = -3.0
"""Of learned standard deviations: 1/20 in standardised units. Gradients grow as its inverse."""


def bernoulli(active: Tensor, logit: Tensor) -> Tensor:
    """-log p of active and inactive cells, from the logit of being active; elementwise.

    A logit of -inf is a cell that cannot be active, and costs nothing where it is not.

    Args:
        active: bool [...].
        logit: [...].

    >>> bernoulli(torch.tensor([True, False]), torch.tensor([0.0, -torch.inf])).exp().tolist()
    [2.0, 1.0]
    """
    return -F.logsigmoid(torch.where(active, logit, -logit))


def normal(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """-log N(x; mean, exp(log_std)²), elementwise."""
    return 0.5 * ((x - mean) * (-log_std).exp()).square() + log_std + 0.5 * math.log(2 * math.pi)


def hurdle(
    x: Tensor, active: Tensor, logit: Tensor, mean: Tensor, log_std: Tensor
) -> tuple[Tensor, Tensor]:
    """Occupancy and energy of sparse images; their sum is -log p.

    Args:
        x: [B, ...]; what inactive cells hold does not matter.
        active: bool [B, ...].
        logit: Of being active [B, ...].
        mean: Of x in an active cell [B, ...].
        log_std: Logarithm of its standard deviation [B, ...].

    Returns:
        Two terms [B], in nats.

    Raises:
        ArgumentError: the shapes differ.

    >>> one = torch.zeros(1, 2)
    >>> occupancy, energy = hurdle(one, torch.tensor([[True, False]]), one, one, one)
    >>> round(occupancy.item(), 4), round(energy.item(), 4)
    (1.3863, 0.9189)
    """
    for name, value in (("active", active), ("logit", logit), ("mean", mean), ("log_std", log_std)):
        _check(name, value, x)
    # Inactive cells are made harmless first: 0 times infinity has no gradient.
    x, mean, log_std = (torch.where(active, value, 0.0) for value in (x, mean, log_std))
    energy = torch.where(active, normal(x, mean, log_std), 0.0)
    return _sum(bernoulli(active, logit)), _sum(energy)


def gaussian(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """-log p of pixels [B, ...] with one standard deviation, in nats [B].

    Args:
        x: [B, ...].
        mean: [B, ...].
        log_std: Logarithm of the standard deviation, a scalar.

    Raises:
        ArgumentError: the shapes differ.
    """
    _check("mean", mean, x)
    return _sum(normal(x, mean, log_std))


def best_log_std(x: Tensor, mean: Tensor) -> Tensor:
    """The scalar ``log_std`` at which the sum of :func:`gaussian` over the batch is least.

    Not below :data:`LEAST_LOG_STD`. It carries no gradient: there the loss is flat in it, so the
    gradient in the mean is the same with and without.
    """
    error = (x - mean).detach().square().mean()
    return (0.5 * error.log()).clamp(min=LEAST_LOG_STD)


def bounded_log_std(raw: Tensor) -> Tensor:
    """Smoothly bounded from below by :data:`LEAST_LOG_STD`, and unchanged far above.

    An atom of the data (an event of one cell has the fraction 1) would otherwise draw a learned
    standard deviation to 0, its density to infinity, and with them the gradient.
    """
    return LEAST_LOG_STD + F.softplus(raw - LEAST_LOG_STD)


def _check(name: str, value: Tensor, x: Tensor) -> None:
    if value.shape != x.shape:
        raise ArgumentError(f"{name}: got {tuple(value.shape)}, expected {tuple(x.shape)} like x")


def _sum(value: Tensor) -> Tensor:
    return value.flatten(1).sum(1)
