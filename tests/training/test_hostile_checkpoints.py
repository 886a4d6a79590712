"""Checkpoints that announce more than they hold: refused before anything is unpacked or built."""

from __future__ import annotations

import dataclasses
import inspect
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

import pcgen
from pcgen import loading
from pcgen.errors import CheckpointError
from pcgen.recipes import RECIPES
from pcgen.training import checkpoint
from pcgen.training.checkpoint import Checkpoint

WITH_ENCODERS = [
    n for n, make in RECIPES.items() if "encoder" in inspect.signature(make).parameters
]
SMALL = {"latent_dim": 2, "hidden": 4, "layers": 1}


def of_model(recipe: str, **arguments: Any) -> Checkpoint:
    model = RECIPES[recipe](**arguments)
    return Checkpoint(
        recipe, arguments, model.schema.to_dict(), model.state_dict(), {}, 1, 1, [], None, {}, 0.0,
        {}, [], {},
    )  # fmt: skip


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "a.ckpt"
    checkpoint.write(path, of_model("points-vae", **SMALL))
    return path


def changed(path: Path, **values: Any) -> Path:
    content = torch.load(path, weights_only=True)
    for name, value in values.items():
        content[name] = {**content[name], **value} if isinstance(value, dict) else value
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("recipe", "encoder"),
    [
        *((name, None) for name in RECIPES if name not in WITH_ENCODERS),
        *((name, "epic") for name in WITH_ENCODERS),
        *(("points-flow", encoder) for encoder in ("pointnet", "edgeconv", "attention", "list")),
        *(("points-vae", encoder) for encoder in ("pointnet", "edgeconv", "attention", "list")),
    ],
)
def test_every_recipe_is_measured_before_it_is_built(tmp_path, recipe, encoder):
    state = of_model(recipe, **({"encoder": encoder} if encoder else {}))
    checkpoint.write(tmp_path / "a.ckpt", state)
    model = pcgen.load(tmp_path / "a.ckpt")
    assert not any(value.is_meta for value in (*model.parameters(), *model.buffers()))
    assert all(torch.equal(value, state.model[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"layers": 2**40},
            "argument layers: got 1099511627776 layers, channels, steps or the lik",
        ),
        ({"hidden": -(2**70)}, r"argument hidden: got more than 10\^\d+ layers"),
        (
            {"hidden": 10**6},
            r"got a network of \d+ numbers in \d+ tensors or more, expected the \d+ in",
        ),
        ({"layers": 10**6}, r"got a network of \d+ numbers in"),
        ({"encoder": "edgeconv", "layers": 10**6}, r"got a network of \d+ numbers in"),
        ({"encoder": "list", "list_length": 10**6}, r"got a network of \d+ numbers in"),
        ({"latent_dim": 10**6}, r"got a network of \d+ numbers in"),
        ({"hidden": -1}, "its arguments do not fit the recipe 'points-vae'"),
        ({"hidden": "8"}, "its arguments do not fit the recipe 'points-vae'"),
        ({"hidden": [8]}, "its arguments do not fit the recipe 'points-vae'"),
        ({"schema": {"axes": 3}}, "its arguments do not fit the recipe 'points-vae'"),
        ({"hidden": 8}, r"got \(.*\) for '.*', expected shape"),
    ],
)
def test_arguments_of_a_larger_network_are_refused_before_it_is_built(
    file, arguments, message, monkeypatch
):
    built = loading._built

    def on_meta(*given: Any) -> Any:
        assert torch.empty(1).is_meta, "nothing real may be built"
        return built(*given)

    monkeypatch.setattr(loading, "_built", on_meta)
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=rf"a\.ckpt: .*{message}"):
        pcgen.load(changed(file, arguments=arguments))
    assert time.monotonic() - start < 10


def test_arguments_may_be_larger_where_the_user_allows_it(file, monkeypatch):
    monkeypatch.setenv("PCGEN_MAX_ARGUMENT", "3")
    with pytest.raises(CheckpointError, match=r"hidden: got 4 .*PCGEN_MAX_ARGUMENT sets another"):
        pcgen.load(file)


def test_packed_members_are_refused(file):
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/more", bytes(10**6))
    with pytest.raises(CheckpointError, match="got 'archive/more' packed in a file of"):
        checkpoint.read(file)


def test_members_that_are_laid_over_each_other_are_refused(file):
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in members.items():
            archive.writestr(name, value)
        # Two more entries of the directory for the same bytes.
        for name in ("archive/more", "archive/even more"):
            again = zipfile.ZipInfo(name)
            place = archive.getinfo(largest.filename)
            again.header_offset, again.CRC = place.header_offset, place.CRC
            again.file_size = again.compress_size = place.file_size
            archive.filelist.append(again)
    with pytest.raises(CheckpointError, match=r"got members of \d+ bytes in a file of \d+ bytes"):
        checkpoint.read(file)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(10**12),
        torch.zeros(1).expand(4),
        torch.empty(10**12, device="meta"),
        torch.zeros(4).to_sparse(),
        torch.sparse_coo_tensor([[0]], [1.0], (10**15,), check_invariants=True),
    ],
)
def test_tensors_that_are_more_than_their_bytes_are_refused(file, tensor):
    for values in ({"model": {"x": tensor}}, {"phases": {"fit": {"average": {"x": tensor}}}}):
        with pytest.raises(CheckpointError, match="not as large as its bytes"):
            checkpoint.read(changed(file, **values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": torch.zeros(2)}, "is not a checkpoint of pcgen"),
        ({"version": torch.zeros(2)}, "got a checkpoint of version Tensor, expected 2"),
        ({"version": "2\n"}, "got a checkpoint of version str, expected 2"),
        ({"model": {"x": None}}, "got a NoneType as 'x' of 'model', expected a Tensor"),
        ({"model": {3: torch.zeros(1)}}, "got a Tensor as '3' of 'model', expected a Tensor with"),
        ({"phases": {"fit": 3}}, "got a int as 'fit' of 'phases', expected a dict"),
    ],
)
def test_entries_of_another_kind_are_named(file, values, message):
    with pytest.raises(CheckpointError, match=rf"a\.ckpt: {message}"):
        checkpoint.read(changed(file, **values))


@pytest.mark.parametrize("stored", [10**12, -1])
def test_a_number_of_stored_clouds_that_are_not_there_is_refused(file, stored):
    key = "representation.cardinality.stored"
    with pytest.raises(CheckpointError, match=r"a\.ckpt: .*stored is not a number of the"):
        pcgen.load(changed(file, model={key: torch.tensor(stored)}))


def test_values_that_repeat_without_end_are_refused(file, monkeypatch):
    value: Any = []
    for _ in range(50):
        value = [value, value]
    monkeypatch.setenv("PCGEN_MAX_VALUES", "10000")
    with pytest.raises(CheckpointError, match="got 10001 values, with all repetitions"):
        checkpoint.read(changed(file, config={"data": value}))


def test_a_users_own_recipe_shows_its_own_errors(file):
    state = dataclasses.replace(checkpoint.read(file), recipe=None, arguments={})

    def mine() -> Any:
        raise ZeroDivisionError("of mine")

    with pytest.raises(CheckpointError, match=r"recipe mine: raised ZeroDivisionError: of mine \("):
        loading.build(file, state, mine)
