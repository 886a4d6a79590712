from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen import io
from pcgen.datasets import open_clouds
from pcgen.datasets.provenance import BLOCK, BLOCKS, digest
from pcgen.schema import Quantity, Schema
from pcgen.testing import random_clouds, random_sizes

SCHEMA = Schema((Quantity("x", "mm"), Quantity("y", "mm")), weight=Quantity("energy", "GeV"))


def events(number: int, seed: int = 0):
    return random_clouds(random_sizes(number, high=4, seed=seed), seed=seed)


def digest_of(path, batch, schema=SCHEMA, **options) -> str:
    io.write_clouds(path, batch, schema, **options)
    with io.open_file(path) as source:
        return digest(source)


def test_a_digest_does_not_depend_on_place_packing_type_or_format(tmp_path):
    batch = events(10)
    known = digest_of(tmp_path / "a.h5", batch)
    assert len(known) == 32
    (tmp_path / "other").mkdir()
    assert digest_of(tmp_path / "other" / "b.h5", batch) == known
    assert digest_of(tmp_path / "c.h5", pc.cast(batch, torch.float64)) == known
    assert open_clouds([tmp_path / "a.h5"] * 2).digests() == [known, known]
    prose = dataclasses.replace(SCHEMA, description="made at noon")
    assert digest_of(tmp_path / "d.h5", batch, prose) == known
    with io.cloud_writer(tmp_path / "e_%d.ply", SCHEMA) as writer:
        writer.append(batch)
    with io.open_file(tmp_path / "e_%d.ply") as source:
        assert digest(source) == known


@settings(max_examples=15)
@given(st.integers(1, 40), st.data())
def test_a_digest_of_few_events_depends_on_every_number(tmp_path_factory, number, data):
    folder = tmp_path_factory.mktemp("digests")
    batch = events(number, seed=number)
    if not batch.num_nodes:
        return
    row = data.draw(st.integers(0, batch.num_nodes - 1))
    pos, weight = batch.pos.clone(), batch.weight.clone()
    pos[row, data.draw(st.integers(0, 1))] += 1e-3
    weight[row] += 1e-3
    digests = {
        digest_of(folder / "a.h5", batch),
        digest_of(folder / "b.h5", pc.replace(batch, pos=pos)),
        digest_of(folder / "c.h5", pc.replace(batch, weight=weight)),
        digest_of(folder / "d.h5", pc.select(batch, torch.arange(number - 1))),
        digest_of(
            folder / "e.h5", batch, dataclasses.replace(SCHEMA, weight=Quantity("energy", "MeV"))
        ),
    }
    assert len(digests) == 5


@pytest.mark.parametrize("event", [0, BLOCK - 1, 1999])
def test_a_digest_of_many_events_depends_on_the_first_and_last_blocks(tmp_path, event):
    assert BLOCK * BLOCKS < 2000
    batch = pc.make(torch.zeros(2000, 2), [1] * 2000, weight=torch.ones(2000))
    pos = batch.pos.clone()
    pos[event] = 1.0
    known = digest_of(tmp_path / "a.h5", batch)
    assert digest_of(tmp_path / "b.h5", pc.replace(batch, pos=pos)) != known


def test_a_file_without_events_has_a_digest(tmp_path):
    assert digest_of(tmp_path / "a.h5", events(0)) == digest_of(tmp_path / "b.h5", events(0))
