"""Simulation in chunks: the same file from any number of processes and interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pcgen.datasets import jets as module
from pcgen.datasets.jets import plan, simulate_jets
from pcgen.datasets.pythia import SEEDS, Jets, JetSettings
from pcgen.errors import ArgumentError, FileError
from pcgen.io import CloudFile


class Generator:
    """Stands for Pythia: jets that are a function of class, number and seed; counts its calls."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.calls: list[tuple[str, int]] = []
        self.fail_at = fail_at

    def __call__(self, name: str, number: int, seed: int, settings: JetSettings) -> Jets:
        if len(self.calls) == self.fail_at:
            raise KeyboardInterrupt
        self.calls.append((name, number))
        random = np.random.default_rng(seed)
        sizes = random.integers(1, 5, number)
        row = random.random((3, sizes.sum()), dtype=np.float32)
        jet = random.random((4, number), dtype=np.float32)
        event = np.sort(random.permutation(2 * number)[:number] // 2)
        kind = np.full(sizes.sum(), 211, dtype=np.int32)
        charge, rest = kind.astype(np.int8), 0 * row[2]
        return Jets(row[:2].T.copy(), row[2], kind, charge, rest, sizes, *jet, event)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 10)


def use(monkeypatch: pytest.MonkeyPatch, generator: Generator) -> Generator:
    monkeypatch.setattr(module, "generate", generator)
    return generator


def test_the_plan_has_every_jet_once_and_no_seed_twice_in_a_class() -> None:
    rounds = plan("gt", 10 * 400 + 3, 5, JetSettings())
    assert [[chunk.name for chunk in chunks] for chunks in rounds] == [["g", "t"]] * 401
    for name in "gt":
        chunks = [chunk for chunks in rounds for chunk in chunks if chunk.name == name]
        assert sum(chunk.number for chunk in chunks) == 4003
        seeds = [chunk.arguments[2] for chunk in chunks]
        assert len(set(seeds)) == len(seeds)
        assert min(seeds) >= 1
        assert max(seeds) <= SEEDS
    first = {chunk.arguments[2] for s in (5, 6) for chunk in plan("gt", 10, s, JetSettings())[0]}
    assert len(first) == 4  # another seed or class, another place among Pythia's seeds
    # The chunks of a class do not depend on which other classes are made, nor on how many jets.
    assert [chunks[1] for chunks in rounds[:3]] == [
        chunks[0] for chunks in plan("t", 30, 5, JetSettings())
    ]


def test_one_and_two_processes_write_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("pythia8mc")
    files = []
    for processes in (1, 2):
        path = tmp_path / f"{processes}.h5"
        simulate_jets(path, number=13, classes="qz", processes=processes, progress=False)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.h5", "2.h5"]


def test_an_interrupted_simulation_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pythia8mc")
    use(monkeypatch, Generator())
    (whole,) = simulate_jets(tmp_path / "whole.h5", number=25, progress=False)

    path = tmp_path / "parts.h5"
    first = use(monkeypatch, Generator(fail_at=4))
    with pytest.raises(KeyboardInterrupt):
        simulate_jets(path, number=25, progress=False)
    assert not path.exists()
    assert len(list((tmp_path / "parts.h5.parts").glob("*.npz"))) == 4

    second = use(monkeypatch, Generator())
    simulate_jets(path, number=25, progress=False)
    assert path.read_bytes() == whole.read_bytes()
    assert first.calls + second.calls == [(c, n) for n in (10, 10, 5) for c in "gqt"]
    assert not (tmp_path / "parts.h5.parts").exists()

    third = use(monkeypatch, Generator())
    simulate_jets(path, number=25, progress=False)  # complete: nothing to do
    assert third.calls == []


def test_jets_of_the_file_are_those_of_the_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pythia8mc")
    generator = use(monkeypatch, Generator())
    (path,) = simulate_jets(tmp_path / "a.h5", number=25, classes="tw", seed=3, progress=False)
    with CloudFile(path) as file:
        clouds, attrs = file.read(), file.attrs
    rounds = plan("tw", 25, 3, JetSettings())
    made = {
        (name, float(pt)): chunk[0]
        for round_ in rounds
        for name in "tw"
        for chunk in [[c for c in round_ if c.name == name]]
        for pt in generator(*chunk[0].arguments).pt
    }
    names = [file.schema.labels[label] for label in clouds.label.tolist()]
    found = list(zip(names, clouds.y[:, 0].tolist(), strict=True))
    assert sorted(found) == sorted(made)
    # Round after round, and mixed within each.
    index = [made[jet].index for jet in found]
    assert index == sorted(index)
    assert names[:20] not in (["t"] * 10 + ["w"] * 10, ["w"] * 10 + ["t"] * 10)
    assert attrs["simulation"]["classes"] == ["t", "w"]
    assert attrs["simulation"]["seed"] == 3


