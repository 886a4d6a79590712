"""Which data these are: a digest of a file of events, and events that two sets have in common.

A digest depends on what a file says and not on its format, its compression or its place, so that a
run knows its data again after they were moved or packed anew.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.io import CloudSource

BLOCK = 64  #: events of each of the blocks that enter a digest
BLOCKS = 16  #: number of these blocks, the first and the last events among them


def digest(source: CloudSource) -> str:
    """A digest of events: number, sizes, schema, and 16 blocks of 64 events from first to last.

    Of up to 1024 events it depends on every number. Of larger files it depends on the sizes of all
    events; other numbers may change between the blocks without a change of the digest.

    Returns:
        32 hexadecimal digits.

    Raises:
        FileError: the file is damaged.
    """
    found = hashlib.sha256()
    sizes = source.sizes().numpy().astype("<i8")
    schema = {name: value for name, value in source.schema.to_dict().items() if value}
    # A description is prose: it may be put right without another meaning of the numbers.
    schema.pop("description", None)
    found.update(json.dumps(schema, sort_keys=True).encode())
    found.update(sizes.tobytes())
    for start in _starts(len(source)):
        block = source.read(start, min(start + BLOCK, len(source)), check=False)
        for name, value in sorted(convention.attributes(block).items()):
            found.update(f"{name} {tuple(value.shape)}".encode())
            found.update(_plain(value).tobytes())
    return found.hexdigest()[:32]


def shared(a: Batch, b: Batch) -> Tensor:
    """Which clouds of ``b`` are also in ``a``: the same points and weights, in any order.

    Empty clouds, which are all the same, do not count.

    Args:
        a: Clouds.
        b: Clouds of the same floating-point type.

    Returns:
        [B] bool.
    """
    known, asked = _prints(a), _prints(b)
    filled = convention.sizes(b).cpu().numpy() > 0
    return torch.from_numpy(np.isin(asked, known) & filled)


def _starts(number: int) -> list[int]:
    last = max(number - BLOCK, 0)
    even = [round(last * place / (BLOCKS - 1)) for place in range(BLOCKS)]
    if number <= BLOCK * BLOCKS:
        even = list(range(0, number, BLOCK))
    return sorted(set(even))


def _plain(value: Tensor) -> np.ndarray[Any, Any]:
    """In one type for all widths, so that the digest does not depend on how a file stores it."""
    array = value.detach().cpu().numpy()
    return np.ascontiguousarray(array, dtype="<f8" if array.dtype.kind == "f" else "<i8")


def _prints(clouds: Batch) -> np.ndarray[Any, Any]:
    """A number of 64 bits for each cloud [B] that is the same for the same points in any order."""
    columns = [clouds.pos] + ([] if clouds.get("weight") is None else [clouds.weight[:, None]])
    rows = _plain(torch.cat(columns, 1).double() + 0.0).view(np.uint64)  # + 0: -0 becomes 0
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        mixed = _mixed(mixed + column)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    ends = clouds.ptr.cpu().numpy()
    return _mixed(sums[ends[1:]] - sums[ends[:-1]] + np.diff(ends).astype(np.uint64))


def _mixed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A bijection of 64-bit numbers that spreads each bit over all: splitmix64 of G. Steele."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
