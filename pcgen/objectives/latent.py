r"""Divergences between distributions of codes: of a posterior from the prior, and of two samples.

*Kullback-Leibler*, of one normal posterior for each event; the VAE's.

*Maximum mean discrepancy* between all codes of a batch and as many of the prior,

.. math:: \mathrm{MMD}^2 = E\,k(x, x') + E\,k(y, y') - 2 E\,k(x, y),

the term of InfoVAE (Zhao, Song and Ermon, arXiv 1706.02262) and of the Wasserstein autoencoder
(Tolstikhin et al., arXiv 1711.01558), whose kernels have tails, so that codes far from the prior
still have a gradient: :math:`k(x, y) = \frac17 \sum_s \frac{C_s}{C_s + |x - y|^2}`,
:math:`C_s = 2 Z s`, s from 0.1 to 10.

*Sliced Wasserstein*, squared: the mean over random lines of the transport cost of the projections
(Kolouri et al., arXiv 1804.01947).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.sliced_transport import sliced

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""s of the kernels of :func:`mmd`, in units of the distance of two standard normal codes."""


def kl_normal(mean: Tensor, log_variance: Tensor, *, free_bits: float = 0.0) -> Tensor:
    r"""KL divergence of a diagonal normal from the standard one.

    .. math:: \tfrac12 \sum_d (\mu_d^2 + \sigma_d^2 - 1 - \log \sigma_d^2)

    Kingma and Welling, "Auto-encoding variational Bayes", arXiv 1312.6114, appendix B. Free bits
    (Kingma et al., arXiv 1606.04934, eq. 13): a dimension whose mean over the batch is at most
    ``free_bits`` counts ``free_bits``, and so has no gradient; the mean of the result is
    :math:`\sum_d \max(\lambda, \mathrm{mean}_b\,\mathrm{KL}_{bd})`.

    Args:
        mean: [B, Z].
        log_variance: [B, Z].
        free_bits: λ in nats per dimension; 0 is the plain divergence.

    Returns:
        [B], in nats.

    >>> kl_normal(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)).tolist()
    [2.5]
    """
    each = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
    if free_bits > 0.0:
        each = torch.where(each.mean(0) > free_bits, each, free_bits)
    return each.sum(1)


def mmd(x: Tensor, y: Tensor, *, unbiased: bool = True) -> Tensor:
    """Squared maximum mean discrepancy between two sets of codes, a scalar.

    Args:
        x: Codes [N, Z].
        y: Codes [M, Z].
        unbiased: Leave out the kernel of a code with itself (Gretton et al., JMLR 13 (2012) 723,
            lemma 6), so that the mean over samples of one distribution is 0; single values may be
            negative. Otherwise it is 0 for equal sets and positive for others.

    Raises:
        ArgumentError: columns differ, or there are fewer than two codes (unbiased) or none.

    >>> x = torch.tensor([[0.0], [1.0]])
    >>> mmd(x, x, unbiased=False).item()
    0.0
    """
    least = 2 if unbiased else 1
    if x.dim() != 2 or y.dim() != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < least:
        raise ArgumentError(
            f"mmd: got codes {tuple(x.shape)} and {tuple(y.shape)}, expected [N, Z] and [M, Z] "
            f"with N and M at least {least}"
        )
    return _mean_kernel(x, unbiased) + _mean_kernel(y, unbiased) - 2.0 * _kernel(x, y).mean()


def sliced_wasserstein(
    x: Tensor, y: Tensor, *, projections: int = 64, generator: torch.Generator | None = None
) -> Tensor:
    """Squared sliced Wasserstein distance between two sets of codes, a scalar.

    Args:
        x: Codes [N, Z].
        y: Codes [M, Z].
        projections: Number of random lines.
        generator: Draws them.

    Raises:
        ArgumentError: columns differ.
        DataError: there are no codes on a side.

    >>> x = torch.tensor([[0.0], [1.0]])
    >>> sliced_wasserstein(x, x + 2).item()
    4.0
    """
    return sliced(x, y, p=2, projections=projections, generator=generator)[0]


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """Kernel of all pairs [N, M]."""
    # No matrix product: autocast would round the distances.
    distance = (x[:, None] - y[None]).square().sum(2)
    scale = 2.0 * x.shape[1]
    return sum((scale * s / (scale * s + distance) for s in SCALES), 0.0 * distance) / len(SCALES)


def _mean_kernel(x: Tensor, unbiased: bool) -> Tensor:
    """Mean kernel within a set; k(x, x) = 1."""
    total, number = _kernel(x, x).sum(), len(x)
    if unbiased:
        return (total - number) / (number * (number - 1))
    return total / number**2
