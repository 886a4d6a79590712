"""``pcgen simulate jets --detector``: truth and detectors hold the same jets, and become images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pcgen import clouds as pc
from pcgen.datasets.cards import FOLDER
from pcgen.io import CloudFile, open_file
from pcgen.ops.segments import segment_sum
from pcgen.tools import cli

pytest.importorskip("pythia8mc")
COMMON = [
    *("--classes", "g", "t", "--number", "8", "--seed", "2"),
    *("--processes", "1", "--progress", "false"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("jets")
    card = (FOLDER / "cms.yaml").read_text().replace("field: 3.8", "field: 0.0")
    (folder / "straight.yaml").write_text(card)
    detectors = ["--detector", "cms", str(folder / "straight.yaml")]
    assert cli.main(["simulate", "jets", str(folder / "j.h5"), *COMMON, *detectors]) == 0
    assert cli.main(["simulate", "jets", str(folder / "alone.h5"), *COMMON]) == 0
    return folder


def test_the_truth_does_not_depend_on_detectors(folder: Path) -> None:
    assert (folder / "j.h5").read_bytes() == (folder / "alone.h5").read_bytes()
    names = {path.name for path in folder.iterdir()}
    assert names == {"j.h5", "alone.h5", "j-cms.h5", "j-straight.h5", "straight.yaml"}


def test_both_files_hold_the_same_jets_in_the_same_order(folder: Path) -> None:
    with CloudFile(folder / "j.h5") as truth, CloudFile(folder / "j-cms.h5") as detector:
        one, other = truth.read(), detector.read()
        assert detector.schema.layers == ("track", "ECAL", "HCAL")
        assert detector.schema.axes == truth.schema.axes
        record = detector.attrs["simulation"]
        assert record["detector"] == "cms"
        assert record["card"]["field"] == 3.8
        assert {k: v for k, v in record.items() if k in truth.attrs["simulation"]} == (
            truth.attrs["simulation"]
        )
    assert torch.equal(one.y, other.y)
    assert torch.equal(one.label, other.label)
    # What the calorimeters measure is the jet, within their resolution.
    towers = segment_sum(other.weight * (other.layer > 0), other.ptr)
    assert (towers / one.y[:, 0]).mean().item() == pytest.approx(1, abs=0.06)
    # So is the direction: the tower of most energy is near the hardest particle.
    for jet in range(16):
        hardest = one[jet].pos[one[jet].weight.argmax()]
        hit = other[jet]
        tower = hit.pos[(hit.weight * (hit.layer > 0)).argmax()]
        assert float((tower - hardest).abs().max()) < 0.35


def test_without_a_field_towers_are_at_the_particles(folder: Path) -> None:
    """Every tower has a particle in its cell: no HCAL cell is larger than 0.2 × 10 degrees here."""
    with CloudFile(folder / "j.h5") as truth, CloudFile(folder / "j-straight.h5") as detector:
        one, other = truth.read(), detector.read()
    for jet in range(16):
        particles, hit = one[jet].pos, other[jet]
        for layer, half in ((1, (0.09, 0.09)), (2, (0.11, 0.09))):
            towers = hit.pos[hit.layer == layer]
            apart = (towers[:, None] - particles[None]).abs()
            inside = (apart[..., 0] < half[0]) & (apart[..., 1] < half[1])
            assert bool(inside.any(1).all())


def test_an_image_for_each_layer(folder: Path) -> None:
    grid = "layers=track/ECAL/HCAL,eta_rel:-0.435:0.435:10,phi_rel:-0.43633:0.43633:10:rad:2pi"
    words = [str(folder / "j-cms.h5"), str(folder / "images.npz"), "--grid", grid]
    assert cli.main(["convert", *words, "--outside", "drop"]) == 0
    with open_file(folder / "images.npz") as file:
        images = file.read().image
    (folder / "images.npz").unlink()
    assert images.shape == (16, 3, 10, 10)
    with CloudFile(folder / "j-cms.h5") as file:
        clouds = file.read()
    near = (clouds.pos.abs() < torch.tensor([0.435, 0.43633])).all(1)
    for layer in range(3):
        of_layer = segment_sum(clouds.weight * near * (clouds.layer == layer), clouds.ptr)
        assert images[:, layer].sum((1, 2)) == pytest.approx(of_layer.numpy(), rel=1e-5)


def test_a_detector_can_be_added_later(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (folder / "j-cms.h5").read_bytes()
    (folder / "j-cms.h5").unlink()
    words = ["simulate", "jets", str(folder / "j.h5"), *COMMON, "--detector", "cms"]
    capsys.readouterr()
    assert cli.main(words) == 0
    assert (folder / "j-cms.h5").read_bytes() == whole
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        str(folder / "j.h5"),
        str(folder / "j-cms.h5"),
    ]
    assert "16 jets" in lines[1]
    assert "tracks and towers" in lines[1]
    with CloudFile(folder / "j-cms.h5") as file:
        assert f"{int(pc.sizes(file.read()).sum())} tracks" in lines[1]


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("lhcb", "detector: got 'lhcb', expected cms, atlas or a file .yaml"),
        ("cms cms", "detector: got cms cms, expected each name once"),
        ("missing.yaml", "missing.yaml: no such file"),
    ],
)
def test_detectors_that_are_not_there(
    tmp_path: Path, detector: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "jets", str(tmp_path / "a.h5"), *COMMON, "--detector", *detector.split()]
    assert cli.main(words) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_clusters_and_processes_give_the_same_jets(tmp_path: Path, folder: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        words = ["--dask", cluster.scheduler_address]
        assert cli.main(["simulate", "jets", str(tmp_path / "j.h5"), *COMMON, *words]) == 0
    assert (tmp_path / "j.h5").read_bytes() == (folder / "j.h5").read_bytes()


def test_repeated_responses_stand_behind_each_other_and_change_nothing_else(tmp_path: Path) -> None:
    words = ["simulate", "jets", str(tmp_path / "j.h5"), *COMMON, "--detector", "cms"]
    assert cli.main(words) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.h5")}
    assert cli.main([*words, "--responses", "3"]) == 0
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())
    with CloudFile(tmp_path / "j-cms-responses.h5") as file, CloudFile(tmp_path / "j.h5") as truth:
        again, one = file.read(), truth.read()
        assert file.attrs["answers"] == 3
    assert torch.equal(again.y, one.y.repeat_interleave(3, 0))
    assert torch.equal(again.label, one.label.repeat_interleave(3))
    # They are different responses to the same jets.
    totals = pc.total(again).view(-1, 3)
    assert bool((totals.std(1) > 0).all())
    assert (totals.std(1) / totals.mean(1)).median() < 0.3


def test_responses_need_a_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "jets", str(tmp_path / "j.h5"), *COMMON, "--responses", "3"]
    assert cli.main(words) == 1
    assert "responses: got 3 without a detector" in capsys.readouterr().err
