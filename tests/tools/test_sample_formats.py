"""``pcgen sample`` into files of other programs, and ``pcgen export`` of models of cells, typed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pcgen.io import JETS, read_clouds
from pcgen.tools.cli import main

pytestmark = pytest.mark.usefixtures("tiny_recipe")

GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8:rad"


def test_flat_arrays_are_typed_and_read_by_numpy(run, tmp_path, capsys):
    target = tmp_path / "a.npz"
    assert main(["sample", str(run), str(target), "--number", "6", "--seed", "2"]) == 0
    assert "a.npz: 6 jets in" in capsys.readouterr().out
    with np.load(target) as arrays:
        pos, ptr, weight = arrays["pos"], arrays["ptr"], arrays["weight"]
        axes = [axis["name"] for axis in json.loads(str(arrays["schema"]))["axes"]]
    assert pos.shape == (ptr[-1], 2)
    assert (len(ptr), axes) == (7, [axis.name for axis in JETS.axes])
    assert (weight >= 0).all()
    # The same events as in pcgen's own file.
    assert main(["sample", str(run), str(tmp_path / "a.h5"), "--number", "6", "--seed", "2"]) == 0
    clouds, _ = read_clouds(tmp_path / "a.h5")
    assert np.array_equal(clouds.pos.numpy(), pos)
    assert np.array_equal(clouds.ptr.numpy(), ptr)


def test_hepmc_is_typed_and_read_by_pyhepmc(run, tmp_path):
    pyhepmc = pytest.importorskip("pyhepmc")
    words = ["--number", "4", "--seed", "2"]
    assert main(["sample", str(run), str(tmp_path / "a.hepmc"), *words]) == 0
    assert main(["sample", str(run), str(tmp_path / "a.h5"), *words]) == 0
    clouds, _ = read_clouds(tmp_path / "a.h5")
    with pyhepmc.open(str(tmp_path / "a.hepmc")) as file:
        events = list(file)
    assert len(events) == 4
    for event, cloud in zip(events, clouds.to_data_list(), strict=True):
        momenta = [p.momentum for p in event.particles if p.status == 1]
        assert len(momenta) == len(cloud.pos)
        pt = [momentum.pt() for momentum in momenta]
        np.testing.assert_allclose(pt, cloud.weight.numpy(), rtol=1e-5)


@pytest.mark.parametrize(("recipe", "kind"), [("image-vae", "images"), ("sites-vae", "sites")])
def test_models_of_cells_are_not_exported(few, tmp_path, capsys, recipe, kind):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    place = str(tmp_path / "run")
    words = f"train {recipe} --channels 2 --steps 2 --batch-size 8 --samples 0 --accelerator cpu"
    own = ["--grid", GRID, "--data", str(few), "--output", place, "--validate-events", "8"]
    assert main([*words.split(), *own, "--progress", "false"]) == 0
    capsys.readouterr()
    assert main(["export", place, str(tmp_path / "a.onnx")]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"pcgen: {place}: got a model of {kind}, expected a model of the")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.glob("*.onnx"))