def test_the_two_jets_of_a_collision_are_neighbours() -> None:
    parts = [Generator()(name, 50, seed, JetSettings()) for name, seed in (("g", 1), ("q", 2))]
    order = module._mixed(parts, np.random.RandomState(0))
    assert sorted(order) == list(range(100))
    collision = np.concatenate([parts[0].event, parts[1].event + 1000])[order]
    runs = 1 + int((np.diff(collision) != 0).sum())
    assert runs == len(np.unique(collision))
    assert runs < 100


def test_an_unfinished_simulation_of_other_settings_is_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pythia8mc")
    path = tmp_path / "a.h5"
    use(monkeypatch, Generator(fail_at=1))
    with pytest.raises(KeyboardInterrupt):
        simulate_jets(path, number=25, progress=False)
    with pytest.raises(FileError, match=r"a.h5.parts: holds the unfinished simulation of other"):
        simulate_jets(path, number=25, seed=1, progress=False)
    assert json.loads((tmp_path / "a.h5.parts" / "settings.json").read_text())["seed"] == 0


def test_a_damaged_chunk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pythia8mc")
    path = tmp_path / "a.h5"
    use(monkeypatch, Generator(fail_at=2))
    with pytest.raises(KeyboardInterrupt):
        simulate_jets(path, number=25, progress=False)
    (tmp_path / "a.h5.parts" / "g-000000.npz").write_bytes(b"PK\x03\x04 cut")
    use(monkeypatch, Generator())
    with pytest.raises(FileError, match=r"g-000000.npz: damaged .* delete it and run"):
        simulate_jets(path, number=25, progress=False)
    assert not path.exists()


def test_files_of_others_are_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pythia8mc")
    generator = use(monkeypatch, Generator())
    path = tmp_path / "a.h5"
    simulate_jets(path, number=5, progress=False)
    before = path.read_bytes()
    with pytest.raises(FileError, match=r"a.h5: holds other data, delete it or choose another"):
        simulate_jets(path, number=6, progress=False)
    assert path.read_bytes() == before
    (tmp_path / "b.h5").write_text("my notes")
    calls = len(generator.calls)
    with pytest.raises(FileError, match=r"b.h5: holds other data"):
        simulate_jets(tmp_path / "b.h5", number=5, progress=False)
    assert len(generator.calls) == calls


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"number": 0}, "number: got 0"),
        ({"classes": "gx"}, "classes: got 'g x', expected some of g q t w z"),
        ({"classes": "gg"}, "classes: got 'g g', .* each once"),
        ({"classes": ""}, "classes: got ''"),
        ({"seed": -1}, "seed: got -1"),
        ({"processes": 0}, "processes: got 0"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        simulate_jets(tmp_path / "a.h5", **{"number": 5, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be_written_are_named_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pythia8mc")
    generator = use(monkeypatch, Generator())
    with pytest.raises(ArgumentError, match=r"a.npz', expected a name that ends in .h5 or .hdf5"):
        simulate_jets(tmp_path / "a.npz", number=5)
    with pytest.raises(FileError, match=r"a.h5.parts: cannot be written \(No such file"):
        simulate_jets(tmp_path / "missing" / "a.h5", number=5)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"a.h5.parts: cannot be written \(Not a directory"):
        simulate_jets(tmp_path / "file" / "a.h5", number=5)
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(FileError, match=r"folder.h5: holds other data"):
        simulate_jets(tmp_path / "folder.h5", number=5)
    assert generator.calls == []


def test_the_progress_bar_goes_to_the_error_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pythia8mc")
    use(monkeypatch, Generator())
    simulate_jets(tmp_path / "a.h5", number=25, classes="g")
    printed = capsys.readouterr()
    assert "25/25" in printed.err
    assert printed.out == ""


_KILLED = """
if __name__ == "__main__":
    import sys
    from pcgen.datasets import jets

    jets.CHUNK = 20
    jets.simulate_jets(sys.argv[1], number=80, classes="qz", processes=2, progress=False)
"""


def _children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_a_killed_simulation_leaves_no_workers_and_can_be_finished(tmp_path: Path) -> None:
    pytest.importorskip("pythia8mc")
    script, path = tmp_path / "script.py", tmp_path / "a.h5"
    script.write_text(_KILLED)
    process = subprocess.Popen([sys.executable, str(script), str(path)])
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("a.h5.parts/*.npz")):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers = _children(process.pid)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not path.exists()
    while any(_running(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.1)
    for name in (path, tmp_path / "whole.h5"):
        subprocess.run([sys.executable, str(script), str(name)], check=True)
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    with CloudFile(path) as file:
        assert torch.bincount(file.read().label).tolist() == [0, 80, 0, 0, 80]


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
