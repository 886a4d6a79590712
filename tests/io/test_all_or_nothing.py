"""What killed, second and failing writers leave behind: nothing, or something that is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds, io
from pcgen.errors import ArgumentError, FileError
from pcgen.io.atomic import scratch_folder
from pcgen.io.lock import lock_of, locked
from pcgen.schema import Quantity, Schema

SCHEMA = Schema((Quantity("x"), Quantity("y")))
EVENTS = 6
# Ends itself by SIGKILL at the given call of os.replace or os.rename; the list of a set that is
# moved takes one call before those of its files.
KILLED = """
import os, signal, sys, itertools
from pathlib import Path
calls, last = itertools.count(1), int(sys.argv[1])
def killing(function):
    def call(*arguments):
        if next(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call
os.replace, os.rename = killing(os.replace), killing(os.rename)
from pcgen.io import atomic
from pcgen.io.numbered import writing
target = Path(sys.argv[2])
if "%" in target.name:
    with writing(target, ".ply") as name:
        for event in range(6):
            name(event).write_text(f"killed {event}")
else:
    with atomic(target) as temporary:
        temporary.write_text("half")
"""


def killed(target: Path, call: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(call), str(target)], timeout=100)
    assert done.returncode == -signal.SIGKILL


def write(target: Path) -> None:
    batch = clouds.make(torch.arange(2.0 * EVENTS).reshape(EVENTS, 2), [1] * EVENTS)
    with io.cloud_writer(target, SCHEMA) as writer:
        writer.append(batch)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ended() -> int:
    """The number of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_part_of_a_set_is_refused_and_the_same_command_finishes(tmp_path):
    target = tmp_path / "e_%05d.ply"
    killed(target, 4)
    moved = [name for name in names(tmp_path) if name.startswith("e_")]
    assert moved == ["e_00000.ply", "e_00001.ply"]
    with pytest.raises(FileError, match="holds 2 of 6 files, since the command that writes them"):
        io.open_file(target)
    with pytest.raises(FileError, match="holds 2 of 6 files"):
        io.open_file(tmp_path, format="ply")
    write(target)
    assert names(tmp_path) == [f"e_{event:05d}.ply" for event in range(EVENTS)]
    with io.open_file(target) as source:
        assert source.read(0, EVENTS).pos.flatten().tolist() == list(range(12))


def test_a_set_in_a_new_folder_appears_in_one_step(tmp_path):
    killed(tmp_path / "new" / "e_%d.ply", 1)
    assert "new" not in names(tmp_path)
    write(tmp_path / "new" / "e_%d.ply")
    assert names(tmp_path) == ["new"]
    assert len(names(tmp_path / "new")) == EVENTS


def test_a_lock_of_the_writer_that_made_the_folder_is_removed(tmp_path):
    """It was killed when all files were there: the same command has nothing left to do."""
    target = tmp_path / "new" / "e_%d.ply"
    write(target)
    lock_of(tmp_path / "new").write_text("process 1 on elsewhere")
    with pytest.raises(FileError, match="6 such files are there already"):
        write(target)
    assert names(tmp_path) == ["new"]


def test_a_scratch_folder_is_removed_by_the_next_writer_at_the_latest(tmp_path):
    with scratch_folder(tmp_path / "a") as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path
        kept = folder.name.replace(f"-{os.getpid()}-", f"-{ended()}-")
    assert names(tmp_path) == []
    (tmp_path / kept).mkdir()
    (tmp_path / kept / "file").touch()
    with scratch_folder(tmp_path / "a"):
        assert kept not in names(tmp_path)
    with pytest.raises(FileError, match="cannot be written"), scratch_folder(tmp_path / "no" / "a"):
        pass


def test_a_file_that_replaced_one_of_a_killed_set_stays(tmp_path):
    killed(tmp_path / "e_%05d.ply", 4)
    (tmp_path / "e_00001.ply").unlink()
    (tmp_path / "e_00001.ply").write_text("the user's own, and longer")
    with io.atomic(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == ["a.txt", "e_00001.ply"]


def test_a_set_that_fails_while_it_is_moved_leaves_nothing(tmp_path, monkeypatch):
    replace, calls = os.replace, []

    def fails(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        return replace(*arguments)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(FileError, match=r"cannot be written \(No space left on device\)"):
        write(tmp_path / "e_%d.ply")
    assert names(tmp_path) == []


def test_files_of_the_same_names_are_not_replaced(tmp_path):
    (tmp_path / "a").write_text("old")

    def again() -> None:
        with io.atomic_folder(tmp_path) as temporary:
            (temporary / "a").write_text("new")

    with pytest.raises(FileError, match="a: is there already, expected no such file"):
        again()
    assert (tmp_path / "a").read_text() == "old"


def test_the_next_writer_sweeps_what_killed_ones_left(tmp_path):
    killed(tmp_path / "a.txt", 1)
    assert len(names(tmp_path)) == 1
    with io.atomic(tmp_path / "b.txt"):
        pass
    assert names(tmp_path) == ["b.txt"]


def test_only_own_files_of_this_machine_and_of_dead_processes_are_swept(tmp_path):
    with io.atomic(tmp_path / "a.txt") as own:
        machine = own.name.split(".pcgen-")[1].split("-")[0]
    dead, other = ended(), f"{(int(machine, 16) + 1) % 2**32:08x}"
    swept = [
        f".a.pcgen-{machine}-{dead}-00000000.tmp.txt",
        f".a.pcgen-{machine}-{dead}-00000000.tmp",
    ]
    kept = [
        f".a.pcgen-{machine}-{os.getppid()}-00000000.tmp.txt",  # of a process that lives
        f".a.pcgen-{other}-{dead}-00000000.tmp.txt",  # of another machine
        ".a.12345678.tmp.txt",
        f"a.pcgen-{machine}-{dead}-00000000.tmp.txt",  # not hidden
        f".a.pcgen-{machine}-{dead}-0000.tmp.txt",
    ]
    for name in (*swept, *kept):
        (tmp_path / name).touch()
    with io.atomic(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == sorted(["a.txt", *kept])


def test_a_process_that_has_ended_unnoticed_is_dead(tmp_path):
    """Nobody waits for it, as in a container whose first process does not."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with io.atomic(tmp_path / "a.txt") as own:
            machine = own.name.split(".pcgen-")[1].split("-")[0]
        (tmp_path / f".a.pcgen-{machine}-{process.pid}-00000000.tmp.txt").touch()
        with io.atomic(tmp_path / "a.txt"):
            pass
        assert names(tmp_path) == ["a.txt"]
    finally:
        process.wait()


def test_a_link_is_swept_and_not_what_it_points_to(tmp_path):
    with io.atomic(tmp_path / "a.txt") as own:
        machine = own.name.split(".pcgen-")[1].split("-")[0]
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / f".x.pcgen-{machine}-{ended()}-00000000.tmp").symlink_to(tmp_path / "precious")
    with io.atomic(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == ["a.txt", "precious"]
    assert names(tmp_path / "precious") == ["file"]


@settings(max_examples=40)
@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=255))
def test_every_name_that_the_system_takes_can_be_written(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    try:
        (folder / name).touch(exist_ok=False)
        (folder / name).unlink()
    except OSError:
        with pytest.raises(FileError), io.atomic(folder / name):
            pass
        return
    with io.atomic(folder / name) as temporary:
        assert temporary.suffix in (".tmp", (folder / name).suffix)
    assert names(folder) == [name]


def test_names_and_paths_that_are_too_long_are_one_line(tmp_path):
    for path in (tmp_path / ("a" * 252 + ".ply"), tmp_path / ("b" * 300), Path("c/" * 3000)):
        with pytest.raises(FileError, match="cannot be written"), io.atomic(path):
            pass
    with pytest.raises(FileError, match=r"cannot be written \(File name too long\)"):
        write(tmp_path / ("%d" + "a" * 300 + ".ply"))
    with pytest.raises(ArgumentError, match="got a number of 999999 digits, expected a name such"):
        write(tmp_path / "e_%0999999d.ply")
    assert names(tmp_path) == []


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is a device or a pipe"), io.atomic(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_that_vanishes_is_one_line(tmp_path):
    (tmp_path / "gone").mkdir()

    def vanishes() -> None:
        with io.atomic(tmp_path / "gone" / "a.txt") as temporary:
            temporary.unlink()
            temporary.parent.rmdir()
            temporary.write_text("late")

    with pytest.raises(FileError, match=r"gone/a\.txt: cannot be written \(No such file"):
        vanishes()


def test_errors_about_other_files_stay_what_they_are(tmp_path):
    def reads() -> None:
        with io.atomic(tmp_path / "a.txt"):
            (tmp_path / "source").read_text()

    with pytest.raises(FileNotFoundError) as caught:
        reads()
    assert not isinstance(caught.value, FileError)


def test_a_second_writer_of_a_set_gets_one_line(tmp_path):
    target = tmp_path / "e_%d.ply"
    with (
        locked(lock_of(target), target),
        pytest.raises(FileError, match=rf"e_%d\.ply: is being written by process {os.getpid()} on"),
    ):
        write(target)
    write(target)
    assert names(tmp_path) == [f"e_{event}.ply" for event in range(EVENTS)]


def test_a_lock_file_without_its_process_locks_nothing(tmp_path):
    (tmp_path / "lock").write_text("process 1 on elsewhere")
    with locked(tmp_path / "lock", "a"):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")
    assert names(tmp_path) == []
