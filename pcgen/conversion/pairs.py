"""Pairs in one file: the contexts of another file, put beside the events that are converted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch_geometric.data import Batch

from pcgen import io
from pcgen.clouds import concat, replace
from pcgen.conversion.blocks import CELLS
from pcgen.conversion.meaning import number_of_cells
from pcgen.conversion.writing import Target
from pcgen.datasets.contexts import Agreement, CellClouds, check_pairs, open_contexts
from pcgen.datasets.voxel_clouds import VoxelClouds
from pcgen.errors import ArgumentError

_FACTS = "context_attrs"
"""What a file of pairs calls the facts that the file of the contexts states."""


@dataclass(frozen=True)
class Contexts:
    """The contexts of all events of a file; made by :func:`contexts_of`.

    Attributes:
        source: Open, with as many events.
        agreement: What both files state of their events.
    """

    source: io.CloudSource
    agreement: Agreement

    def beside(self, clouds: Batch, first: int) -> Batch:
        """A block of events that begins with event ``first``, with their contexts.

        Raises:
            DataError: events and contexts state different things.
        """
        stop, most = first + clouds.num_graphs, max(CELLS // self._cells, 1)
        parts = (self.source.read(k, min(k + most, stop)) for k in range(first, stop, most))
        others = concat(parts)
        self.agreement.check(clouds, others, first=first)
        return replace(clouds, context=others)

    @property
    def _cells(self) -> int:
        """Number of cells that are read for the cloud of an event; 1 where clouds are stored."""
        if not isinstance(self.source, CellClouds | VoxelClouds):
            return 1
        return number_of_cells(self.source.source, None)


@contextmanager
def contexts_of(
    path: str | Path | None, target: Target, source: io.CloudSource | io.ImageSource
) -> Iterator[Contexts | None]:
    """Open the contexts of all events of a file.

    Args:
        path: File of clouds, of showers or of images; of pairs, whose contexts are taken; None:
            there is none.
        target: What is written.
        source: The events.

    Raises:
        ArgumentError: the events have contexts already.
        DataError: there are not as many contexts as events.
        FileError: the file cannot be read, or holds images on unknown cells.
    """
    if path is None:
        yield None
        return
    if isinstance(source, io.CloudSource) and source.context_schema is not None:
        raise ArgumentError(
            f"context: got {path}, but the events of {source.path} have contexts already, expected "
            "none; --part events takes the events alone"
        )
    with open_contexts(path) as others:
        check_pairs([source], [others])
        yield Contexts(others, Agreement(target.schema, others.schema, path))


def paired(
    target: Target, source: io.CloudSource | io.ImageSource, contexts: Contexts | None = None
) -> Target:
    """The target with what its contexts mean and what else is known of them.

    Args:
        target: What is written; only pcgen's own files of clouds hold contexts.
        source: The events, perhaps with contexts.
        contexts: From another file; None: those of the events.
    """
    facts = {name: value for name, value in target.attrs.items() if name != _FACTS}
    if contexts is not None:
        facts[_FACTS] = contexts.source.attrs
        return target._replace(attrs=facts, context_schema=contexts.source.schema)
    own = source.context_schema if isinstance(source, io.CloudSource) else None
    if own is not None and target.format == "clouds":
        return target._replace(context_schema=own)
    return target._replace(attrs=facts)
