"""A file appears complete or not at all."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest
import torch

from pcgen import clouds, io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.schema import Quantity, Schema


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_at_the_end_under_its_name_with_its_ending(tmp_path):
    with io.atomic(tmp_path / "a.txt") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with io.atomic(tmp_path / "a") as temporary:
        temporary.write_text("new")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, DataError, OSError])
def test_failure_leaves_what_was_there_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def fail():
        with io.atomic(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error("stop")

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_missing_folder_is_found_before_the_work(tmp_path):
    with pytest.raises(FileError, match=r"none/a\.txt: cannot be written \(No such file"):
        io.atomic(tmp_path / "none" / "a.txt").__enter__()


def test_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(FileError, match="is a folder, expected the name of a file"):
        io.atomic(tmp_path).__enter__()


def test_no_permission(tmp_path, monkeypatch):
    # Root may write everywhere, so the refusal of the system is played.
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(FileError, match=r"a\.txt: cannot be written \(Permission denied\)"):
        io.atomic(tmp_path / "a.txt").__enter__()
    assert names(tmp_path) == []


def test_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path):
    schema = Schema((Quantity("x"),))
    batch = clouds.make(torch.rand(200_000, 1), [200_000])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = io.CloudWriter(tmp_path / "a.h5", schema, compression=0)

    def fill():
        with writer:
            writer.append(batch)

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(FileError, match=r"a\.h5: cannot be written \(File too large\)"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []
    # HDF5 has closed the file that it could not write: the next one is good.
    io.write_clouds(tmp_path / "a.h5", batch, schema)
    assert torch.equal(io.read_clouds(tmp_path / "a.h5")[0].pos, batch.pos)


def test_folder_of_files_appears_at_the_end(tmp_path):
    with io.atomic_folder(tmp_path / "new") as temporary:
        (temporary / "a").write_text("1")
        assert not (tmp_path / "new").exists()
    with io.atomic_folder(tmp_path / "new") as temporary:
        (temporary / "b").write_text("2")
    assert names(tmp_path) == ["new"]
    assert names(tmp_path / "new") == ["a", "b"]


def test_failed_folder_leaves_nothing(tmp_path):
    def fail():
        with io.atomic_folder(tmp_path / "new") as temporary:
            (temporary / "a").write_text("1")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert names(tmp_path) == []


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="is a file, expected the name of a folder"):
        io.atomic_folder(tmp_path / "file").__enter__()
    with pytest.raises(FileError, match="cannot be written"):
        io.atomic_folder(tmp_path / "none" / "new").__enter__()


def test_append_belongs_into_the_with_statement(tmp_path):
    writer = io.CloudWriter(tmp_path / "a.h5", Schema((Quantity("x"),)))
    with pytest.raises(ArgumentError, match="outside of the writer's with statement"):
        writer.append(clouds.make(torch.zeros(1, 1), [1]))
    with writer:
        pass
    with pytest.raises(ArgumentError, match="outside of the writer's with statement"):
        writer.append(clouds.make(torch.zeros(1, 1), [1]))
