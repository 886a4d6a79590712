from __future__ import annotations

import dataclasses
import datetime
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from pcgen.errors import CheckpointError, FileError
from pcgen.training import checkpoint
from pcgen.training.checkpoint import Checkpoint


def example(**values) -> Checkpoint:
    fields = {
        "recipe": "jets-vae",
        "arguments": {"latent_dim": 8, "classes": ["g", "t"], "loss": None},
        "schema": {"axes": ({"name": "x", "unit": "mm"},), "weight": None},
        "model": nn.Linear(30, 40).state_dict(),
        "phases": {"fit": {"optimiser": {"state": {0: {"step": torch.tensor(3.0)}}}}},
        "step": 3,
        "draws": 18,
        "prepared": ["standardize"],
        "best": None,
        "means": {"fit/loss": [1.5, 3]},
        "seconds": 0.25,
        "scaler": {},
        "random": [{"torch": torch.get_rng_state()}],
        "config": {"seed": 0},
    }
    return Checkpoint(**(fields | values))


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "last.ckpt"
    checkpoint.write(path, example())
    return path


def rewritten(path: Path, **values) -> Path:
    content = torch.load(path, weights_only=True)
    torch.save({key: value for key, value in (content | values).items() if value is not ...}, path)
    return path


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    state = example()
    checkpoint.write(tmp_path / "a.ckpt", state)
    back = checkpoint.read(tmp_path / "a.ckpt")
    for field in dataclasses.fields(Checkpoint):
        mine, read = getattr(state, field.name), getattr(back, field.name)
        if field.name in ("model", "phases", "random"):
            continue
        assert mine == read, field.name
    assert all(torch.equal(value, back.model[name]) for name, value in state.model.items())
    assert back.phases["fit"]["optimiser"]["state"][0]["step"] == 3.0
    assert torch.equal(state.random[0]["torch"], back.random[0]["torch"])


def test_tensors_are_stored_without_what_they_were_cut_from(tmp_path):
    big = torch.zeros(1_000_000)
    checkpoint.write(tmp_path / "a.ckpt", example(model={"w": big[:10]}))
    assert (tmp_path / "a.ckpt").stat().st_size < 100_000


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"last\.ckpt: is damaged or is no checkpoint"):
        checkpoint.read(file)


def test_a_flipped_bit_is_found(file):
    weight = checkpoint.read(file).model["weight"]
    content = bytearray(file.read_bytes())
    place = content.index(weight.numpy().tobytes())
    content[place + 100] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.ckpt: is damaged .*expected an intact"):
        checkpoint.read(file)


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint\n", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"]
)
def test_a_foreign_file_is_refused(tmp_path, content):
    file = tmp_path / "a.ckpt"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.ckpt: is damaged or is no checkpoint"):
        checkpoint.read(file)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], {"format": "other"}])
def test_a_checkpoint_of_another_program_is_refused(tmp_path, content):
    file = tmp_path / "a.ckpt"
    torch.save(content, file)
    with pytest.raises(CheckpointError, match="is not a checkpoint of pcgen"):
        checkpoint.read(file)


def test_another_version_is_refused(file):
    with pytest.raises(CheckpointError, match="version 3, expected 2; read it with the pcgen that"):
        checkpoint.read(rewritten(file, version=3))


def test_a_missing_or_wrong_entry_is_named(file):
    with pytest.raises(CheckpointError, match="got str as 'model', expected dict"):
        checkpoint.read(rewritten(file, model="weights"))
    with pytest.raises(CheckpointError, match="got nothing as 'model', expected dict"):
        checkpoint.read(rewritten(file, model=...))


class Runs:
    """Pickled so that loading it calls a function."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_file_that_names_a_foreign_class_is_not_run(tmp_path, file):
    content = torch.load(file, weights_only=True)
    for value, name in (
        (Runs(tmp_path / "ran"), "posix.mkdir"),
        (datetime.date(2026, 1, 1), "datetime"),
    ):
        torch.save({**content, "recipe": value}, file)
        with pytest.raises(CheckpointError, match=f"names {name}.*outside pcgen; not loaded"):
            checkpoint.read(file)
    assert not (tmp_path / "ran").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no\.ckpt: no such file"):
        checkpoint.read(tmp_path / "no.ckpt")
    with pytest.raises(CheckpointError, match="no such file, expected a checkpoint"):
        checkpoint.read(tmp_path)


def test_a_failed_write_leaves_the_last_good_one(file, monkeypatch):
    before = file.read_bytes()

    def fails(value, opened):
        opened.write(b"half")
        raise RuntimeError("killed")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(RuntimeError, match="killed"):
        checkpoint.write(file, example())
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["last.ckpt"]


def test_an_unwritable_place_is_named(tmp_path):
    with pytest.raises(FileError, match=r"missing/a\.ckpt: cannot be written"):
        checkpoint.write(tmp_path / "missing" / "a.ckpt", example())


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.zeros(2, 3)}, "lacks 'bias', expected the state of Linear"),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "more": torch.zeros(1)},
            "has 'more', expected the state of Linear",
        ),
        (
            {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)},
            r"got \(2, 4\) for 'weight', expected shape \(2, 3\)",
        ),
        ({"weight": "zeros", "bias": torch.zeros(2)}, "got zeros for 'weight'"),
    ],
)
def test_state_that_does_not_fit_is_named(state, message):
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    with pytest.raises(CheckpointError, match=message):
        checkpoint.fit("a.ckpt", module, state)
    assert torch.equal(module.weight, before)
