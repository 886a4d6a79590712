from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_models import Numbers, Toy

import pcgen
from pcgen import loading
from pcgen.errors import ArgumentError, CheckpointError
from pcgen.schema import Quantity, Schema
from pcgen.training import Machine, Reports, checkpoint, train


def toy(start: float = 0.0) -> Toy:
    """A recipe."""
    model = Toy()
    model.mean.value.data.fill_(start)
    return model


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(loading, "RECIPES", {"toy": toy})
    scores = iter([1.0, 2.0])
    train(
        toy(5.0), Numbers(), folder=tmp_path / "run", steps=4, recipe="toy",
        arguments={"start": 5.0}, machine=Machine("cpu"), ema=0.5,
        reports=Reports(validate_every=2, progress=False),
        validate=lambda model: {"score": next(scores)},
    )  # fmt: skip
    return tmp_path / "run"


def changed(run: Path, **values) -> Path:
    file = run / "checkpoints" / "last.ckpt"
    checkpoint.write(file, dataclasses.replace(checkpoint.read(file), **values))
    return file


def test_a_run_gives_its_best_model_ready_to_sample(run):
    model = pcgen.load(run)
    best = checkpoint.read(run / "checkpoints" / "best.ckpt")
    assert best.step == 2
    average = best.phases["fit"]["average"]["0.value"]
    assert torch.equal(model.mean.value, average)
    assert not torch.equal(average, best.model["mean.value"])
    assert not model.training
    assert len(model.sample(number=3).ptr) == 4


def test_a_run_without_validation_gives_its_last_model(run):
    (run / "checkpoints" / "best.ckpt").unlink()
    average = checkpoint.read(run / "checkpoints" / "last.ckpt").phases["fit"]["average"]
    assert torch.equal(pcgen.load(run).mean.value, average["0.value"])


def test_a_run_that_lost_its_best_and_last_gives_the_newest(run):
    for name in ("best", "last"):
        (run / "checkpoints" / f"{name}.ckpt").unlink()
    newest = run / "checkpoints" / "step-00000004.ckpt"
    assert loading.find(run) == newest
    average = checkpoint.read(newest).phases["fit"]["average"]["0.value"]
    assert torch.equal(pcgen.load(run).mean.value, average)


def test_a_checkpoint_is_loaded_by_its_name(run):
    last = run / "checkpoints" / "last.ckpt"
    average = checkpoint.read(last).phases["fit"]["average"]["0.value"]
    assert torch.equal(pcgen.load(str(last)).mean.value, average)


def test_a_run_without_average_gives_what_was_learnt(run):
    phases = checkpoint.read(run / "checkpoints" / "last.ckpt").phases
    file = changed(run, phases={"fit": {**phases["fit"], "average": None}})
    assert torch.equal(pcgen.load(file).mean.value, checkpoint.read(file).model["mean.value"])


def test_only_recipes_of_pcgen_are_built(run, monkeypatch):
    for name in ("os.system", "tests.Evil", "toy2", None):
        file = changed(run, recipe=name)
        with pytest.raises(CheckpointError, match=rf"recipe {name!r}, expected one of .*\(toy\)"):
            pcgen.load(file)


def test_a_model_of_ones_own_is_built_by_ones_own_function(run):
    file = changed(run, recipe=None)
    given = []

    def mine(start):
        given.append(start)
        return toy(start)

    assert pcgen.load(file, recipe=mine).mean.value.item() != 5.0
    assert given == [5.0]


def test_arguments_that_the_recipe_does_not_take_are_refused(run):
    with pytest.raises(CheckpointError, match=r"arguments do not fit the recipe 'toy'.*width"):
        pcgen.load(changed(run, arguments={"width": 3}))


def test_state_of_another_model_is_refused(run):
    with pytest.raises(CheckpointError, match=r"last\.ckpt: lacks 'found'.* state of Toy"):
        pcgen.load(changed(run, model={}))


def test_averages_of_another_model_are_refused(run):
    phases = {"fit": {"average": {"0.weight": torch.zeros(3)}}}
    with pytest.raises(CheckpointError, match=r"last\.ckpt: its state does not fit"):
        pcgen.load(changed(run, phases=phases))


def test_clouds_of_another_meaning_are_refused(run):
    other = Schema((Quantity("x", "cm"),)).to_dict()
    with pytest.raises(CheckpointError, match="another schema than the recipe 'toy'"):
        pcgen.load(changed(run, schema=other))
    with pytest.raises(CheckpointError, match="schema"):
        pcgen.load(changed(run, schema={"colour": "red"}))
    turning = Schema((Quantity("x", "mm", 6.5),)).to_dict()
    with pytest.raises(CheckpointError, match=r"got axes x \[mm\] with period 6\.5, expected x"):
        pcgen.load(changed(run, schema=turning))
    worded = Schema((Quantity("x", "mm", symbol="$x$"),), description="other words").to_dict()
    assert pcgen.load(changed(run, schema=worded)).schema.description == ""


def test_a_place_without_checkpoint_is_named(tmp_path, run):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        pcgen.load(tmp_path)
    with pytest.raises(CheckpointError, match="nowhere: no such file"):
        pcgen.load(tmp_path / "nowhere")


def test_a_device_that_is_not_there_is_named(run):
    with pytest.raises(ArgumentError, match="device: got 'gpu7'"):
        pcgen.load(run, device="gpu7")


def test_load_is_found_without_loading_torch():
    code = "import pcgen, sys; assert 'torch' not in sys.modules; pcgen.load; print(pcgen.load)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "function load" in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'save'"):
        _ = pcgen.save
