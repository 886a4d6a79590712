r"""Corruption of point sets, :math:`\tilde X \sim C(\tilde X \mid X)`, for networks that undo it.

Of the events as networks take them, whose channels have a standard deviation of about 1:

* each point is dropped with probability ``drop``;
* the others are moved by normal noise of standard deviation ``jitter`` in each channel;
* for each point of the event a new one is added with probability ``add``, standard normal in each
  channel, wherever the points of the event are.

A generative stochastic network learns :math:`P(X \mid \tilde X)`, and its chain visits every cloud
that C reaches (Bengio et al., "Deep generative stochastic networks trainable by backprop", arXiv
1306.1091, whose corruption of pixels is salt-and-pepper noise).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, at_least
from pcgen.ops.drawing import normal, uniform


@dataclass(frozen=True)
class SetCorruption:
    """Drop points, add points and move points.

    Attributes:
        drop: Probability that a point is dropped.
        add: Probability, for each point, that one is added to its cloud.
        jitter: Standard deviation by which points are moved.

    Raises:
        ArgumentError: a probability is not in [0, 1], or ``jitter`` is negative.

    >>> clouds = cl.make(torch.zeros(4, 2), [4, 0])
    >>> SetCorruption(drop=1.0, add=1.0, jitter=0.0)(clouds).ptr.tolist()
    [0, 4, 4]
    """

    drop: float = 0.2
    add: float = 0.2
    jitter: float = 0.5

    def __post_init__(self) -> None:
        for name in ("drop", "add"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ArgumentError(
                    f"{name}: got {getattr(self, name)}, expected a probability from 0 to 1"
                )
        at_least(0, jitter=self.jitter)

    def __call__(self, event: Batch, generator: torch.Generator | None = None) -> Batch:
        """The corrupted clouds, with ``pos``, ``x`` and ``y``; their order of points is another.

        Args:
            event: Standardised clouds.
            generator: Source of all randomness.
        """
        values = event.pos if event.get("x") is None else torch.cat([event.pos, event.x], 1)
        shape, rows = tuple(values.shape), (len(values),)
        stays = uniform(rows, values, generator) >= self.drop
        moved = values + self.jitter * normal(shape, values, generator)
        joins = uniform(rows, values, generator) < self.add
        added = normal(shape, values, generator)
        points = torch.cat([moved[stays], added[joins]])
        owner = torch.cat([event.batch[stays], event.batch[joins]])
        order = owner.argsort(stable=True)
        axes = event.pos.shape[1]
        pos, x = points[order, :axes], points[order, axes:]
        return cl.make(
            pos,
            torch.bincount(owner, minlength=event.num_graphs),
            x=x if x.shape[1] else None,
            y=event.get("y"),
        )
