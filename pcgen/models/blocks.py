"""Clouds drawn in blocks, so that memory does not grow with their number.

A block is drawn from random numbers of its own, a function of the seed and of the number of the
block alone: several processes give the same clouds as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel
from pcgen.models.request import Request


def like(clouds: Batch) -> Request:
    """A request for clouds of the conditions and classes of others, one by one; sizes are free.

    The contexts of the others are those of the request.
    """
    context = cl.context(clouds)
    return Request(clouds.num_graphs, None, clouds.get("y"), clouds.get("label"), context)


def ranges(number: int, size: int) -> Iterator[slice]:
    """Consecutive ranges of ``size`` that cover ``number``; the last one may be shorter.

    Raises:
        ArgumentError: the size is not positive.

    >>> list(ranges(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if size < 1:
        raise ArgumentError(f"block: got {size}, expected a positive number of clouds")
    for start in range(0, number, size):
        yield slice(start, min(start + size, number))


def part(request: Request, rows: slice) -> Request:
    """The request for some of the clouds."""
    fixed = (request.sizes, request.y, request.label)
    context = None if request.context is None else cl.part(request.context, rows)
    sizes, y, label = (None if v is None else v[rows] for v in fixed)
    return Request(rows.stop - rows.start, sizes, y, label, context)


def draw(model: GenerativeModel, request: Request, generator: torch.Generator) -> Batch:
    """The clouds of a request, drawn at once, on the CPU."""
    fixed = {name: value for name, value in request._asdict().items() if value is not None}
    return model.sample(**fixed, generator=generator).to("cpu")


def sample_in_blocks(
    model: GenerativeModel,
    request: Request,
    size: int,
    generators: Callable[[int], torch.Generator],
) -> Iterator[Batch]:
    """The clouds of a request, ``size`` at a time, on the CPU.

    Args:
        model: Trained.
        request: Tensors of one length B.
        size: Clouds of a block.
        generators: Source of randomness of each block by its number: :func:`block_generator` of a
            seed, or the same one for all.

    Raises:
        ArgumentError: the size is not positive, or the model cannot draw what is requested.
    """
    for block, rows in enumerate(ranges(request.number, size)):
        yield draw(model, part(request, rows), generators(block))


def block_generator(seed: int, block: int) -> torch.Generator:
    """Random numbers of one block of a sample.

    Those of the first block are those of the seed, so that a sample of a single block is what
    ``model.sample`` draws with ``torch.Generator().manual_seed(seed)``.

    Raises:
        ArgumentError: the seed is negative.
    """
    if seed < 0:
        raise ArgumentError(f"seed: got {seed}, expected 0 or more")
    if block:
        seed = int(np.random.SeedSequence((seed, block)).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(seed)
