"""A folder with a few images or jets, for tests of ``pcgen convert``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcgen import clouds, io


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def image(here):
    """Seven images, one empty, one full, in image.npy."""
    values = np.random.default_rng(0).exponential(1, (7, 5, 4)).astype(np.float32)
    values[values < 1] = 0
    values[2], values[3] = 0, 1
    np.save(here / "image.npy", values)
    return torch.from_numpy(values)


@pytest.fixture
def jets(here):
    """Five jets, one empty, in jets.h5."""
    g = torch.Generator().manual_seed(0)
    batch = clouds.make(
        0.79 * torch.rand(20, 2, generator=g) - 0.395,
        [6, 0, 9, 1, 4],
        weight=torch.rand(20, generator=g) + 0.1,
        y=torch.full((5, 1), 1000.0),
        label=torch.tensor([0, 1, 2, 3, 4]),
    )
    io.write_clouds(here / "jets.h5", batch, io.JETS)
    return batch
