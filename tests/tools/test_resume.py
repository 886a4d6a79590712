from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from toy_recipes import FAST, tiny

import pcgen
from pcgen import clouds as pc
from pcgen.datasets.jets import sample_jets
from pcgen.errors import ArgumentError, DataError, FileError, TrainingError
from pcgen.io import JETS, open_cloud_file, write_clouds
from pcgen.recipes import RECIPES
from pcgen.tools.cli import main
from pcgen.tools.resume import resume
from pcgen.tools.sample import sample
from pcgen.tools.train import train
from pcgen.training import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_recipe")

OPTIONS = {**FAST, "batch_size": 8, "samples": 0, "checkpoint_every": 1, "validate_every": 5}


@pytest.fixture
def stopped(tmp_path, few, monkeypatch) -> Path:
    """A run with a schedule and options of a phase, interrupted after step 5 of 10."""
    return interrupted(tmp_path / "pieces", few, monkeypatch)


def interrupted(folder: Path, data: Path, monkeypatch) -> Path:
    loss, steps = tiny().loss.__func__, iter(range(100))

    def fails(self, clouds):
        if next(steps) == 5:
            raise TrainingError("killed")
        return loss(self, clouds)

    with monkeypatch.context() as patch:
        patch.setattr(type(tiny()), "loss", fails)
        with pytest.raises(TrainingError, match="killed"):
            begun(folder, data)
    assert step(folder) == 5
    return folder


def begun(folder: Path, data: Path, **options) -> Path:
    phases = {"reconstruction": {"lr": 1e-2, "betas": [0.5, 0.9]}}
    chosen = {**OPTIONS, "steps": 10, "seed": 3, "classes": ["g", "t"], "phases": phases, **options}
    return train("tiny", {"latent_dim": 3}, data=[str(data)], output=str(folder), **chosen)


def step(folder: Path) -> int:
    return checkpoint.read(folder / "checkpoints/last.ckpt").step


def assert_same(one: Path, other: Path) -> None:
    left, right = (checkpoint.read(folder / "checkpoints/last.ckpt") for folder in (one, other))
    assert left.step == right.step == 10
    assert left.best == right.best
    for name, value in left.model.items():
        assert torch.equal(value, right.model[name]), name
    for name, value in left.phases["reconstruction"]["average"].items():
        assert torch.equal(value, right.phases["reconstruction"]["average"][name]), name


def test_five_steps_and_a_resume_are_ten_steps(tmp_path, few, stopped):
    torch.manual_seed(9)
    assert resume(str(stopped), progress=False) == stopped
    assert_same(begun(tmp_path / "whole", few), stopped)


def test_a_run_is_made_longer(tmp_path, few):
    options = {"schedule": "constant", "ema": None, "phases": None}
    pieces = begun(tmp_path / "pieces", few, **options, steps=5)
    resume(str(pieces), steps=10, progress=False)
    assert json.loads((pieces / "config.json").read_text())["steps"] == 10
    whole = begun(tmp_path / "whole", few, **options)
    left, right = (checkpoint.read(f / "checkpoints/last.ckpt") for f in (whole, pieces))
    assert all(torch.equal(value, right.model[name]) for name, value in left.model.items())


def test_the_command(tmp_path, stopped, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["resume", "pieces", "--steps", "6"]) == 0, capsys.readouterr().err
    assert step(stopped) == 6
    assert main(["resume", str(tmp_path)]) == 1
    assert "holds no config.json, expected the folder of a run" in capsys.readouterr().err


def test_data_that_were_moved_are_named_and_can_be_given(tmp_path, few, stopped, monkeypatch):
    data = tmp_path / "data.h5"
    shutil.copyfile(few, data)
    run = interrupted(tmp_path / "moved", data, monkeypatch)
    data.rename(tmp_path / "elsewhere.h5")
    with pytest.raises(FileError, match=r"data\.h5: no such file, but .*moved is .* --data FILE"):
        resume(str(run), progress=False)
    assert step(run) == 5
    monkeypatch.chdir(tmp_path)
    resume(str(run), data=["elsewhere.h5"], progress=False)
    recorded = json.loads((run / "config.json").read_text())["data"]
    assert recorded == [str(tmp_path / "elsewhere.h5")]
    resume(str(stopped), progress=False)
    assert_same(stopped, run)


def test_other_data_are_refused(tmp_path, few, stopped):
    before = (stopped / "config.json").read_bytes()
    jets = sample_jets("all", max_points=8).read(0, 150)
    write_clouds(tmp_path / "other.h5", jets, JETS)
    with pytest.raises(DataError, match=r"other\.h5: got \d+ events to train on, expected the \d+"):
        resume(str(stopped), data=[str(tmp_path / "other.h5")])
    with pytest.raises(ArgumentError, match="data: got 2 files, expected the 1 of"):
        resume(str(stopped), data=[str(few), str(few)])
    with pytest.raises(FileError, match=r"none\.h5"):
        resume(str(stopped), data=[str(tmp_path / "none.h5")])
    assert (stopped / "config.json").read_bytes() == before


def others(few: Path, path: Path) -> Path:
    """As many events as in another file, one of whose numbers differs."""
    with open_cloud_file(few) as source:
        jets = source.read()
    weight = jets.weight.clone()
    weight[-1] *= 1.5
    write_clouds(path, pc.replace(jets, weight=weight), JETS)
    return path


