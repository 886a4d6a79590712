"""Models that ship with pcgen, by their bare name: a stand-in here, and those that are there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import stand_in
import torch
from setuptools import Distribution

import pcgen
from pcgen import loading, shipped
from pcgen.errors import CheckpointError
from pcgen.io import CloudFile, read_clouds
from pcgen.tools import cli
from pcgen.training import weights

ROOT = Path(__file__).parent.parent.parent
OWN = shipped.FOLDER
MOST = 5_000_000  # bytes of a shipped file


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with the stand-in; nobody writes into it."""
    folder = tmp_path_factory.mktemp("shipped")
    stand_in.ship(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch) -> Path:
    """The folder of a user, where jets-flow ships with pcgen."""
    monkeypatch.setattr(shipped, "FOLDER", made)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    return cli.main(list(words))


def test_a_shipped_model_samples_by_its_name(folder, capsys):
    assert run("sample", "jets-flow", "out.h5", "--number", "20", "--seed", "3") == 0
    assert "20 jets in" in capsys.readouterr().out
    with CloudFile("out.h5") as file:
        assert len(file) == 20
        assert file.attrs["model"] == "jets-flow.safetensors"
        assert file.attrs["recipe"] == "points-flow"
        assert file.attrs["trained_on"]["data"][0]["name"] == "jets.h5"
        assert len(file.attrs["model_digest"]) == 32
    again = pcgen.load("jets-flow").sample(number=20, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again.pos, read_clouds("out.h5")[0].pos)


def test_info_prints_facts_and_card(folder, capsys):
    assert run("info", "jets-flow") == 0
    text = capsys.readouterr().out
    for part in ("points-flow", "classes in training", "5 of 5", "# jets-flow\n", "## Limits\n"):
        assert part in text, part


def test_info_of_weights_without_a_card(folder, made, capsys):
    shutil.copy(made / "jets-flow.safetensors", "own.safetensors")
    assert run("info", "own.safetensors") == 0
    text = capsys.readouterr().out
    assert "points-flow" in text
    assert "## " not in text
    Path("own.md").write_text("an \x1b[2J own card\n")
    assert run("info", "own.safetensors") == 0
    text = capsys.readouterr().out
    assert "own card" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("command", [["info"], ["sample"]])
def test_a_name_with_an_error_in_it(folder, capsys, command):
    more = ["out.h5"] * (command == ["sample"])
    assert run(*command, "jets-flwo", *more) == 1
    error = capsys.readouterr().err
    assert error.startswith("pcgen: jets-flwo: no such file or folder, nor a model that ships with")
    assert error.endswith("did you mean jets-flow?\n")
    assert run(*command, "showers", *more) == 1
    assert "expected a file, a run or such a model (jets-flow)\n" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_what_lies_here_under_that_name_goes_first(folder, made):
    other = stand_in.ship(folder, "other", hidden=4)
    folder.joinpath("jets-flow").mkdir()
    with pytest.raises(CheckpointError, match="jets-flow: holds no checkpoint"):
        pcgen.load("jets-flow")
    checkpoints = folder / "jets-flow" / "checkpoints"
    checkpoints.mkdir()
    (folder / "a.ckpt").rename(checkpoints / "last.ckpt")
    assert loading.find("jets-flow") == Path("jets-flow/checkpoints/last.ckpt")
    own = pcgen.load("jets-flow").state_dict()
    assert own["field.global_in.bias"].shape == (4,)
    assert torch.equal(pcgen.load(other).state_dict()["field.global_in.bias"],
                       own["field.global_in.bias"])  # fmt: skip


def test_a_path_is_never_a_shipped_name(folder):
    for path in ("./jets-flow", "runs/jets-flow", "jets-flow.ckpt", str(folder / "jets-flow")):
        with pytest.raises(CheckpointError, match="no such file"):
            pcgen.load(path)
    assert loading.find("jets-flow").parent == shipped.FOLDER


def test_without_shipped_models_a_name_is_a_missing_file(folder, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", folder)
    with pytest.raises(CheckpointError, match=r"such a model$"):
        pcgen.load("jets-flow")


@pytest.mark.parametrize("name", ["stand-in", *shipped.names()])
def test_what_ships_is_small_described_and_samples(made, name, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", made if name == "stand-in" else OWN)
    name = "jets-flow" if name == "stand-in" else name
    file = shipped.weights(name)
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    assert file.stat().st_size < MOST
    assert card.startswith(f"# {name}\n")
    for part in ("Data", "Training", "Scores", "Limits"):
        assert f"\n## {part}\n" in card
    state = weights.read(file)
    assert len(state.config["data"]) == len(state.config["digests"])
    clouds = pcgen.load(name).sample(number=5, generator=torch.Generator().manual_seed(0))
    assert bool(clouds.pos.isfinite().all())
    assert bool((clouds.weight >= 0).all())


def test_wheels_hold_weights_and_cards(tmp_path, made, monkeypatch):
    """What setuptools would copy, by setup.cfg, from a source tree with a shipped model."""
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    for package in ("pcgen", "pcgen/shipped"):
        (tmp_path / package).mkdir()
        shutil.copy(ROOT / package / "__init__.py", tmp_path / package)
    names = ["jets-flow.md", "jets-flow.safetensors"]
    for each in names:
        shutil.copy(made / each, tmp_path / "pcgen/shipped")
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    distribution = Distribution()
    distribution.parse_config_files(["setup.cfg"])
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    (found,) = (files for package, *_, files in build.data_files if package == "pcgen.shipped")
    assert sorted(found) == names
    assert any(line.startswith("safetensors") for line in distribution.install_requires)
