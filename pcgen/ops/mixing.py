r"""How fast a Markov chain forgets: autocorrelations of an observable along it.

For an observable :math:`f_t` of a stationary chain with autocorrelations :math:`\rho(t)`, the mean
of T states has the variance of :math:`T / \tau` independent ones, with the integrated
autocorrelation time

.. math:: \tau = 1 + 2 \sum_{t=1}^{M} \rho(t),

summed up to the first :math:`M \ge 5 \tau(M)`, so that the noise of large t stays out (Madras and
Sokal, J. Stat. Phys. 50, 1988), and multiplied by :math:`1 + (2 M + 1) / T`, which cancels the bias
of a mean that is estimated from the same T states (Wolff, Comput. Phys. Commun. 156, 2004).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError

WINDOW = 5.0
"""The sum goes up to so many times itself."""
LENGTHS = 20.0
"""A chain has to be so many times as long as τ, for its own mean to be known."""


def autocorrelation(series: Tensor) -> Tensor:
    """Correlation of an observable with itself t steps later [T], t = 0 to T - 1.

    Deviations are from the mean of each chain, since chains may have laws of their own; products
    are averaged over all pairs of all chains. 1 at all t where the observable does not vary: such a
    chain never leaves its value.

    Args:
        series: Values along B independent chains of T steps [T, B], float.

    Raises:
        ArgumentError: it is not [T, B] with T and B at least 1, or not finite.

    >>> autocorrelation(torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])).round()
    tensor([ 1., -1.,  1., -1.], dtype=torch.float64)
    """
    if series.dim() != 2 or not series.numel() or not bool(series.isfinite().all()):
        raise ArgumentError(
            f"series: got {tuple(series.shape)}, expected finite numbers [T, B], at least one"
        )
    value = series.double()
    size, value = value.abs().mean(), value - value.mean(0)
    length = len(value)
    spectrum = torch.fft.rfft(value, 2 * length, dim=0)
    products = torch.fft.irfft(spectrum.abs().square(), 2 * length, dim=0)[:length].sum(1)
    pairs = torch.arange(length, 0, -1, dtype=value.dtype, device=value.device) * value.shape[1]
    covariance = products / pairs
    # The spread of a constant is rounding, that of numbers in float32 too.
    if float(covariance[0]) <= float(1e-6 * size) ** 2:
        return torch.ones_like(covariance)
    return covariance / covariance[0]


def autocorrelation_time(series: Tensor) -> float:
    """τ in steps, 1 for independent states; infinite where the chain is too short to tell.

    That is where it is not :data:`LENGTHS` times as long as τ.

    Args:
        series: Values along B independent chains of T steps [T, B], float.

    >>> autocorrelation_time(torch.tensor([[1.0], [0.0]]).repeat(50, 4)) < 1.0  # values alternate
    True
    """
    rho = autocorrelation(series)
    time = 2 * rho.cumsum(0) - 1
    lag = torch.arange(len(rho), dtype=rho.dtype, device=rho.device)
    enough = (lag >= WINDOW * time) & (lag > 0)
    if not bool(enough.any()):
        return float("inf")
    window = int(enough.nonzero()[0])
    found = float(time[window]) * (1 + (2 * window + 1) / len(rho))
    return found if LENGTHS * found <= len(rho) else float("inf")
