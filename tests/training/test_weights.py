"""Weights in safetensors: the same samples as the run, and as hard to abuse as a checkpoint."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import stand_in
import torch

import pcgen
from pcgen import loading
from pcgen.datasets import sample_jets
from pcgen.datasets.jets import SAMPLE
from pcgen.errors import ArgumentError, CheckpointError, FileError
from pcgen.recipes import RECIPES
from pcgen.training import Machine, Reports, checkpoint, train, weights


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Nobody writes into it."""
    return stand_in.ship(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def file(source, tmp_path) -> Path:
    copy = tmp_path / "a.safetensors"
    copy.write_bytes(source.read_bytes())
    return copy


def parts(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    with safetensors.safe_open(path, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return tensors, json.loads(opened.metadata()["pcgen"])


def changed(path: Path, tensors: dict[str, Any] | None = None, **facts: Any) -> Path:
    """The file with other tensors and facts, and with the digest that belongs to them."""
    before, content = parts(path)
    now = {n: v for n, v in {**before, **(tensors or {})}.items() if v is not None}
    known = {name: value for name, value in now.items() if value.dtype in weights._TYPES}
    content = {name: v for name, v in {**content, **facts}.items() if v is not ...}
    stated = {name: v for name, v in content.items() if name in weights._KINDS and name != "digest"}
    if "digest" not in facts:
        content["digest"] = weights._digest(known, stated)
    path.write_bytes(safetensors.torch.save(now, {"pcgen": json.dumps(content)}))
    return path


def sampled(path: Path) -> torch.Tensor:
    clouds = pcgen.load(path).sample(number=20, generator=torch.Generator().manual_seed(1))
    return torch.cat([clouds.pos, clouds.weight[:, None]], 1)


def test_weights_of_a_run_sample_what_the_run_samples(tmp_path):
    """Those of its running averages, which differ from what was learnt last."""
    run = tmp_path / "run"
    train(
        RECIPES["points-flow"](**stand_in.SMALL), sample_jets("train").batches(8, 0), folder=run,
        steps=3, recipe="points-flow", arguments=stand_in.SMALL, machine=Machine("cpu"),
        reports=Reports(progress=False), config={"data": ["jets.h5"]},
        local={"data": [str(SAMPLE)]},
    )  # fmt: skip
    file = loading.write_weights(run, tmp_path / "a.safetensors")
    state, stored = checkpoint.read(run / "checkpoints/last.ckpt"), weights.read(file)
    assert not torch.equal(
        state.model["field.global_in.bias"], stored.model["field.global_in.bias"]
    )
    assert torch.equal(sampled(run), sampled(file))
    for name in ("recipe", "step", "best", "seconds", "config"):
        assert json.loads(json.dumps(getattr(state, name))) == getattr(stored, name), name
    assert stored.phases == {}
    assert str(tmp_path).encode() not in file.read_bytes()


def test_fewer_events_are_some_of_them_and_what_was_fitted_stays(source, tmp_path):
    few = pcgen.load(loading.write_weights(source, tmp_path / "few.safetensors", events=20))
    law, all_of_them = few.representation.cardinality, pcgen.load(source).representation.cardinality
    kept, stored = law.all_stored(), all_of_them.all_stored()
    rows = {tuple(row) for row in torch.cat([stored.total[:, None], stored.centroid], 1).tolist()}
    assert len(kept.total) == 20 < len(stored.total)
    found = torch.cat([kept.total[:, None], kept.centroid], 1).tolist()
    assert all(tuple(row) in rows for row in found)
    assert len({tuple(row) for row in found}) == 20
    assert torch.equal(law.line, all_of_them.line)
    assert len(few.sample(number=5).ptr) == 6
    same = loading.write_weights(source, tmp_path / "same.safetensors", events=10**6)
    assert same.read_bytes() == source.read_bytes()
    with pytest.raises(ArgumentError, match="events: got 0, expected >= 1"):
        loading.write_weights(source, tmp_path / "none.safetensors", events=0)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_weights(tmp_path, recipe):
    model = RECIPES[recipe]()
    state = stand_in.state_of(model, recipe, {})
    weights.write(tmp_path / "a.safetensors", model, state)
    loaded = pcgen.load(tmp_path / "a.safetensors").state_dict()
    for name, value in model.state_dict().items():
        assert loaded[name].dtype == value.dtype, name
        assert torch.equal(loaded[name], value), name


def test_the_same_weights_are_the_same_bytes(source, tmp_path):
    again = loading.write_weights(source, tmp_path / "again.safetensors")
    assert again.read_bytes() == source.read_bytes()


def test_whole_numbers_are_as_narrow_as_they_can_be(source):
    tensors = parts(source)[0]
    table = {
        name.rpartition(".")[2]: v.dtype for name, v in tensors.items() if "cardinality" in name
    }
    assert table["sizes"] == torch.uint8
    assert table["label"] == torch.uint8
    assert table["total"] == torch.float32
    for value in ([-1, 255], [0, 256], [0, 2**15], [0, 2**31]):
        kept = weights._narrow(torch.tensor(value))
        assert kept.tolist() == value
    assert weights._narrow(torch.tensor([0, 2**15])).dtype == torch.int32


def test_another_ending_is_refused(source, tmp_path):
    with pytest.raises(ArgumentError, match=r"got '\.pt', expected the ending '\.safetensors'"):
        loading.write_weights(source, tmp_path / "a.pt")
    with pytest.raises(FileError, match="cannot be written"):
        loading.write_weights(source, tmp_path / "none" / "a.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_truncated_weights_are_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        CheckpointError, match=r"a\.safetensors: (is damaged or is no safe|header: got)"
    ):
        pcgen.load(file)


def test_a_flipped_bit_of_weights_is_found(file):
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is damaged \(a value changed\), expected intact"):
        pcgen.load(file)


def test_a_changed_number_of_the_metadata_is_found(file):
    content, count = re.subn(rb'(\\"step\\": )\d', rb"\g<1>9", file.read_bytes())
    assert count == 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is damaged \(a value changed\), expected intact"):
        pcgen.load(file)


def test_weights_of_version_1_are_read(file):
    tensors, content = parts(file)
    expected = sampled(file)
    content |= {"version": 1, "digest": weights._digest(tensors)}
    file.write_bytes(safetensors.torch.save(tensors, {"pcgen": json.dumps(content)}))
    assert torch.equal(sampled(file), expected)


def test_weights_of_another_program_are_refused(tmp_path):
    file = tmp_path / "a.safetensors"
    for metadata in (None, {"format": "pt"}):
        safetensors.torch.save_file({"w": torch.zeros(2)}, file, metadata)
        with pytest.raises(CheckpointError, match="is by another program"):
            pcgen.load(file)
    torch.save({"w": torch.zeros(2)}, file)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: (is damaged|header)"):
        pcgen.load(file)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"version": 3}, "got weights of version 3, expected 1 to 2; read them with the pcgen "),
        ({"version": "1"}, "got weights of version str, expected 1 to 2"),
        ({"recipe": "os.system"}, "names the recipe 'os.system', expected one of pcgen's own"),
        ({"recipe": ["points-flow"]}, "got list as 'recipe', expected str or NoneType"),
        ({"arguments": ...}, "got nothing as 'arguments', expected dict"),
        ({"arguments": {"hidden": 10**9}}, "argument hidden: got 1000000000 layers"),
        ({"arguments": {"hidden": 10**6}}, r"got a network of \d+ numbers in"),
        ({"arguments": {"hidden": 9}}, r"got \(.*\) for '.*', expected shape"),
        ({"arguments": {"width": 9}}, "its arguments do not fit the recipe 'points-flow'"),
        ({"schema": {"axes": []}}, "another schema than the recipe"),
    ],
)
def test_metadata_that_lie_build_nothing(file, facts, message, monkeypatch):
    built = loading._built

    def on_meta(*given: Any) -> Any:
        assert torch.empty(1).is_meta or "schema" in facts, "nothing real may be built"
        return built(*given)

    monkeypatch.setattr(loading, "_built", on_meta)
    with pytest.raises(CheckpointError, match=message):
        pcgen.load(changed(file, **facts))


