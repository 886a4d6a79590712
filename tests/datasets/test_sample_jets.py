"""The jets that ship with pcgen: their content is that of the card."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.datasets.jets import SAMPLE, sample_jets
from pcgen.errors import ArgumentError
from pcgen.io import JETS, CloudFile


@pytest.fixture(scope="module")
def everything() -> Batch:
    return sample_jets("all").load()


def test_the_file_is_small_and_states_how_it_was_generated() -> None:
    assert SAMPLE.stat().st_size < 6_000_000
    with CloudFile(SAMPLE) as file:
        made = file.attrs["simulation"]
        assert len(file) == 3 * made["jets_per_class"] == 9000
        assert made["generator"] == "pythia8mc 8.317.2"
        assert (made["radius"], made["pt_min"], made["pt_max"]) == (0.4, 800.0, 1600.0)
        assert file.schema.axes == JETS.axes
        assert (file.schema.weight, file.schema.condition) == (JETS.weight, JETS.condition)
        assert "R = 0.4" in file.schema.description


def test_all_jets_are_there_and_clean(everything: Batch) -> None:
    convention.check(everything, 2)
    assert torch.bincount(everything.label, minlength=5).tolist() == [3000, 3000, 3000, 0, 0]
    assert everything.y.shape == (9000, 1)
    assert bool(((everything.y > 800) & (everything.y < 1600)).all())
    assert int(convention.sizes(everything).min()) >= 7
    falling = everything.weight.diff() <= 0
    same_jet = everything.batch.diff() == 0
    assert bool(falling[same_jet].all())
    assert everything.pos.dtype == everything.weight.dtype == everything.y.dtype == torch.float32


def test_transverse_momenta_are_those_of_the_jet(everything: Batch) -> None:
    angle = everything.pos[:, 1].double()
    momentum = everything.weight.double()[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    summed = torch.zeros(9000, 2, dtype=torch.double).index_add(0, everything.batch, momentum)
    assert torch.allclose(summed.norm(dim=1), everything.y[:, 0].double(), rtol=3e-7)
    assert float(torch.atan2(summed[:, 1], summed[:, 0]).abs().max()) < 1e-7


@pytest.mark.parametrize(
    ("split", "number"), [("train", 6312), ("validation", 1344), ("test", 1344)]
)
def test_splits_hold_the_classes_in_equal_shares(split: str, number: int) -> None:
    clouds = sample_jets(split).load()
    assert clouds.num_graphs == number
    share = torch.bincount(clouds.label).double() / clouds.num_graphs
    assert share.tolist() == pytest.approx([1 / 3] * 3, abs=0.01)


def test_contiguous_jets_mix_the_classes(everything: Batch) -> None:
    blocks = everything.label.view(-1, 90)
    counts = torch.stack([(blocks == label).sum(1) for label in range(3)])
    assert int(counts.min()) >= 25  # 30 but for the pairs at the borders


def test_classes_and_particles_can_be_chosen() -> None:
    tops = sample_jets("test", classes=("t",), max_points=30)
    clouds = tops.load()
    assert clouds.label.unique().tolist() == [2]
    assert int(tops.sizes().max()) == 30
    with pytest.raises(ArgumentError, match="classes: got x, expected some of g, q, t, w, z"):
        sample_jets(classes=("x",))


def test_data_sets_are_found_at_the_door_without_loading_torch() -> None:
    code = (
        "import sys, pcgen.datasets as d; light = 'torch' not in sys.modules; "
        "sys.exit(not (light and d.open_clouds and d.CloudDataset and len(d.sample_jets()) > 0))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    import pcgen.datasets

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pcgen.datasets.nothing
