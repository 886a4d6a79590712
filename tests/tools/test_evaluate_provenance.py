"""Whether generated events are scored on events that made them, and what results say of places."""

from __future__ import annotations

import pytest
import torch

from pcgen import clouds as pc
from pcgen import io
from pcgen.datasets import open_clouds, sample_jets
from pcgen.io import JETS, write_clouds
from pcgen.tools import cli


def some(start: int, stop: int):
    return sample_jets("all", max_points=4).read(start, stop)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Real jets, other real jets, and those with their energies halved."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_clouds(folder / "real.h5", some(0, 150), JETS)
    other = some(150, 190)
    write_clouds(folder / "other.h5", other, JETS)
    write_clouds(folder / "soft.h5", pc.replace(other, weight=other.weight / 2), JETS)
    return folder


QUICK = ("--subset", "0", "--permutations", "0", "--repeats", "2")


def printed(capsys, folder, real, generated, *options):
    words = ["evaluate", str(folder / real), str(generated), *options, *QUICK]
    assert cli.main([*words, "--output", str(folder / "out")]) == 0
    return capsys.readouterr().out


def test_the_same_file_on_both_sides_is_named(files, capsys):
    out = printed(capsys, files, "real.h5", files / "real.h5", "--split", "test")
    assert "both files are the same: real events are compared with themselves\n" in out
    assert "in every point" not in out
    assert "the same" not in printed(capsys, files, "real.h5", files / "other.h5")


def test_numbered_files_are_read_on_both_sides(files, capsys):
    with io.cloud_writer(files / "e_%d.ply", JETS) as writer:
        writer.append(pc.replace(some(0, 30), label=None))
    out = printed(capsys, files, "real.h5", files / "e_%d.ply", "--split", "all")
    assert "30 of 30 generated events equal real ones in every point\n" in out


def test_events_of_both_sides_are_counted(files, tmp_path, capsys):
    jets = some(140, 170)
    write_clouds(tmp_path / "mixed.h5", jets, JETS)
    out = printed(capsys, files, "real.h5", tmp_path / "mixed.h5", "--split", "all")
    assert "10 of 30 generated events equal real ones in every point\n" in out


@pytest.mark.parametrize(
    ("real", "split", "word"),
    [("real", "train", "are"), ("real", "all", "include"), ("real", "test", ""),
     ("copy", "train", "are"), ("soft", "train", "")],
)  # fmt: skip
def test_events_that_trained_the_model_are_named(files, tmp_path, capsys, real, split, word):
    jets = some(0, 150)
    write_clouds(files / "copy.h5", pc.cast(jets, torch.float64), JETS)
    trained = [{"name": "old.h5", "digest": None}]
    trained += [{"name": "real.h5", "digest": open_clouds(files / "real.h5").digests()[0]}]
    other = some(150, 190)
    write_clouds(tmp_path / "made.h5", other, JETS, attrs={"trained_on": {"data": trained}})
    out = printed(capsys, files, f"{real}.h5", tmp_path / "made.h5", "--split", split)
    line = f"the real events ({real}.h5, {split}) {word} those that trained the model"
    assert (line in out) if word else ("trained the model" not in out)


@pytest.mark.parametrize("attrs", [{"trained_on": 3}, {"trained_on": {"data": [3, {}, None]}}])
def test_a_record_of_another_program_is_passed_over(files, tmp_path, capsys, attrs):
    write_clouds(tmp_path / "made.h5", some(150, 190), JETS, attrs=attrs)
    assert "trained" not in printed(capsys, files, "real.h5", tmp_path / "made.h5")


def test_results_name_files_without_their_place(files, capsys):
    printed(capsys, files, "real.h5", files / "other.h5", "--split", "all")
    for file in (files / "out").iterdir():
        assert str(files).encode() not in file.read_bytes(), file
    assert "other.h5 against real.h5 (all)" in (files / "out" / "table.txt").read_text()