def test_metadata_without_end_are_refused(file, monkeypatch):
    deep: Any = []
    for _ in range(80):
        deep = [deep]
    with pytest.raises(CheckpointError, match="JSON is nested deeper than 64"):
        pcgen.load(changed(file, config={"data": deep}))
    monkeypatch.setenv("PCGEN_MAX_VALUES", "1000")
    with pytest.raises(CheckpointError, match="got 1001 values, with all repetitions"):
        pcgen.load(changed(file, config={"data": list(range(2000))}))
    monkeypatch.setenv("PCGEN_MAX_TEXT", "1000")
    with pytest.raises(CheckpointError, match=r"header: got .* bytes of a configuration"):
        pcgen.load(file)


def test_a_header_that_announces_more_than_there_is(file):
    for size in (2**20, 2**63):
        file.write_bytes(struct.pack("<Q", size) + file.read_bytes()[8:])
        with pytest.raises(CheckpointError, match=r"a\.safetensors: (header: got|is damaged)"):
            pcgen.load(file)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3), r"got \(3,\) for '.*', expected shape \(\)"),
        (torch.zeros(()), "got torch.float32 for '.*', expected torch.int64"),
        (
            torch.zeros((), dtype=torch.bfloat16),
            "got torch.bfloat16 for '.*', expected whole numbe",
        ),
        (torch.zeros((), dtype=torch.complex64), "got torch.complex64 for"),
        (None, "lacks '.*', expected the state of FlowMatching"),
    ],
)
def test_tensors_of_another_kind_are_named(file, value, message):
    with pytest.raises(CheckpointError, match=message):
        pcgen.load(changed(file, {"representation.cardinality.stored": value}))


def test_what_is_no_regular_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="is a device, FIFO or socket"):
        pcgen.load(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"b\.safetensors: no such file"):
        pcgen.load(tmp_path / "b.safetensors")