def test_other_data_under_the_same_name_are_refused(tmp_path, few, monkeypatch):
    data, own = tmp_path / "data.h5", tmp_path / "own.h5"
    shutil.copyfile(few, data)
    run = interrupted(tmp_path / "run", data, monkeypatch)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    data.rename(own)
    others(own, data)
    facts = r"data\.h5: got events of digest \w{32}, expected those of digest \w{32} that .*run was"
    with pytest.raises(DataError, match=facts):
        resume(str(run), progress=False)
    with pytest.raises(DataError, match=facts):
        resume(str(run), data=[str(data)], progress=False)
    with pytest.raises(DataError, match=facts):
        begun(run, data)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    # The same events at another place, under another name, are the run's own.
    assert begun(run, own) == run
    assert step(run) == 10
    assert json.loads((run / "config.json").read_text())["data"] == [str(own)]


def test_runs_without_digests_go_on(tmp_path, few, stopped):
    file = stopped / "config.json"
    config = json.loads(file.read_text())
    for name in ("digests", "split"):
        del config[name]
    file.write_text(json.dumps(config))
    resume(str(stopped), progress=False)
    assert step(stopped) == 10
    assert len(json.loads(file.read_text())["digests"]) == 1
    assert_same(begun(tmp_path / "whole", few), stopped)


def test_checkpoints_say_nothing_of_the_place_of_the_data(tmp_path, few, stopped):
    resume(str(stopped), progress=False)
    for file in (stopped / "checkpoints").iterdir():
        config = checkpoint.read(file).config
        assert config["data"] == ["few.h5"]
        assert [len(each) for each in config["digests"]] == [32]
        assert config["split"] == {"name": "train", "seed": 42}
        assert config["pcgen"] == pcgen.__version__
        assert str(tmp_path).encode() not in file.read_bytes()
        assert str(few.parent).encode() not in file.read_bytes()
    assert json.loads((stopped / "config.json").read_text())["data"] == [str(few)]


def test_a_run_that_was_moved_samples_and_goes_on(tmp_path, few, monkeypatch):
    data = tmp_path / "data.h5"
    shutil.copyfile(few, data)
    interrupted(tmp_path / "here", data, monkeypatch).rename(tmp_path / "there")
    data.rename(tmp_path / "data2.h5")
    sample(str(tmp_path / "there"), str(tmp_path / "a.h5"), number=2)
    resume(str(tmp_path / "there"), data=[str(tmp_path / "data2.h5")], progress=False)
    assert step(tmp_path / "there") == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": None}, "got None as 'recipe', expected what pcgen train records"),
        ({"data": None}, "got None as 'data'"),
        ({"arguments": []}, r"got \[\] as 'arguments'"),
        ({"optimiser": {"speed": 1}}, r"config\.json: does not fit this pcgen \(TypeError: "),
        ({"machine": None}, r"config\.json: does not fit this pcgen"),
    ],
)
def test_a_configuration_of_something_else_is_refused(stopped, change, message):
    file = stopped / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(FileError, match=message):
        resume(str(stopped))


def test_a_recipe_that_is_gone_is_named(stopped):
    file = stopped / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"recipe": "huge"}))
    with pytest.raises(ArgumentError, match="recipe: got 'huge'"):
        resume(str(stopped))


def test_a_users_own_recipe_is_run_only_where_it_is_named(tmp_path, few):
    name, folder = "toy_recipes:tiny", tmp_path / "own"
    train(name, {}, data=[str(few)], output=str(folder), **{**OPTIONS, "samples": 3})
    assert (folder / "samples/samples.h5").exists()
    with pytest.raises(ArgumentError, match=f"expected --recipe {name} beside the folder"):
        resume(str(folder), steps=5)
    resume(str(folder), steps=5, recipe=name, progress=False)
    assert step(folder) == 5


def test_runs_of_before_are_resumed(few, tmp_path, stopped):
    """Older runs record neither what is validated and sampled nor the schema of the data."""
    file = stopped / "config.json"
    config = json.loads(file.read_text())
    for name in ("validate_events", "samples"):
        del config[name]
    file.write_text(json.dumps(config))
    resume(str(stopped), progress=False)
    assert step(stopped) == 10


def test_a_run_that_took_the_schema_for_granted_goes_on(tmp_path, few):
    small = {"latent_dim": 2, "hidden": 8, "layers": 1}
    folder = train("points-vae", small, data=[str(few)], output=str(tmp_path / "jets"), **OPTIONS)
    file = folder / "config.json"
    config = json.loads(file.read_text())
    assert config["arguments"].pop("schema")["labels"] == list(JETS.labels)
    file.write_text(json.dumps(config))
    resume(str(folder), steps=5, progress=False)
    assert step(folder) == 5


def test_a_model_is_built_once(tmp_path, monkeypatch):
    built = []

    def counted(schema: dict | None = None):
        built.append(schema)
        return RECIPES["points-vae"](hidden=8, layers=1, schema=schema)

    monkeypatch.setitem(RECIPES, "counted", counted)
    jets = sample_jets("all", max_points=8).read(0, 100)
    file = tmp_path / "few.h5"
    write_clouds(
        file,
        pc.replace(jets, label=jets.label % 2),
        dataclasses.replace(JETS, labels=("up", "down")),
    )
    train("counted", data=[str(file)], output=str(tmp_path / "run"), **OPTIONS)
    assert len(built) == 1
    assert built[0]["labels"] == ("up", "down")
