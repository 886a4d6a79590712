from __future__ import annotations

import hashlib
import json
import math
import re
import sys

import pytest
import torch

import pcgen
from pcgen import clouds as pc
from pcgen.datasets import open_clouds
from pcgen.datasets.jets import SAMPLE
from pcgen.errors import ArgumentError, CheckpointError, FileError
from pcgen.io import JETS, CloudFile, read_clouds
from pcgen.tools import cli
from pcgen.tools.sample import sample

pytestmark = pytest.mark.usefixtures("tiny_recipe")


def test_samples_are_written_with_their_throughput(run, tmp_path, capsys):
    sample(str(run), str(tmp_path / "a.h5"), number=7, batch_size=3, device="cpu")
    with CloudFile(tmp_path / "a.h5") as file:
        assert len(file) == 7
        assert file.schema == JETS
        assert file.attrs["seed"] == 0
        clouds = file.read()
    assert bool((clouds.weight >= 0).all())
    printed = capsys.readouterr().out
    line = (
        r"a\.h5: 7 jets in [\d.]+ s, \d+ jets per second \(batch size 3, cpu, .*; start-up .* s is"
    )
    assert re.search(line, printed)


def test_a_sample_states_what_generated_it_and_not_where(run, tmp_path, monkeypatch):
    output = tmp_path / "a.h5"
    command = ["/home/me/bin/pcgen", "sample", str(run), f"--like={tmp_path}/b.h5", "number=3"]
    monkeypatch.setattr(sys, "argv", command)
    sample(str(run), str(output), number=1, device="cpu")
    with CloudFile(output) as file:
        attrs = file.attrs
    assert attrs["model"] == "tiny/best.ckpt"
    digest = hashlib.sha256((run / "checkpoints/best.ckpt").read_bytes()).hexdigest()
    assert digest.startswith(attrs["model_digest"])
    assert attrs["recipe"] == "tiny"
    assert attrs["trained_on"]["split"] == {"name": "train", "seed": 42}
    data = [{"name": "jets.h5", "digest": open_clouds(SAMPLE).digests()[0]}]
    assert attrs["trained_on"]["data"] == data
    assert attrs["pcgen"] == pcgen.__version__
    assert attrs["command"] == ["pcgen", "sample", "tiny", "--like=b.h5", "number=3"]
    for place in (run.parent, tmp_path, SAMPLE.parent):
        assert str(place) not in json.dumps(attrs)


def test_a_seed_is_a_sample(run, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sample(str(run), str(tmp_path / f"{name}.h5"), number=9, batch_size=5, seed=seed)
    a, b, c = (read_clouds(tmp_path / f"{name}.h5")[0] for name in "abc")
    assert torch.equal(a.pos, b.pos)
    assert torch.equal(a.weight, b.weight)
    assert a.pos.shape != c.pos.shape or not torch.equal(a.pos, c.pos)


def test_class_condition_and_size_can_be_requested(run, tmp_path):
    last = str(run / "checkpoints" / "last.ckpt")
    sample(last, str(tmp_path / "a.h5"), number=5, batch_size=2, classes=["t", "g"],
           condition={"jet_pt": 1100.0}, points=4)  # fmt: skip
    clouds, schema = read_clouds(tmp_path / "a.h5")
    assert [schema.labels[k] for k in clouds.label.tolist()] == ["t", "g", "t", "g", "t"]
    assert clouds.y.tolist() == [[1100.0]] * 5
    assert pc.sizes(clouds).tolist() == [4] * 5


def test_python_and_the_command_take_the_same_words(run, tmp_path):
    words = {"classes": ["t", "g"], "condition": {"jet_pt": 1100.0}}
    sample(str(run), str(tmp_path / "a.h5"), number=4, seed=3, **words)
    generator = torch.Generator().manual_seed(3)
    here = pcgen.load(run).sample(number=4, generator=generator, **words)
    there = read_clouds(tmp_path / "a.h5")[0]
    assert here.label.tolist() == there.label.tolist() == [2, 0, 2, 0]
    assert torch.equal(here.y, there.y)
    assert torch.equal(here.pos, there.pos)
    with pytest.raises(ArgumentError, match="no number of clouds"):
        pcgen.load(run).sample()


def test_conditions_that_training_did_not_see(run, tmp_path, capsys):
    output = str(tmp_path / "a.h5")
    for value in (-5.0, 0.0):
        with pytest.raises(ArgumentError, match=f"jet_pt: got {value:g} GeV, expected a positive"):
            sample(str(run), output, number=2, condition={"jet_pt": value})
        with pytest.raises(ArgumentError, match="expected a positive"):
            pcgen.load(run).sample(y=value, number=2)
    for value in (math.nan, math.inf):
        with pytest.raises(
            ArgumentError, match=f"condition: got jet_pt {value}, expected a finite"
        ):
            sample(str(run), output, number=2, condition={"jet_pt": value})
    assert cli.main(["sample", str(run), output, "--condition", "jet_pt=1e300"]) == 1
    assert "got jet_pt 1e+300, expected a finite number between -3.4e+38" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    sample(str(run), output, number=2, condition={"jet_pt": 9000.0})
    printed = capsys.readouterr().out.splitlines()
    assert re.match(
        r"jet_pt: 9000 GeV is outside the 8[\d.]+ to 1\d{3} GeV of the training", printed[0]
    )
    sample(str(run), output, number=2, condition={"jet_pt": 1000.0})
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"number": -1}, "number: got -1, expected >= 1"),
        ({"number": 0}, "number: got 0, expected >= 1"),
        ({"batch_size": 0}, "batch_size: got 0, expected >= 1"),
        ({"classes": ["g", "b"]}, "classes: got b, expected some of g, q, t, w, z"),
        ({"classes": []}, "classes: got none"),
        ({"condition": {"pt": 1.0}}, r"condition: got pt, expected .* jet_pt \[GeV\]"),
        ({"device": "abacus"}, "device: got 'abacus'"),
    ],
)
def test_requests_that_make_no_sense_leave_no_file(run, tmp_path, options, message):
    with pytest.raises(ArgumentError, match=message):
        sample(str(run), str(tmp_path / "a.h5"), **options)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_read_or_written_are_named(run, tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        sample(str(tmp_path), str(tmp_path / "a.h5"))
    with pytest.raises(FileError, match="cannot be written"):
        sample(str(run), str(tmp_path / "missing" / "a.h5"))
    with pytest.raises(ArgumentError, match="jpeg"):
        sample(str(run), str(tmp_path / "a.jpeg"))


def test_a_solver_is_for_flows(run, tmp_path):
    with pytest.raises(ArgumentError, match=r"solver, steps: got values for a .*, which"):
        sample(str(run), str(tmp_path / "a.h5"), solver="heun", steps=3)
