r"""What the codes of an autoencoder carry: active units, mutual information, blur, hit-count bias.

From the posteriors :math:`q(z|x_i) = N(\mu_i, \sigma_i^2)` of N events,

* *active units* (Burda, Grosse and Salakhutdinov, arXiv 1509.00519, section 5.2): the numbers of
  the code whose mean varies from event to event, :math:`\mathrm{Var}_i\, \mu_{id} > 0.01`;
* *mutual information* of event and code,
  :math:`I(x; z) = E_i E_{q(z|x_i)} [\log q(z|x_i) - \log \frac1N \sum_j q(z|x_j)]`, with the
  aggregated posterior in the place of q(z) (Hoffman and Johnson 2016): at most log N, and 0 where
  codes are ignored. It is infinite where a code is a function of its event.

From distances of the events and of their reconstructions,

* *blur* :math:`= 1 - s(\hat x) / s(x)`, with s the mean distance of an event to its nearest other
  one: 0 where reconstructions are as far apart as the events are, and 1 where all are the same, as
  an average is (Zhao, Song and Ermon, arXiv 1702.08658, section 3);
* *hit-count bias*, the mean number of points or active cells of the reconstructions over that of
  the events, less 1: a blurred sparse image has too many.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pcgen.errors import ArgumentError

ACTIVE = 0.01
"""Variance of the mean above which a number of the code is active; the prior's is 1."""


def active_units(mean: Tensor) -> int:
    """Numbers of the code that vary with the event.

    Args:
        mean: Means of the posteriors [N, Z], in units of the prior.

    >>> active_units(torch.tensor([[0.0, 1.0], [0.01, -1.0]]))
    1
    """
    if len(mean) < 2:
        return 0
    return int((mean.double().var(0) > ACTIVE).sum())


def mutual_information(
    mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None
) -> float:
    """I(x; z) in nats, from one code of each posterior.

    Args:
        mean: Means of normal posteriors [N, Z],
        log_variance: and logarithms of their variances [N, Z].
        generator: Draws the codes.

    Raises:
        ArgumentError: the shapes differ, or there is no event.

    >>> same = torch.zeros(5, 2)
    >>> abs(round(mutual_information(same, same, torch.Generator().manual_seed(0)), 6))
    0.0
    """
    if mean.shape != log_variance.shape or mean.dim() != 2 or not len(mean):
        raise ArgumentError(
            f"mutual_information: got {tuple(mean.shape)} and {tuple(log_variance.shape)}, "
            "expected [N, Z] of both"
        )
    mean, log_variance = mean.double(), log_variance.double()
    noise = torch.randn(mean.shape, dtype=mean.dtype, generator=generator).to(mean)
    code = mean + (0.5 * log_variance).exp() * noise
    away = (code[:, None] - mean).square() * (-log_variance).exp()
    log_density = -0.5 * (away + log_variance + math.log(2 * math.pi)).sum(2)  # [code, posterior]
    own = log_density.diagonal()
    return float((own - log_density.logsumexp(1) + math.log(len(mean))).mean())


def blur(events: Tensor, reconstructions: Tensor) -> float:
    """1 - s(reconstructions) / s(events).

    Args:
        events: Distances between all events [N, N],
        reconstructions: and between all reconstructions [N, N].

    Raises:
        ArgumentError: there are fewer than two.

    >>> apart = torch.tensor([[0.0, 4.0], [4.0, 0.0]])
    >>> blur(apart, apart), blur(apart, apart / 4), blur(apart, 0 * apart)
    (0.0, 0.75, 1.0)
    """
    real, generated = _spread(events), _spread(reconstructions)
    return 1.0 - generated / real if real > 0 else 0.0


def hit_count_bias(events: Tensor, reconstructions: Tensor) -> float:
    """Mean number of hits of reconstructions over that of events, less 1.

    Args:
        events: Numbers of hits [N],
        reconstructions: and those of reconstructions [N].

    >>> hit_count_bias(torch.tensor([2, 4]), torch.tensor([3, 6]))
    0.5
    """
    real = float(events.double().mean())
    return float(reconstructions.double().mean()) / real - 1.0 if real > 0 else 0.0


def _spread(distance: Tensor) -> float:
    if distance.dim() != 2 or min(distance.shape) < 2:
        raise ArgumentError(
            f"blur: got distances {tuple(distance.shape)}, expected at least two events"
        )
    others = distance.double().clone().fill_diagonal_(math.inf)
    return float(others.min(1).values.mean())
