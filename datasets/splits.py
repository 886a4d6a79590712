"""Training, validation and test splits: blocks of consecutive events, drawn once and for ever.

The B events of a file are cut into blocks of up to 32 consecutive ones (fewer in files of less than
8192 events, so that there are always many blocks), the blocks are drawn in a random order, and 70,
15 and 15 % of them make the three splits. Blocks, because contiguous events are what a file reads
fast, and because neighbours may be related (the two jets of one collision) and so mostly stay in
one split.

The split is a pure function of the number of events and the seed, on every machine and with every
version of NumPy: it uses ``RandomState``, whose random stream is frozen (NumPy enhancement 19).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pcgen.errors import ArgumentError

SPLITS = ("train", "validation", "test", "all")
SEED = 42  #: seed of the splits unless another is given
BLOCK = 32  #: largest number of consecutive events that stay together
_HELD_OUT = 0.15  # fraction of the blocks in validation, and the same in test
_BLOCKS = 256  # number of blocks below which they get smaller


def split_index(number: int, split: str, *, seed: int = SEED) -> Tensor:
    """Which of the events 0 to ``number`` - 1 belong to a split.

    Training, validation and test are disjoint and together hold every event. From three events on
    none of the three is empty.

    Args:
        number: Number of events of the file.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        seed: 0 to 2³² - 1.

    Returns:
        Ascending event numbers [n], int64.

    Raises:
        ArgumentError: the split is unknown or the seed out of range.

    >>> [len(split_index(1000, split)) for split in SPLITS]
    [700, 150, 150, 1000]
    """
    if split not in SPLITS:
        raise ArgumentError(f"split: got {split!r}, expected one of {', '.join(SPLITS)}")
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed: got {seed}, expected an integer from 0 to 2**32 - 1")
    if split == "all":
        return torch.arange(number)
    size = min(max(number // _BLOCKS, 1), BLOCK)
    blocks = -(-number // size)
    held_out = max(round(_HELD_OUT * blocks), 1) if blocks >= 3 else 0
    order = np.random.RandomState(seed).permutation(blocks)
    drawn = {
        "validation": order[:held_out],
        "test": order[held_out : 2 * held_out],
        "train": order[2 * held_out :],
    }[split]
    chosen = np.zeros(blocks, dtype=bool)
    chosen[drawn] = True
    return torch.from_numpy(np.flatnonzero(np.repeat(chosen, size)[:number]))
