"""Random batches by contiguous reads, a pure function of seed, step and rank.

One epoch e of n events in W processes (ranks):

1. the events, in the order of the file, are cut into stretches of consecutive ones; the stretches
   are drawn in a random order of (seed, e), and the sequence is dealt out in W equal shares;
2. a rank goes through its share in windows of some million points, each many stretches from all
   over the file, read contiguously stretch by stretch and shuffled in memory (where the events are
   in memory already their order alone is shuffled, and a few batches at a time are put together);
3. batches are consecutive pieces of the shuffled window; what does not fill a batch is left out
   (and is other events in the next epoch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError
from pcgen.ops.ragged import arange_ragged

WINDOW = 4_000_000  #: points of a window, about; 48 MB for jets
AHEAD = 200_000  #: points of a window where all events are in memory already, about
PASS = 512  #: events of a batch of a whole pass, at least: nothing is learnt from it, only counted
_STRETCHES = 64  # stretches in a window


class Clouds(Protocol):
    """What batches are drawn from: a data set that can be read by ranges and by numbers."""

    @property
    def in_memory(self) -> bool:
        """Whether ``gather`` is quick for events in any order."""

    def __len__(self) -> int: ...

    def sizes(self) -> Tensor: ...

    def gather(self, items: Tensor) -> Batch: ...


class Batches:
    """Batches of a data set: ``batches(step)`` is always the same batch, ``all()`` is one pass.

    Args:
        dataset: Where they come from.
        batch_size: Clouds in a batch (of one rank). A data set with fewer gives smaller batches.
        seed: Of the order.

    Raises:
        ArgumentError: the batch size is not positive or the seed negative.
    """

    def __init__(self, dataset: Clouds, batch_size: int, seed: int = 0) -> None:
        if batch_size < 1:
            raise ArgumentError(f"batch_size: got {batch_size}, expected a positive number")
        if seed < 0:
            raise ArgumentError(f"seed: got {seed}, expected 0 or more")
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        mean = max(float(dataset.sizes().double().mean()), 1.0) if len(dataset) else 1.0
        # A multiple of the batch size: no batch spans two windows.
        self._window_size = max(int(WINDOW / mean) // batch_size, 1) * batch_size
        self._ahead = max(int(AHEAD / mean) // batch_size, 1) * batch_size
        self._kept: dict[str, tuple[tuple[int, ...], Any]] = {}

    def per_epoch(self, world: int = 1) -> int:
        """Number of steps in which each rank of ``world`` goes once through its share.

        Raises:
            ArgumentError: there are fewer clouds than ranks.
        """
        share = len(self.dataset) // world
        if share == 0:
            raise ArgumentError(
                f"world: got {world} processes for {len(self.dataset)} clouds, "
                "expected at least one cloud for each"
            )
        return share // min(self.batch_size, share)

    def __call__(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """The batch of one step: the same at every call, whatever the order of the calls.

        Args:
            step: 0, 1, 2, ... without end.
            rank: Number of this process; the batches of different ranks are disjoint in an epoch.
            world: Number of processes.

        Raises:
            ArgumentError: the step is negative, or the rank is not below ``world``.
        """
        if step < 0 or not 0 <= rank < world:
            raise ArgumentError(
                f"step, rank, world: got {step}, {rank}, {world}, "
                "expected step >= 0 and 0 <= rank < world"
            )
        epoch, number = divmod(step, self.per_epoch(world))
        size = min(self.batch_size, len(self.dataset) // world)
        start = number * size
        read = self._ahead if self.dataset.in_memory else self._window_size
        number, offset = divmod(start, read)
        window = self._keep("window", self._read, epoch, rank, world, number * read, read)
        return convention.select(window, slice(offset, offset + size))

    def all(self) -> Iterator[Batch]:
        """One pass over the data set in its own order, in batches of at least :data:`PASS` events.

        The last batch of a window may be smaller.
        """
        size = max(self.batch_size, PASS)
        total = len(self.dataset)
        for start in range(0, total, self._window_size):
            items = torch.arange(start, min(start + self._window_size, total))
            window = self.dataset.gather(items)
            for first in range(0, len(items), size):
                yield convention.select(window, slice(first, first + size))

    def _keep(self, name: str, make: Callable[..., Any], *key: int) -> Any:
        """The value for this key, computed again only where the last key was another."""
        if name not in self._kept or self._kept[name][0] != key:
            self._kept.pop(name, None)  # two windows need not fit in memory
            self._kept[name] = (key, make(*key))
        return self._kept[name][1]

    def _read(self, epoch: int, rank: int, world: int, first: int, number: int) -> Batch:
        """So many events of a rank from the first on, shuffled."""
        order = self._keep("order", self._draw, epoch, rank, world)
        return self.dataset.gather(order[first : first + number])

    def _draw(self, epoch: int, rank: int, world: int) -> Tensor:
        """Numbers of the events of one rank in one epoch, in the order of its batches."""
        total = len(self.dataset)
        stretch = max(self._window_size // _STRETCHES, 1)
        starts = np.arange(0, total, stretch)
        np.random.default_rng((self.seed, epoch)).shuffle(starts)
        lengths = np.minimum(starts + stretch, total) - starts
        sequence = arange_ragged(torch.from_numpy(starts), torch.from_numpy(lengths))
        share = total // world
        order = sequence[rank * share : (rank + 1) * share].numpy()
        random = np.random.default_rng((self.seed, epoch, rank, 1))
        for first in range(0, share, self._window_size):
            random.shuffle(order[first : first + self._window_size])
        return torch.from_numpy(order)
