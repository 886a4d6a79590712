r"""Modes of a known mixture: how many of them samples reach, and how evenly.

A sample is of *high quality* if it lies within three standard deviations of the nearest mode, and a
mode is *covered* if it is nearest to at least one such sample (VEEGAN, arXiv 1705.07761,
which counts so on 2,500 samples). The evenness is the reverse Kullback-Leibler divergence

    KL(Q ‖ P) = Σ_k q_k log(q_k / p_k)

of the fractions q_k of all samples nearest to each mode from the modes' weights p_k (PacGAN, arXiv
1712.04086), in nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.stats import chi2
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.metrics.samples import check_rows


@dataclass(frozen=True)
class ModeCount:
    """Modes that samples reach.

    Attributes:
        covered: Modes with enough samples of high quality.
        modes: Modes of the mixture.
        quality: Fraction of the samples that are of high quality.
        expected: What ``quality`` is for the mixture itself (Gaussian modes far apart).
        reverse_kl: Divergence of the samples' fractions from the modes' weights, in nats.
        floor: What it is on average for as many samples of the mixture: (modes - 1) / 2N.
        counts: Samples nearest to each mode.
    """

    covered: int
    modes: int
    quality: float
    expected: float
    reverse_kl: float
    floor: float
    counts: tuple[int, ...]


def mode_count(
    samples: Tensor,
    centres: Tensor,
    sigma: float,
    *,
    weights: Tensor | None = None,
    within: float = 3.0,
    least: int = 1,
) -> ModeCount:
    """Count the modes that samples reach.

    Args:
        samples: [N, D].
        centres: Means of the modes [K, D].
        sigma: Standard deviation of each mode along each axis.
        weights: Probability of each mode [K], > 0; None: all the same.
        within: Standard deviations from the nearest centre up to which a sample is of high quality.
        least: Samples of high quality that cover a mode.

    Raises:
        ArgumentError: shapes, ``sigma``, ``weights``, ``within`` or ``least`` do not fit.
        DataError: samples that are not finite, naming them.

    >>> found = mode_count(torch.tensor([[1.0, 0.01], [0.5, 0.0]]), ring(8), sigma=0.01)
    >>> found.covered, found.modes, found.quality
    (1, 8, 0.5)
    """
    samples, centres = check_rows(samples=samples, centres=centres)
    modes = len(centres)
    p = torch.ones(modes, dtype=torch.double) if weights is None else weights.double().cpu()
    if sigma <= 0 or within <= 0 or least < 1 or p.shape != (modes,) or not bool((p > 0).all()):
        raise ArgumentError(
            f"sigma, within, least, weights: got {sigma}, {within}, {least}, {tuple(p.shape)}, "
            f"expected positive numbers and [{modes}] of them"
        )
    # Differences, not the expansion of the square: modes may be narrow and far from 0.
    square = torch.stack([(samples - centre).square().sum(1) for centre in centres], 1)
    distance, mode = square.min(1)
    good = distance <= (within * sigma) ** 2
    counts = torch.bincount(mode, minlength=modes).cpu()
    hits = torch.bincount(mode[good], minlength=modes).cpu()
    q, p = counts.double() / len(samples), p / p.sum()
    return ModeCount(
        covered=int((hits >= least).sum()),
        modes=modes,
        quality=good.double().mean().item(),
        expected=float(chi2.cdf(within**2, samples.shape[1])),
        reverse_kl=torch.xlogy(q, q / p).sum().clamp(min=0.0).item(),
        floor=(modes - 1) / (2 * len(samples)),
        counts=tuple(counts.tolist()),
    )


def ring(modes: int = 8, radius: float = 1.0, dimensions: int = 2) -> Tensor:
    """Centres on a circle in the first two of D dimensions [K, D] (VEEGAN: 8, with sigma 0.01)."""
    if modes < 1 or dimensions < 2:
        raise ArgumentError(
            f"modes, dimensions: got {modes}, {dimensions}, expected 1 and 2 or more"
        )
    angle = torch.arange(modes, dtype=torch.double) * (2 * torch.pi / modes)
    centres = torch.zeros(modes, dimensions, dtype=torch.double)
    centres[:, 0], centres[:, 1] = radius * angle.cos(), radius * angle.sin()
    return centres


def square_grid(side: int = 5, spacing: float = 2.0) -> Tensor:
    """Centres on a square lattice around 0 [side², 2] (VEEGAN: 5 by 5, with sigma 0.05)."""
    if side < 1:
        raise ArgumentError(f"side: got {side}, expected at least 1")
    axis = (torch.arange(side, dtype=torch.double) - (side - 1) / 2) * spacing
    return torch.cartesian_prod(axis, axis)
