"""Which data these are: a digest of a file of events.

A digest depends on the content of a file, not on its format, compression or place, so that a run
recognises its data after they were moved or packed anew.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from torch import Tensor

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
