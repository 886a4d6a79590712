r"""Which noise goes to which point: the pairs of a flow, event by event.

Independent pairs make trajectories cross, and a field that sees only the crossing bends. Within an
event the order of the noise is free: permuting it leaves the law of the noise as it is, given any
condition. The permutation that minimises

.. math:: \sum_i |x_1^{(i)} - x_0^{(\pi(i))}|^2

makes trajectories short and nearly straight (Song et al., "Equivariant flow matching with hybrid
probability transport", arXiv 2312.07168; Klein et al., arXiv 2306.15030). Optimal transport between
events, in contrast, changes the law of the noise given the condition.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.ragged import owners
from pcgen.ops.transport import earth_mover

EXACT_UP_TO = 64
"""Points of an event up to which the optimum is found; beyond, its cost outgrows a step."""


def optimal_pairs(noise: Tensor, data: Tensor, ptr: Tensor) -> Tensor:
    """Rows of the noise, one for each row of the data, event by event.

    The optimum for events of up to :data:`EXACT_UP_TO` points. Larger events are paired by the rank
    of their last column, which is the optimum in that column alone.

    Args:
        noise: x_0 [N, C].
        data: x_1 [N, C].
        ptr: First row of each event and N [B+1].

    Returns:
        A permutation [N] within events: ``noise[rows]`` goes to ``data``.

    Raises:
        ArgumentError: the shapes differ.

    >>> noise, data = torch.tensor([[5.0], [0.0]]), torch.tensor([[1.0], [4.0]])
    >>> optimal_pairs(noise, data, torch.tensor([0, 2])).tolist()
    [1, 0]
    """
    if noise.shape != data.shape:
        raise ArgumentError(f"noise: got {tuple(noise.shape)}, expected {tuple(data.shape)}")
    sizes, batch = ptr.diff(), owners(ptr, len(data))
    rows = torch.empty(len(data), dtype=torch.long, device=data.device)
    rows[_by_rank(data[:, -1], batch)] = _by_rank(noise[:, -1], batch)
    small = (sizes <= EXACT_UP_TO)[batch].nonzero().flatten()
    if len(small):
        inner = sizes[sizes <= EXACT_UP_TO]
        inner = torch.cat([inner.new_zeros(1), inner.cumsum(0)])
        x, y = noise.detach()[small], data.detach()[small]
        flow = earth_mover(x, y, inner, inner, p=2, solver="exact").flow
        rows[small[flow.target]] = small[flow.source]
    return rows


def _by_rank(value: Tensor, batch: Tensor) -> Tensor:
    """Rows of all events, those of each event from its smallest value to its largest."""
    order = value.detach().argsort(stable=True)
    return order[batch[order].argsort(stable=True)]
