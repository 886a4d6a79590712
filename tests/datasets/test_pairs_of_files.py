"""Contexts from files of their own: the same events, in every split, block and batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_pairs import CONTEXT, SCHEMA, equal, pairs, truths, write_pairs

from pcgen import clouds as pc
from pcgen.datasets import loading, open_clouds
from pcgen.errors import DataError, FileError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image
from pcgen.io import image_writer, write_clouds
from pcgen.io.image_source import Images


def test_each_cloud_has_its_own_context(tmp_path: Path) -> None:
    events, truth = write_pairs(tmp_path)
    for split in ("train", "validation", "test", "all"):
        data = open_clouds(events, split, context=truth)
        assert (data.schema, data.context_schema) == (SCHEMA, CONTEXT)
        clouds = data.load()
        assert torch.equal(clouds.y, pc.context(clouds).y)
        items = torch.randperm(len(data))[:7]
        assert equal(data.gather(items), pc.select(clouds, items))
        batch = data.batches(4, seed=1)(5)
        assert torch.equal(batch.y, pc.context(batch).y)
        assert torch.equal(data[0].context_pos, clouds[0].context_pos)
    assert len(data) == 100


def test_of_a_large_file_windows_are_paired_too(tmp_path: Path, monkeypatch) -> None:
    events, truth = write_pairs(tmp_path)
    small = open_clouds(events, "train", context=truth).batches(8, seed=3)(2)
    monkeypatch.setattr(loading, "_MEMORY", 10)
    data = open_clouds(events, "train", context=truth)
    assert not data.in_memory
    batch = data.batches(8, seed=3)(2)
    assert torch.equal(batch.y, pc.context(batch).y)
    assert equal(
        data.gather(torch.arange(5)), open_clouds(events, "train", context=truth).read(0, 5)
    )
    assert len(small.ptr) == len(batch.ptr)


def test_several_files_and_classes(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        (tmp_path / name).mkdir()
        write_pairs(tmp_path / name, 60, seed)
    events = [str(tmp_path / name / "events.h5") for name in ("one", "two")]
    truth = [str(tmp_path / name / "truth.h5") for name in ("one", "two")]
    data = open_clouds(events, "train", classes=["b"], context=truth)
    clouds = data.load()
    assert bool((clouds.label == 1).all())
    assert torch.equal(clouds.y, pc.context(clouds).y)
    with pytest.raises(DataError, match="expected one for each of the 2 files"):
        open_clouds(events, context=truth[:1])
    # In another order the events are others.
    with pytest.raises(DataError, match=r"got .* in pair 0 of those that were read, expected"):
        open_clouds(events, context=truth[::-1]).load()


def test_one_file_of_pairs_needs_no_other(tmp_path: Path) -> None:
    clouds = pairs(30)
    write_clouds(tmp_path / "p.h5", clouds, SCHEMA, context_schema=CONTEXT)
    data = open_clouds(tmp_path / "p.h5", "all")
    assert data.context_schema == CONTEXT
    assert equal(data.load(), clouds)
    write_clouds(tmp_path / "plain.h5", pc.replace(clouds, context=None), SCHEMA)
    with pytest.raises(DataError, match="contexts in one of the two"):
        open_clouds([tmp_path / "p.h5", tmp_path / "plain.h5"])


def test_other_events_are_refused(tmp_path: Path) -> None:
    events, _ = write_pairs(tmp_path, 40)
    write_clouds(tmp_path / "fewer.h5", truths(39), CONTEXT)
    with pytest.raises(DataError, match="got 39 events, expected the 40 of"):
        open_clouds(events, context=tmp_path / "fewer.h5")
    write_clouds(tmp_path / "others.h5", truths(40, 7), CONTEXT)
    with pytest.raises(DataError, match=r"others.h5: got (class|pt) .*same events in the same"):
        open_clouds(events, context=tmp_path / "others.h5").load()


def test_images_are_their_active_cells(tmp_path: Path) -> None:
    events, _ = write_pairs(tmp_path, 40)
    grid = Grid.parse("x:-1:1:8:mm,y:-1:1:8:mm")
    truth = truths(40)
    image = cloud_to_image(truth, grid, outside="clip")
    with image_writer(tmp_path / "i.npz", 40, grid, CONTEXT) as sink:
        sink.append(Images(image, truth.y, truth.label))
    data = open_clouds(events, "all", context=tmp_path / "i.npz")
    context = pc.context(data.load())
    assert data.context_schema.axes == grid.axes
    assert pc.sizes(context).tolist() == (image > 0).flatten(1).sum(1).tolist()
    torch.testing.assert_close(pc.total(context), pc.total(truth))
    with image_writer(tmp_path / "i.npy", 40, grid, CONTEXT) as sink:
        sink.append(Images(image))
    with pytest.raises(FileError, match="images on unknown cells"):
        open_clouds(events, context=tmp_path / "i.npy")
