"""The showers that ship with pcgen: what the card states is what is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.datasets import sample_showers
from pcgen.datasets.calorimeters import detector
from pcgen.datasets.shower_blocks import ShowerSettings, generate_showers
from pcgen.datasets.showers import SAMPLE, to_clouds
from pcgen.io import CloudFile
from pcgen.ops.segments import segment_sum


@pytest.fixture(scope="module")
def everything() -> Batch:
    return sample_showers("all").load()


def test_the_file_is_small_and_states_how_it_was_generated(everything: Batch) -> None:
    assert SAMPLE.stat().st_size < 700_000
    with CloudFile(SAMPLE) as file:
        record, calorimeter = file.attrs["simulation"], file.calorimeter
    assert calorimeter == detector("stack").calorimeter
    assert (record["showers"], record["particle"], record["seed"]) == (1000, "electron", 0)
    assert (record["energy_min_gev"], record["energy_max_gev"]) == (1, 100)
    pc.check(everything, 3)
    assert everything.pos.shape == (119_259, 3)
    assert everything.label.tolist() == [0] * 1000
    assert float(everything.weight.min()) > 0.01515


def test_the_command_of_the_card_gives_these_showers(everything: Batch) -> None:
    settings = ShowerSettings("electron", detector("stack"), (1.0, 100.0))
    again = to_clouds(
        generate_showers(0, 0, 30, settings), settings.detector.calorimeter, "electron"
    )
    first = pc.select(everything, torch.arange(30))
    assert torch.equal(again.ptr, first.ptr)
    assert torch.equal(again.pos, first.pos)
    # Other versions of NumPy and SciPy may round elsewhere.
    assert torch.allclose(again.weight, first.weight, rtol=1e-4)
    assert torch.allclose(again.y, first.y)


@pytest.mark.parametrize(
    ("low", "high", "number", "mean", "deviation", "voxels"),
    [
        (1, 3, 234, 0.984, 0.075, 55),
        (3, 10, 273, 0.987, 0.046, 85),
        (10, 30, 241, 0.988, 0.024, 133),
        (30, 100, 252, 0.990, 0.014, 203),
    ],
)
def test_the_table_of_the_card(
    everything: Batch, low: int, high: int, number: int, mean: float, deviation: float, voxels: int
) -> None:
    incident = everything.y[:, 0]
    these = (incident > 1e3 * low) & (incident <= 1e3 * high)
    response = (segment_sum(everything.weight, everything.ptr) / incident)[these]
    assert int(these.sum()) == number
    assert float(response.mean()) == pytest.approx(mean, abs=6e-4)
    assert float(response.std()) == pytest.approx(deviation, abs=6e-4)
    assert float(pc.sizes(everything)[these].double().mean()) == pytest.approx(voxels, abs=0.6)


def test_splits_and_fewer_points() -> None:
    sizes = [len(sample_showers(split)) for split in ("train", "validation", "test")]
    assert sizes == [700, 150, 150]
    few = sample_showers("test", max_points=10).load()
    assert int(pc.sizes(few).max()) == 10
    share = float(few.weight.sum() / few.y.sum())
    assert np.isfinite(share)
    assert 0.2 < share < 0.95
