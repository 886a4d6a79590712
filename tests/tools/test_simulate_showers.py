"""``pcgen simulate showers``: both formats hold the same showers, options and errors arrive."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch

from pcgen.datasets import showers as module
from pcgen.datasets.calorimeters import detector
from pcgen.errors import ArgumentError, FileError
from pcgen.images import cloud_to_shower
from pcgen.io import CloudFile, ShowerFile, open_file
from pcgen.tools import cli
from pcgen.tools.simulate import simulate_showers

QUICK: dict[str, Any] = {"progress": False, "processes": 1, "energy": "1:5", "number": 7}


def test_both_formats_hold_the_same_showers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--number 9 --particle photon --energy 1:10 --seed 3 --processes 1 --progress false"
    for name in ("a.h5", "a.hdf5"):
        assert cli.main(["simulate", "showers", str(tmp_path / name), *words.split()]) == 0
    printed = capsys.readouterr().out.splitlines()
    with CloudFile(tmp_path / "a.h5") as file:
        clouds, calorimeter, schema = file.read(), file.calorimeter, file.schema
        record = file.attrs["simulation"]
    assert calorimeter == detector("cylinder").calorimeter
    with ShowerFile(tmp_path / "a.hdf5") as rows:
        images, known, attrs = rows.read(), rows.calorimeter, rows.attrs
    assert known == calorimeter
    assert images.y is not None
    assert torch.equal(images.y, clouds.y)
    assert torch.equal(images.image, cloud_to_shower(clouds, calorimeter))
    assert schema.labels == ("electron", "photon", "pion")
    assert clouds.label.tolist() == [1] * 9
    assert bool(((clouds.y > 1e3) & (clouds.y < 1e4)).all())
    assert record == attrs["simulation"]
    assert (record["particle"], record["showers"], record["seed"]) == ("photon", 9, 3)
    assert record["generator"] == "Grindhammer-Peters"
    filled = int((images.image > 0).sum())
    assert printed[0].startswith(f"{tmp_path}/a.h5: 9 showers, {filled} voxels with energy, ")
    assert printed[1].startswith(f"{tmp_path}/a.hdf5: 9 showers, {filled} voxels with energy, ")
    assert "photon showers, 1 to 10 GeV, in tungsten-silicon" in printed[0]


def test_the_layout_is_that_of_the_calochallenge(tmp_path: Path) -> None:
    simulate_showers(str(tmp_path / "a.hdf5"), **QUICK)
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert sorted(file) == ["incident_energies", "showers"]
        assert file["showers"].shape == (7, 6480)
        assert file["incident_energies"].shape == (7, 1)
        voxels = file["showers"][:].reshape(7, 45, 16, 9)  # layer, alpha, r
        incident = file["incident_energies"][:, 0]
    assert voxels.sum((1, 2, 3)) == pytest.approx(incident, rel=0.8)
    assert voxels.sum((0, 2, 3)).argmax() in range(2, 9)  # the maximum is some layers deep
    assert voxels.sum((0, 1, 2)).argmax() == 0  # and on the axis


def test_options_of_the_detector_arrive(tmp_path: Path) -> None:
    (tmp_path / "b.xml").write_text(
        '<Bins><Bin pid="11" name="electron"><Layer id="0" r_edges="0,5,50" n_bin_alpha="8"/>'
        '<Layer id="3" r_edges="0,50" n_bin_alpha="1"/></Bin></Bins>'
    )
    path = tmp_path / "a.h5"
    words = f"{path} --geometry {tmp_path}/b.xml --medium lead-tungstate --thickness 80 120"
    words += " --threshold 20 --energy 50 --number 3 --processes 1 --progress false"
    assert cli.main(["simulate", "showers", *words.split()]) == 0
    with CloudFile(path) as file:
        clouds, calorimeter = file.read(), file.calorimeter
    assert calorimeter is not None
    assert calorimeter.depth == (0, 80, 200)
    assert clouds.pos[:, 2].unique().tolist() == [40, 140]
    assert float(clouds.weight.min()) > 20
    assert clouds.y.flatten().tolist() == [50_000] * 3


def test_pions_are_named_for_what_they_are(tmp_path: Path) -> None:
    words = {**QUICK, "particle": "pion", "geometry": "stack", "medium": "iron-scintillator"}
    simulate_showers(str(tmp_path / "a.h5"), **words)
    with CloudFile(tmp_path / "a.h5") as file:
        assert file.attrs["simulation"]["generator"] == "toy hadrons"
        assert file.read().label.tolist() == [2] * 7


def test_more_showers_begin_with_the_same_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = module.simulate_showers(tmp_path / "a.h5", number=11, progress=False)
    monkeypatch.setattr(module, "CHUNK", 3)
    few = module.simulate_showers(tmp_path / "b.h5", number=7, progress=False)
    with CloudFile(whole) as one, CloudFile(few) as other:
        first, second = one.read(0, 7), other.read()
    for name in ("pos", "weight", "layer", "y", "ptr"):
        assert torch.equal(first[name], second[name]), name


@pytest.mark.slow
def test_one_and_two_processes_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    files = []
    for processes in (1, 2):
        path = tmp_path / f"{processes}.hdf5"
        module.simulate_showers(path, number=8, processes=processes, progress=False)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.hdf5", "2.hdf5"]


def test_an_interrupted_simulation_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    whole = module.simulate_showers(tmp_path / "whole.h5", number=6, progress=False).read_bytes()
    real, calls = module.generate_showers, []

    def generate(*given: Any) -> Any:
        calls.append(given[1])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(module, "generate_showers", generate)
    path = tmp_path / "a.h5"
    with pytest.raises(KeyboardInterrupt):
        module.simulate_showers(path, number=6, progress=False)
    assert not path.exists()
    assert json.loads((tmp_path / "a.h5.parts" / "settings.json").read_text())["showers"] == 6
    module.simulate_showers(path, number=6, progress=False)
    assert calls == [0, 2, 4, 4]
    assert path.read_bytes() == whole
    module.simulate_showers(path, number=6, progress=False)  # complete: nothing to do
    assert calls == [0, 2, 4, 4]


def test_other_showers_are_never_overwritten(tmp_path: Path) -> None:
    for name in ("a.h5", "a.hdf5"):
        simulate_showers(str(tmp_path / name), **QUICK)
        with pytest.raises(FileError, match=f"{name}: holds other data, delete it or choose"):
            simulate_showers(str(tmp_path / name), **{**QUICK, "seed": 1})
        with open_file(tmp_path / name) as file:
            assert file.attrs["simulation"]["seed"] == 0


def test_the_work_can_be_done_by_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(module, "CHUNK", 3)
    here = module.simulate_showers(tmp_path / "a.h5", number=7, progress=False)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        there = module.simulate_showers(
            tmp_path / "b.h5", number=7, dask=cluster.scheduler_address, progress=False
        )
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"energy": "lots"}, r"energy: got 'lots', expected LOW:HIGH in GeV, or one number"),
        ({"energy": "1:2:3"}, r"energy: got '1:2:3', expected LOW:HIGH"),
        ({"energy": "5:1"}, r"energy: got 5 to 1 GeV, expected 0.1 to 10000 GeV for electrons"),
        ({"geometry": "ball"}, r"geometry: got 'ball', expected cylinder, stack or a file .xml"),
        ({"medium": "cheese"}, r"medium: got 'cheese', expected one of tungsten-silicon"),
        ({"thickness": [1.0, 2.0]}, r"thickness: got 1 2, expected one positive number of mm"),
        ({"threshold": -1.0}, r"threshold: got -1.0, expected a number ≥ 0 of MeV"),
        ({"number": 0}, r"number: got 0, expected >= 1"),
        ({"seed": -1}, r"seed: got -1, expected an integer from 0"),
        ({"processes": 0}, r"processes: got 0, expected >= 1"),
        ({"output": "a.npz"}, r"a.npz', expected a name that ends in .h5 or .hdf5"),
        ({"output": "missing/a.h5"}, r"a.h5.parts: cannot be written \(No such file"),
        ({"geometry": "missing.xml", "medium": "lead-tungstate", "thickness": [1.0]}, "no such"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, words: dict[str, Any], message: str
) -> None:
    output = tmp_path / words.pop("output", "a.h5")
    with pytest.raises((ArgumentError, FileError), match=message) as caught:
        simulate_showers(str(output), **{**QUICK, **words})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_dask_a_scheduler_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["simulate", "showers", str(tmp_path / "a.h5"), "--dask", "tcp://127.0.0.1:1"]
    assert cli.main([*words, "--number", "1"]) == 1
    error = capsys.readouterr().err
    assert "pcgen's extra 'dask'" in error
