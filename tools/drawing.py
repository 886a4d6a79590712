"""Events drawn in blocks, by this process, by several, or on a cluster; always the same ones."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcgen.tools.trained import trained

# Heavy modules are imported in the functions that use them: a worker starts soon.
if TYPE_CHECKING:
    import torch
    from torch_geometric.data import Batch

    from pcgen.cluster import Cluster
    from pcgen.models.base import GenerativeModel
    from pcgen.models.request import Request

_FIXED = ("sizes", "y", "label")
"""What a request may fix of each event."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where events are drawn from: what a process needs to make the model for itself."""

    checkpoint: str
    recipe: str | None
    device: str
    threads: int
    solver: tuple[tuple[str, Any], ...]

    @functools.cached_property
    def model(self) -> GenerativeModel:
        """Made once, and never sent to another process."""
        return trained(self.checkpoint, self.recipe, self.device, **dict(self.solver))

    def __reduce__(self) -> tuple[Any, ...]:
        path = str(Path(self.checkpoint).absolute())  # workers may be in another folder
        return Origin, (path, self.recipe, self.device, self.threads, self.solver)


def drawn_blocks(
    source: Origin, request: Request, size: int, seed: int, workers: Cluster | int
) -> Generator[tuple[Batch, float], None, None]:
    """The clouds of each block, in order, and the seconds that drawing them took.

    They are drawn by this process (``workers`` is 1), by so many, or on a cluster.
    """
    import torch

    from pcgen import clouds as convention
    from pcgen.datasets.workers import in_order
    from pcgen.models.blocks import block_generator, part, ranges

    parts = (part(request, rows) for rows in ranges(request.number, size))
    if workers == 1:
        for block, each in enumerate(parts):
            yield timed(source.model, each, block_generator(seed, block))
        return
    calls = ((_arrays(each), seed, block) for block, each in enumerate(parts))
    if isinstance(workers, int):
        results = in_order(_block, calls, workers, shared=(source,))
    else:
        results = workers.in_order(_block, calls, shared=(source,), threads=source.threads)
    with closing(results):
        for values, sizes, spent in results:
            given = {name: torch.from_numpy(value) for name, value in values.items()}
            yield convention.make(given.pop("pos"), torch.from_numpy(sizes), **given), spent


def _arrays(request: Request) -> dict[str, Any]:
    """As it is sent to a worker: tensors would go by file descriptors, of which there are few."""
    values = {name: getattr(request, name) for name in _FIXED}
    arrays = {n: None if v is None else v.clone().numpy() for n, v in values.items()}
    if request.context is None:
        return {"number": request.number, **arrays, "context": None}
    from pcgen import clouds as convention

    values = {n: v.clone().numpy() for n, v in convention.attributes(request.context).items()}
    values["sizes"] = convention.sizes(request.context).numpy()
    return {"number": request.number, **arrays, "context": values}


def _block(
    source: Origin, request: dict[str, Any], seed: int, block: int
) -> tuple[dict[str, Any], Any, float]:
    """One block, drawn in a worker: arrays of its attributes, and the sizes of its clouds."""
    import torch

    from pcgen import clouds as convention
    from pcgen.models.blocks import block_generator
    from pcgen.models.request import Request

    # As many threads as in the main process: sums of floats may depend on their number.
    torch.set_num_threads(source.threads)
    fixed = {n: None if request[n] is None else torch.tensor(request[n]) for n in _FIXED}
    context = None
    if request["context"] is not None:
        given = {n: torch.tensor(v) for n, v in request["context"].items()}
        context = convention.make(given.pop("pos"), given.pop("sizes"), **given)
    wanted = Request(request["number"], **fixed, context=context)
    clouds, spent = timed(source.model, wanted, block_generator(seed, block))
    arrays = {name: value.numpy() for name, value in convention.attributes(clouds).items()}
    return arrays, convention.sizes(clouds).numpy(), spent


def timed(
    model: GenerativeModel, request: Request, generator: torch.Generator
) -> tuple[Batch, float]:
    from pcgen.models.blocks import draw

    began = time.perf_counter()
    clouds = draw(model, request, generator)
    return clouds, time.perf_counter() - began
