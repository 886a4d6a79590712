"""Clouds and their contexts in one file of pcgen: written, read, damaged."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_pairs import CONTEXT, SCHEMA, equal, pairs, truths

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io import CloudFile, CloudWriter, write_clouds
from pcgen.tools import cli


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 4))
def test_written_in_blocks_and_read_in_ranges(tmp_path_factory, first, second, high) -> None:
    file = tmp_path_factory.mktemp("pairs") / "p.h5"
    blocks = [pairs(first, 1, high=high), pairs(second, 2, high=high)]
    with CloudWriter(file, SCHEMA, context_schema=CONTEXT) as writer:
        for block in blocks:
            writer.append(block)
    clouds = pc.concat(blocks)
    with CloudFile(file) as source:
        assert (source.context_schema, "context_schema" in source.attrs) == (CONTEXT, False)
        assert equal(source.read(), clouds)
        assert equal(source.read(first, first + second), blocks[1])


def test_a_file_of_no_pairs_is_legal(tmp_path: Path) -> None:
    with CloudWriter(tmp_path / "none.h5", SCHEMA, context_schema=CONTEXT):
        pass
    with CloudFile(tmp_path / "none.h5") as source:
        assert pc.context(source.read()).pos.shape == (0, 2)


def test_contexts_are_checked_like_clouds(tmp_path: Path) -> None:
    file, clouds = tmp_path / "p.h5", pairs(4)
    with pytest.raises(DataError, match="without contexts"):
        write_clouds(file, pc.replace(clouds, context=None), SCHEMA, context_schema=CONTEXT)
    bad = truths(4)
    bad = pc.replace(bad, weight=-bad.weight)
    with pytest.raises(DataError, match=r"context: weight of event \d is -"):
        write_clouds(file, pc.replace(clouds, context=bad), SCHEMA, context_schema=CONTEXT)
    with pytest.raises(ArgumentError, match=r"only pcgen's own files \(.h5\) store"):
        write_clouds(tmp_path / "p.npz", clouds, SCHEMA, format="arrays", context_schema=CONTEXT)
    assert not file.exists()


def test_damaged_contexts_are_named(tmp_path: Path) -> None:
    file = tmp_path / "p.h5"
    for damage, message in {
        "context_ptr": "expected context_pos and context_ptr among them",
        "shorter": "got 2 contexts, expected one for each of the 4 clouds",
        "context_weight": "/context_weight has shape",
    }.items():
        write_clouds(file, pairs(4), SCHEMA, context_schema=CONTEXT)
        with h5py.File(file, "r+") as opened:
            if damage == "context_ptr":
                del opened[damage]
            elif damage == "shorter":
                points = len(opened["context_pos"])
                del opened["context_ptr"]
                opened["context_ptr"] = torch.tensor([0, 1, points]).numpy()
                for name in ("context_y", "context_label"):
                    values = opened[name][:2]
                    del opened[name]
                    opened[name] = values
            else:
                del opened[damage]
                opened[damage] = torch.zeros(1).numpy()
        with pytest.raises(FileError, match=message):
            CloudFile(file)


def test_convert_keeps_contexts(tmp_path: Path, capsys) -> None:
    write_clouds(tmp_path / "p.h5", pairs(4), SCHEMA, context_schema=CONTEXT)
    assert cli.main(["convert", str(tmp_path / "p.h5"), str(tmp_path / "c.h5")]) == 0
    assert "lost" not in capsys.readouterr().out
    assert (tmp_path / "c.h5").read_bytes() == (tmp_path / "p.h5").read_bytes()
