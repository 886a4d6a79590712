"""Laws that are kept as a sample of the training events: what they have in common.

A sample of S events is kept, in buffers that have a row for each, none before something is fitted.
To draw is to pick one of the k stored events nearest to what is requested.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.schema import Schema

_PAIRS = 2**24  # queries times stored events that are compared at a time: bounds the memory


class Stored(nn.Module, ABC):
    """A law kept as a sample of events of one schema; abstract.

    Args:
        schema: States whether events have ``y`` and ``label``, and how many columns and classes.
    """

    stored: Tensor
    sizes: Tensor
    total: Tensor
    y: Tensor
    label: Tensor

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema
        self.register_buffer("stored", torch.zeros((), dtype=torch.long))
        self.register_buffer("sizes", torch.zeros(0, dtype=torch.long))
        self.register_buffer("total", torch.zeros(0))
        self.register_buffer("y", torch.zeros(0, len(schema.condition)))
        self.register_buffer("label", torch.zeros(0, dtype=torch.long))

    @property
    def growing(self) -> tuple[str, ...]:
        """Names of the buffers with a row for each event."""
        return ("sizes", "total", "y", "label")

    @property
    def condition_range(self) -> tuple[Tensor, Tensor] | None:
        """Smallest and largest y of the stored events [C]; None before they are fitted."""
        if not self.stored or not self.schema.condition:
            return None
        low, high = self.y[: int(self.stored)].aminmax(dim=0)
        return low, high

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the stored events."""
        if not self.schema.labels:
            return ()
        return tuple(self.schema.labels[int(k)] for k in self.label[: int(self.stored)].unique())

    def keep(self, values: Iterable[Tensor]) -> None:
        """Store the rows of events, in the order of :attr:`growing`."""
        rows = list(values)
        self._grow(len(rows[0]))
        for name, value in zip(self.growing, rows, strict=True):
            getattr(self, name).copy_(value)
        self.stored.fill_(len(rows[0]))

    @torch.no_grad()
    def thin(self, number: int) -> None:
        """Keep so many of the stored events, drawn at random, always the same ones.

        What was fitted to all of them stays.
        """
        stored = int(self.stored)
        if number < stored:
            chosen = torch.randperm(stored, generator=torch.Generator().manual_seed(0))[:number]
            chosen = chosen.sort().values.to(self.sizes.device)
            self.keep([getattr(self, name)[chosen] for name in self.growing])

    def check_fitted(self, label: Tensor | None) -> None:
        """Refuse to draw before something was fitted, or a class that was not there.

        Raises:
            ArgumentError: naming the class.
        """
        if not self.stored:
            raise ArgumentError("model: nothing was fitted, expected a trained one")
        if label is None:
            return
        seen = self.label[: int(self.stored)].unique()
        unknown = label[~torch.isin(label, seen)]
        if len(unknown):
            names, kind = self.schema.labels, int(unknown[0])
            name = repr(names[kind]) if 0 <= kind < len(names) else str(kind)
            raise ArgumentError(
                f"label: got {name}, expected a class of the training split: "
                f"{', '.join(self.classes)}"
            )

    def nearest(
        self, ask: Tensor, have: Tensor, label: Tensor | None, chance: Tensor, neighbours: int
    ) -> Tensor:
        """A stored event for each request [B], one of the nearest, of the same class.

        Args:
            ask: What is requested [B, K].
            have: The same of the stored events [S, K]; without columns all are as near.
            label: Class of each request [B]; None: any.
            chance: Uniform numbers in [0, 1) [B].
            neighbours: How many are near.
        """
        row = self.sizes.new_empty(len(ask))
        for wanted, known in self._of_each_class(label, len(ask)):
            for some in wanted.split(max(_PAIRS // len(known), 1)):
                found = _one_of_nearest(ask[some], have[known], chance[some], neighbours)
                row[some] = known[found]
        return row

    def _of_each_class(self, label: Tensor | None, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Requests of one class and the stored events of that class; all where none is given."""
        stored = torch.arange(int(self.stored), device=self.sizes.device)
        if label is None:
            yield torch.arange(number, device=stored.device), stored
            return
        for kind in label.unique():
            yield (label == kind).nonzero().flatten(), stored[self.label[: len(stored)] == kind]

    def _grow(self, number: int) -> None:
        """Give the buffers of events so many rows, all of them zero."""
        for name in self.growing:
            buffer = getattr(self, name)
            setattr(self, name, buffer.new_zeros(number, *buffer.shape[1:]))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: Any, strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        sizes, stored = (state_dict.get(prefix + name) for name in ("sizes", "stored"))
        if isinstance(sizes, Tensor) and sizes.dim() == 1:
            self._grow(len(sizes))
            # Earlier versions kept more rows than clouds, never fewer.
            if isinstance(stored, Tensor) and not 0 <= int(stored.flatten()[0]) <= len(sizes):
                error_msgs.append(f"{prefix}stored is not a number of the {len(sizes)} rows")
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def reservoir(blocks: Iterable[list[Tensor]], capacity: int, seed: int) -> list[Tensor]:
    """A uniform random sample of rows that come block by block; none where there are none.

    Args:
        blocks: Columns of each block, rows first.
        capacity: Most rows that stay.
        seed: Of the choice.
    """
    generator, kept = torch.Generator().manual_seed(seed), list[Tensor]()
    for rows in blocks:
        # Each row has a random key and the smallest stay, block by block.
        key = torch.rand(len(rows[0]), generator=generator, dtype=torch.float64)
        rows = [key.to(rows[0].device), *rows]
        kept = [torch.cat(pair) for pair in zip(kept, rows, strict=True)] if kept else rows
        if len(kept[0]) > capacity:
            smallest = kept[0].topk(capacity, largest=False).indices
            kept = [value[smallest] for value in kept]
    return kept[1:]


def _one_of_nearest(ask: Tensor, have: Tensor, chance: Tensor, neighbours: int) -> Tensor:
    """The row of ``have`` for each of ``ask``, by a number that is uniform on [0, 1)."""
    if not have.shape[1]:
        return (chance * len(have)).long().clamp(max=len(have) - 1)
    distance = torch.cdist(ask, have, compute_mode="donot_use_mm_for_euclid_dist")
    return pick_near(distance, chance, neighbours)


def spread_of(have: Tensor) -> Tensor:
    """Standard deviation of each column of the stored clouds [C]; 1 where they do not differ."""
    scale = (have - have.mean(0)).square().mean(0).sqrt()
    return torch.where(scale > 0, scale, 1.0)


def pick_near(distance: Tensor, chance: Tensor, neighbours: int) -> Tensor:
    """For each of B queries one of the nearest of S stored clouds, all with the same chance.

    As many as there are at a finite distance, and all of them where ties make them more than those.

    Args:
        distance: [B, S]; infinite where a cloud is not to be taken.
        chance: Uniform numbers in [0, 1) [B].
        neighbours: Number of nearest clouds.

    Returns:
        Columns of ``distance`` [B]; 0 where all distances are infinite.

    >>> pick_near(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0.9]), 2).tolist()
    [2]
    """
    k = min(neighbours, distance.shape[1])
    radius = distance.topk(k, dim=1, largest=False).values[:, -1:]
    near = (distance <= radius) & distance.isfinite()
    found = near.sum(1)
    which = (chance * found).long().minimum(found - 1)
    return (near.long().cumsum(1) <= which[:, None]).sum(1)
