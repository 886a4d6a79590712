"""Checkpoints of version 1, written by pcgen at commit 6e2c972, still load and sample the same.

``data/NAME-v1.ckpt.gz`` is the last checkpoint of four steps of a tiny model; ``data/NAME-v1.npz``
holds what it sampled then, five clouds with a generator of seed 1.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

import pcgen

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("name", ["jets-latent-gan", "points-flow"])
def test_a_checkpoint_of_version_1_samples_what_it_did(name: str, tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    path.write_bytes(gzip.decompress((DATA / f"{name}-v1.ckpt.gz").read_bytes()))
    with np.load(DATA / f"{name}-v1.npz", allow_pickle=False) as stored:
        expected = {key: torch.from_numpy(stored[key]) for key in stored.files}
    generated = pcgen.load(path).sample(number=5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(generated.ptr, expected["ptr"])
    for key in ("pos", "weight"):
        torch.testing.assert_close(generated[key], expected[key], rtol=1e-4, atol=1e-5)
