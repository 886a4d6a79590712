r"""Which entries of a sparse vector are not zero, as a classification of several labels.

.. math:: L = -\frac{1}{|S|} \sum_{i \in S} \log \mathrm{softmax}(l)_i

with the logits l and the support S (Xin et al., arXiv 1605.01636, section 5): amplitudes, which a
squared error would spend itself on, follow from the support by least squares.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def support_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy of the support [B]; 0 where it is empty.

    Args:
        logits: [B, n].
        truth: Vectors [B, n], whose entries that are not zero are the support.
    """
    wanted = (truth != 0).to(logits)
    share = wanted / wanted.sum(1, keepdim=True).clamp(min=1)
    return -(share * logits.log_softmax(1)).sum(1)


class Recovered(NamedTuple):
    """How much of a support is recovered by as many entries as it has.

    Attributes:
        exact: Share of the vectors whose support is recovered as a whole.
        hits: Share of the entries that are recovered.
    """

    exact: float
    hits: float


@torch.no_grad()
def recovered(scores: Tensor, truth: Tensor) -> Recovered:
    """Compare supports with the entries of largest scores.

    Args:
        scores: Logits, or magnitudes of an answer [B, n].
        truth: Vectors [B, n] of equally many entries that are not zero.

    >>> truth = torch.tensor([[1.0, 0.0, -2.0], [0.0, 1.0, 1.0]])
    >>> recovered(torch.tensor([[5.0, 1.0, 4.0], [5.0, 1.0, 4.0]]), truth)
    Recovered(exact=0.5, hits=0.75)
    """
    wanted = truth != 0
    number = int(wanted.sum(1).max()) if len(truth) else 0
    best = scores.topk(number, dim=1).indices
    right = wanted.gather(1, best).sum(1)
    total = wanted.sum(1)
    exact = float((right == total).double().mean())
    return Recovered(exact, float(right.sum() / total.sum().clamp(min=1)))
