"""Divergences between distributions of codes, one value per cloud."""

from __future__ import annotations

import torch
from torch import Tensor


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
