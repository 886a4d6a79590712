r"""Gradient penalties: one function of where, towards what and with which weight.

.. math:: E_{x \sim \mu}\left[ w(D(x))\, (\|\nabla_x D(x)\| - c)^2 \right]

========= ============= === ==================== =================================================
penalty   μ             c   w                    reference; the customary factor
========= ============= === ==================== =================================================
r1        real          0   1                    Mescheder et al. 2018, arXiv 1801.04406; γ/2
r2        generated     0   1                    the same
r1_r2     both          0   1                    R3GAN, Huang et al. 2024, arXiv 2501.05441; γ/2
wgan_gp   in between    1   1                    Gulrajani et al. 2017, arXiv 1704.00028; λ = 10
wgan_lp   in between    ≥1  1                    Petzka et al. 2018, arXiv 1709.08894; as wgan_gp
dragan    near real     1   1                    Kodali et al. 2017, arXiv 1705.07215; λ = 10
roth      both          0   (1 - σ(D))², σ(D)²   Roth et al. 2017, arXiv 1705.09367; γ/2, annealed
========= ============= === ==================== =================================================

Factors are left to the caller. D is the logit. ≥1 means that norms below 1 cost nothing, which is
what a critic of slope at most 1 asks for. The weights of ``roth`` vanish where the critic is
confident, so γ must be large at first. On clouds use ``r1`` and its kin or ``dragan``, as "in
between" has no meaning for two unordered sets. No factor is transferable between data sets:
standardise the input, or take the penalty in units of the input's spread (:func:`spread`).

Two remedies bound the critic without a penalty: :func:`clip` after each step of its optimiser
(Arjovsky et al. 2017, arXiv 1701.07875), and spectral normalisation of its layers
(:func:`pcgen.nn.spectral.spectrally_normed`).

The named penalties share one signature, ``(critic, real, generated, *, generator, ptr) -> [B]``;
``ptr`` [B+1] is given for ragged samples: rows [N, C] of clouds, real and generated of equal
sizes, and a critic of such rows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.ops.drawing import normal, uniform
from pcgen.ops.segments import segment_sum

Critic = Callable[[Tensor], Tensor]
STEP = 0.01
"""δ of :func:`finite_r1_r2`, in units of standardised values."""


def gradient_penalty(
    critic: Critic,
    points: Tensor,
    *,
    centre: float = 0.0,
    one_sided: bool = False,
    weight: Callable[[Tensor], Tensor] | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    """w(D(x)) (|∇D(x)| - c)² at given points, differentiable in the parameters of the critic.

    The gradient is that of the sum of all logits, so no sample may influence the logit of another:
    a critic that reads what a batch has in common holds that fixed here (:mod:`pcgen.nn.critic`).

    Args:
        critic: Maps points to logits [B] or [B, 1].
        points: Where the gradient is taken [B, ...]; with ``ptr``, rows of clouds [N, C].
        centre: c, the norm that costs nothing.
        one_sided: Smaller norms cost nothing either.
        weight: w, a function of the logits [B]; None: 1. The gradient flows through it.
        ptr: First row of each cloud [B+1], for a critic of clouds; the norm is over a cloud.

    Returns:
        [B].

    Raises:
        ArgumentError: the critic does not give one logit to each sample.

    >>> gradient_penalty(lambda x: x @ torch.tensor([3.0, 4.0]), torch.zeros(1, 2), centre=1.0)
    tensor([16.])
    """
    number = len(points) if ptr is None else len(ptr) - 1
    with torch.enable_grad():
        points = points.detach().requires_grad_(True)
        logits = critic(points)
        if logits.numel() != number:
            raise ArgumentError(f"critic: got logits {tuple(logits.shape)}, expected ({number},)")
        (gradient,) = torch.autograd.grad(
            logits.sum(), points, create_graph=True, materialize_grads=True
        )
        square = gradient.square()
        square = square.flatten(1).sum(1) if ptr is None else segment_sum(square.sum(1), ptr)
        distance = square
        if centre != 0.0:
            beyond = _root(square) - centre
            distance = (torch.relu(beyond) if one_sided else beyond).square()
        return distance if weight is None else weight(logits.reshape(number)) * distance


def _root(square: Tensor) -> Tensor:
    """Square root whose derivative at 0 is 0, so that no infinity meets a zero."""
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)


def r1(
    critic: Critic,
    real: Tensor,
    generated: Tensor,
    *,
    generator: torch.Generator | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    """|∇D|² at real samples [B, ...] -> [B]."""
    return gradient_penalty(critic, real, ptr=ptr)


def r2(
    critic: Critic,
    real: Tensor,
    generated: Tensor,
    *,
    generator: torch.Generator | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    """|∇D|² at generated samples [B, ...] -> [B]."""
    return gradient_penalty(critic, generated, ptr=ptr)


def r1_r2(
    critic: Critic,
    real: Tensor,
    generated: Tensor,
    *,
    generator: torch.Generator | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    """Sum of :func:`r1` and :func:`r2` [B]."""
    return gradient_penalty(critic, real, ptr=ptr) + gradient_penalty(critic, generated, ptr=ptr)


def finite_r1_r2(
    critic: Critic,
    real: Tensor,
    generated: Tensor,
    *,
    generator: torch.Generator | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    r""":func:`r1_r2` by differences [B], without a derivative of a derivative.

    .. math:: (D(x + \delta \epsilon) - D(x))^2 / \delta^2, \qquad \epsilon \sim N(0, 1),

    whose mean over ε is |∇D|² up to terms of order δ² (Lin et al., arXiv 2511.22475).
    """
    total = real.new_zeros(())
    for side in (real, generated):
        points = side.detach()
        away = points + STEP * normal(tuple(points.shape), points, generator)
        total = total + ((critic(away) - critic(points)).flatten() / STEP).square()
    return total


def roth(
    critic: Critic,
    real: Tensor,
    generated: Tensor,
    *,
    generator: torch.Generator | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    """(1 - σ(D))² |∇D|² at real samples plus σ(D)² |∇D|² at generated ones [B]."""
    at_real = gradient_penalty(
        critic, real, weight=lambda logit: torch.sigmoid(-logit).square(), ptr=ptr
    )
    at_generated = gradient_penalty(
        critic, generated, weight=lambda logit: torch.sigmoid(logit).square(), ptr=ptr
    )
    return at_real + at_generated


def wgan_gp(
    critic: Critic,
    real: Tensor,
    generated: Tensor,
    *,
    generator: torch.Generator | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    """(|∇D| - 1)² at random places between pairs of real and generated samples [B].

    Args:
        critic: Maps samples [B, ...] to logits.
        real: [B, ...].
        generated: [B, ...], of the same shape.
        generator: Draws the places.
        ptr: None; the points of two sets have no order in which to be paired.

    Raises:
        ArgumentError: the shapes differ, or the samples are ragged.
    """
    _refuse_sets(ptr)
    return gradient_penalty(critic, between(real, generated, generator=generator), centre=1.0)


def wgan_lp(
    critic: Critic,
    real: Tensor,
    generated: Tensor,
    *,
    generator: torch.Generator | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    """max(0, |∇D| - 1)² at the places of :func:`wgan_gp` [B], which has the same arguments.

    Raises:
        ArgumentError: the shapes differ, or the samples are ragged.
    """
    _refuse_sets(ptr)
    places = between(real, generated, generator=generator)
    return gradient_penalty(critic, places, centre=1.0, one_sided=True)


def dragan(
    critic: Critic,
    real: Tensor,
    generated: Tensor,
    *,
    generator: torch.Generator | None = None,
    ptr: Tensor | None = None,
) -> Tensor:
    """(|∇D| - 1)² near real samples [B]: at x + s ε / 2, s their spread and ε standard normal.

    On clouds each point is moved.
    """
    away = 0.5 * spread(real) * normal(tuple(real.shape), real, generator)
    return gradient_penalty(critic, real.detach() + away, centre=1.0, ptr=ptr)


def spread(values: Tensor) -> Tensor:
    """Root of the variance of all values about the mean of each column, a scalar; 1 of equal ones.

    A penalty of D(s u) in u = x / s is the same for events in any unit:

    >>> spread(torch.tensor([[0.0, 0.0], [2.0, 4.0]])) ** 2
    tensor(2.5000)
    """
    if not values.numel():
        return values.new_ones(())
    variance = values.detach().flatten(1).var(0, unbiased=False).mean()
    return torch.where(variance > 0, variance, 1.0).sqrt()


@torch.no_grad()
def clip(module: nn.Module, bound: float) -> None:
    """Put every parameter of a critic into [-bound, bound], in place: a step of the optimiser.

    Its slope is then bounded by a number that depends on the architecture alone.
    """
    for parameter in module.parameters():
        parameter.clamp_(-bound, bound)


def _refuse_sets(ptr: Tensor | None) -> None:
    if ptr is not None:
        raise ArgumentError(
            "ptr: got point sets, expected none: there is no in between of two sets"
        )


def between(x: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """A uniformly drawn place on the line from each x to its y [B, ...].

    Raises:
        ArgumentError: the shapes differ.
    """
    if x.shape != y.shape:
        raise ArgumentError(f"between: got {tuple(x.shape)} and {tuple(y.shape)}, expected equal")
    shape = (len(x), *[1] * (x.dim() - 1))
    return torch.lerp(y, x, uniform(shape, x, generator))
