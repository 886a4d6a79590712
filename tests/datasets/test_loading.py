"""Opening files of clouds: the right events, by contiguous reads, in every way one may ask."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader

from pcgen import clouds as convention
from pcgen.datasets import loading
from pcgen.datasets.loading import CloudDataset, open_clouds
from pcgen.datasets.splits import split_index
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io import JETS, CloudFile, CloudWriter
from pcgen.schema import Quantity, Schema

SCHEMA = Schema(
    axes=(Quantity("x", "mm"), Quantity("y", "mm")),
    weight=Quantity("E", "GeV"),
    condition=(Quantity("number"),),
    labels=("a", "b", "c"),
)


def numbered(number: int, first: int = 0, seed: int = 0) -> Batch:
    """Clouds of 0 to 4 points that carry the number of their event in every row."""
    random = torch.Generator().manual_seed(seed)
    sizes = torch.randint(0, 5, (number,), generator=random)
    event = torch.arange(first, first + number)
    pos = torch.repeat_interleave(event, sizes)[:, None].float().expand(-1, 2)
    weight = torch.rand(len(pos), generator=random)
    return convention.make(
        pos.contiguous(), sizes, weight=weight, y=event[:, None].float(), label=event % 3
    )


def write(path: Path, clouds: Batch, schema: Schema = SCHEMA) -> Path:
    with CloudWriter(path, schema) as writer:
        writer.append(clouds)
    return path


def same(first: Batch, second: Batch) -> bool:
    one, two = convention.attributes(first), convention.attributes(second)
    return (
        one.keys() == two.keys()
        and torch.equal(first.ptr, second.ptr)
        and all(torch.equal(one[name], two[name]) for name in one)
    )


@pytest.fixture(scope="module")
def two_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Batch]:
    folder = tmp_path_factory.mktemp("clouds")
    parts = [numbered(700), numbered(400, first=700, seed=1)]
    paths = [write(folder / f"{i}.h5", part) for i, part in enumerate(parts)]
    return paths, convention.concat(parts)


@pytest.mark.parametrize("split", ["train", "validation", "test", "all"])
def test_a_split_over_two_files_is_the_splits_of_the_files(
    two_files: tuple[list[Path], Batch], split: str
) -> None:
    paths, everything = two_files
    dataset = open_clouds(paths, split)
    index = torch.cat([split_index(700, split), split_index(400, split) + 700])
    wanted = convention.select(everything, index)
    assert len(dataset) == len(index)
    assert torch.equal(dataset.sizes(), convention.sizes(wanted))
    assert same(dataset.load(), wanted)
    assert dataset.schema == SCHEMA


@given(items=st.lists(st.integers(0, 1099), max_size=40))
def test_gather_gives_the_requested_clouds_in_that_order(
    two_files: tuple[list[Path], Batch], items: list[int]
) -> None:
    paths, everything = two_files
    wanted = convention.select(everything, items)
    with pytest.MonkeyPatch.context() as patch:
        assert same(open_clouds(paths, "all").gather(items), wanted)
        patch.setattr(loading, "_MEMORY", 0)
        assert same(open_clouds(paths, "all").gather(items), wanted)
        patch.setattr(loading, "_GAP", 10)  # many small reads
        assert same(open_clouds(paths, "all").gather(items), wanted)
        patch.setattr(loading, "_RANGE", 7)
        assert same(open_clouds(paths, "all").gather(items), wanted)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    reads: list[tuple[int, int]] = []
    read = CloudFile.read

    def spy(
        self: CloudFile, start: int = 0, stop: int | None = None, *, check: bool = True
    ) -> Batch:
        reads.append((start, -1 if stop is None else stop))
        return read(self, start, stop, check=check)

    monkeypatch.setattr(CloudFile, "read", spy)
    return reads


def test_a_whole_split_is_a_handful_of_reads(
    two_files: tuple[list[Path], Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_clouds(two_files[0], "train")
    reads = counted(monkeypatch)
    first = dataset.load()
    assert len(reads) == 2
    assert same(dataset.load(), first)
    assert dataset[5].num_nodes == int(dataset.sizes()[5])
    assert len(reads) == 2  # it stays in memory
    monkeypatch.setattr(loading, "_MEMORY", int(dataset.sizes().sum()) - 1)
    assert same(dataset.read(0, 9), convention.select(first, slice(0, 9)))
    assert len(reads) == 3


def test_what_a_user_does_to_a_batch_stays_with_the_user(
    two_files: tuple[list[Path], Batch],
) -> None:
    paths, everything = two_files
    dataset = open_clouds(paths, "all")
    for clouds in (dataset.load(), dataset.read(0, 1100), next(iter(dataset.batches(1100).all()))):
        clouds.pos.zero_()
        clouds.y.zero_()
    assert same(dataset.load(), everything)


def test_far_events_are_not_read_through(
    two_files: tuple[list[Path], Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_clouds(two_files[0], "all")
    monkeypatch.setattr(loading, "_MEMORY", 0)
    monkeypatch.setattr(loading, "_GAP", 100)
    reads = counted(monkeypatch)
    dataset.gather([3, 4, 5, 500, 501, 900])
    assert reads == [(3, 6), (500, 502), (200, 201)]


def test_reads_are_bounded(
    two_files: tuple[list[Path], Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_clouds(two_files[0], "all")
    monkeypatch.setattr(loading, "_MEMORY", 0)
    monkeypatch.setattr(loading, "_RANGE", 200)
    reads = counted(monkeypatch)
    dataset.load()
    spans = [int(dataset.sizes()[slice(*read)].sum()) for read in reads if read[1] <= 400]
    assert len(reads) >= 10
    assert max(spans) <= 208


def test_single_clouds_are_pyg_data(two_files: tuple[list[Path], Batch]) -> None:
    paths, everything = two_files
    dataset = open_clouds(paths, "all")
    for item in (0, 699, 700, -1):
        one, wanted = dataset[item], everything[item % 1100]
        assert torch.equal(one.pos, wanted.pos)
        assert torch.equal(one.y, wanted.y)
        assert torch.equal(one.label, wanted.label)
    with pytest.raises(IndexError, match="got 1100, expected -1100 to 1099"):
        dataset[1100]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_pyg_loader(
    two_files: tuple[list[Path], Batch], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_MEMORY", 0)
    dataset = open_clouds(two_files[0], "train")
    dataset.read(0, 1)  # the files are open in this process when the workers are forked
    loader = DataLoader(dataset, batch_size=50, num_workers=workers)
    batches = list(loader)
    assert same(convention.concat(batches), dataset.load())


def test_a_pickled_data_set_opens_its_files_again(two_files: tuple[list[Path], Batch]) -> None:
    dataset = open_clouds(two_files[0], "test", max_points=2)
    dataset.load()
    packed = pickle.dumps(dataset)
    assert len(packed) < 60_000  # not the clouds
    again: CloudDataset = pickle.loads(packed)
    assert same(again.load(), dataset.load())


def test_classes_choose_events_by_name(two_files: tuple[list[Path], Batch]) -> None:
    paths, _ = two_files
    both = open_clouds(paths, "train", classes=("c", "a")).load()
    everything = open_clouds(paths, "train").load()
    assert same(both, convention.select(everything, everything.label != 1))


@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=8),
    number=st.integers(1, 7),
    data=st.data(),
)
def test_the_heaviest_points_are_kept_in_order(
    sizes: list[int], number: int, data: st.DataObject
) -> None:
    total = sum(sizes)
    values = data.draw(st.lists(st.integers(0, 3), min_size=total, max_size=total))
    weight = torch.tensor(values, dtype=torch.float32)
    clouds = convention.make(torch.arange(float(total))[:, None], sizes, weight=weight)
    kept = convention.heaviest(clouds, number)
    for b, size in enumerate(sizes):
        start = int(clouds.ptr[b])
        ranked = sorted(range(start, start + size), key=lambda i: -values[i])  # stable
        assert kept[b].pos[:, 0].tolist() == sorted(ranked[:number])


def test_max_points_cuts_sizes_and_clouds(two_files: tuple[list[Path], Batch]) -> None:
    paths, everything = two_files
    dataset = open_clouds(paths, "all", max_points=2)
    assert same(dataset.load(), convention.heaviest(everything, 2))
    assert torch.equal(dataset.sizes(), convention.sizes(everything).clamp(max=2))


def test_jetnet_files_open_with_the_same_call(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    number, slots = 120, 30
    present = np.arange(slots) < random.integers(1, slots + 1, (number, 1))
    particles = random.random((number, slots, 4)) * present[..., None]
    particles[..., 3] = present
    jets = np.stack([900 + random.random(number), *random.random((3, number))], axis=1)
    jets[:, 3] = present.sum(1)
    for name in ("g", "t"):
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            file["particle_features"], file["jet_features"] = particles, jets
    dataset = open_clouds([tmp_path / "g.hdf5", tmp_path / "t.hdf5"], "train")
    clouds, chosen = dataset.load(), split_index(number, "train")
    assert dataset.schema.labels == JETS.labels
    assert clouds.label.tolist() == [0] * len(chosen) + [2] * len(chosen)
    assert clouds.y[: len(chosen), 0].numpy() == pytest.approx(jets[chosen, 0])
    assert torch.equal(dataset.sizes()[: len(chosen)], torch.from_numpy(present.sum(1))[chosen])


def test_random_batches_hold_events_of_the_split(two_files: tuple[list[Path], Batch]) -> None:
    paths, _ = two_files
    batches = open_clouds(paths, "train", seed=5).batches(20, seed=1)
    held_out = open_clouds(paths, "test", seed=5).load().y
    drawn = torch.cat([batches(step).y for step in range(batches.per_epoch())])
    assert len(drawn.unique()) == len(drawn)
    assert not torch.isin(drawn, held_out).any()


def test_all_clouds_empty_is_a_legal_data_set(tmp_path: Path) -> None:
    empty = convention.make(torch.zeros(0, 2), [0] * 9, weight=torch.zeros(0))
    dataset = open_clouds(write(tmp_path / "a.h5", empty), "all")
    assert dataset.load().ptr.tolist() == [0] * 10
    assert dataset.batches(4)(0).num_graphs == 4


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"split": "dev"}, ArgumentError, "split: got 'dev'"),
        ({"classes": ("a", "d")}, ArgumentError, "classes: got d, expected some of a, b, c"),
        ({"classes": ()}, ArgumentError, "classes: got none"),
        ({"max_points": 0}, ArgumentError, "max_points: got 0"),
        ({"seed": 2**32}, ArgumentError, "seed: got 4294967296"),
    ],
)
def test_bad_arguments_are_named(
    two_files: tuple[list[Path], Batch],
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        open_clouds(two_files[0], **arguments)


def _no_events(folder: Path) -> Path:
    return write(folder / "a.h5", numbered(0))


def _one_event(folder: Path) -> Path:
    return write(folder / "a.h5", numbered(1))


def _no_labels(folder: Path) -> Path:
    return write(folder / "a.h5", convention.replace(numbered(9), label=None))


@pytest.mark.parametrize(
    ("make", "arguments", "error", "message"),
    [
        (_no_events, {}, DataError, "a.h5: got 0 events, none in split 'train'"),
        (_one_event, {"split": "test"}, DataError, "got 1 events, none in split 'test'"),
        (_one_event, {"classes": ("c",)}, DataError, "none of class c in split 'train'"),
        (_no_labels, {"classes": ("a",)}, DataError, "a.h5: got clouds without label"),
        (lambda folder: folder / "b.h5", {}, FileError, "b.h5"),
        (lambda folder: [], {}, ArgumentError, "paths: got none"),
    ],
)
def test_bad_files_are_named(
    tmp_path: Path,
    make: Callable[[Path], Any],
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        open_clouds(make(tmp_path), **arguments)


def test_files_that_disagree_are_refused(tmp_path: Path) -> None:
    metres = replace(SCHEMA, axes=(Quantity("x", "m"), Quantity("y", "m")))
    paths = [
        write(tmp_path / "a.h5", numbered(5)),
        write(tmp_path / "b.h5", numbered(5), metres),
    ]
    with pytest.raises(
        DataError, match=r"b.h5: got axes x \[m\].*expected x \[mm\].* as in .*a.h5"
    ):
        open_clouds(paths, "all")
    turning = replace(SCHEMA, axes=(replace(SCHEMA.axes[0], period=9.0), *SCHEMA.axes[1:]))
    with pytest.raises(DataError, match=r"d.h5: got axes x \[mm\] with period 9.0"):
        open_clouds([paths[0], write(tmp_path / "d.h5", numbered(5), turning)], "all")
    named = replace(SCHEMA, axes=tuple(replace(axis, symbol="$q$") for axis in SCHEMA.axes))
    other = write(tmp_path / "c.h5", numbered(5), replace(named, description="elsewhere"))
    assert len(open_clouds([paths[0], other], "all")) == 10


def test_ranges_and_weights_are_checked(two_files: tuple[list[Path], Batch]) -> None:
    dataset = open_clouds(two_files[0], "all")
    with pytest.raises(ArgumentError, match="range: got 5 to 1101, expected one within 0 to 1100"):
        dataset.read(5, 1101)
    with pytest.raises(ArgumentError, match="clouds without weights"):
        convention.heaviest(convention.make(torch.zeros(2, 1), [2]), 1)
