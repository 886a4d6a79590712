"""``pcgen evaluate --between``: events within a range of a condition, on both sides."""

from __future__ import annotations

import json

import pytest

from pcgen import clouds as cl
from pcgen.datasets import sample_jets
from pcgen.io import JETS, write_clouds
from pcgen.tools import cli

FAST = ["--split", "all", "--repeats", "2", "--subset", "0", "--permutations", "0"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of jets, and how many of each have between 950 and 1000 GeV."""
    folder = tmp_path_factory.mktemp("between")
    jets = sample_jets("train", max_points=5).read(0, 300)
    parts = {"real.h5": slice(0, 180), "fake.h5": slice(180, 300)}
    numbers = []
    for name, rows in parts.items():
        part = cl.select(jets, rows)
        write_clouds(folder / name, part, JETS)
        inside = (part.y[:, 0] >= 950) & (part.y[:, 0] < 1000)
        numbers.append(int(inside.sum()))
    return folder, tuple(numbers), (180, 120)


def compared(files, tmp_path, *options):
    folder = files[0]
    words = ["evaluate", str(folder / "real.h5"), str(folder / "fake.h5"), *FAST]
    assert cli.main([*words, "--output", str(tmp_path / "out"), *options]) == 0
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    return tuple(stored["fake"]["events"])


def test_both_sides_are_cut_at_the_same_values(files, tmp_path, capsys):
    _, inside, every = files
    assert 20 < inside[1] < every[1]
    assert compared(files, tmp_path, "--between", "jet_pt=950:1000") == inside
    assert "(all, jet_pt=950:1000)" in capsys.readouterr().out.replace("\n", " ")


def test_ends_may_be_left_out_and_ranges_add_up(files, tmp_path):
    _, inside, every = files
    assert compared(files, tmp_path, "--between", "jet_pt=:") == every
    both = ["jet_pt=950:", "jet_pt=:1000"]
    assert compared(files, tmp_path, "--between", *both) == inside


def test_classes_and_ranges_go_together(files, tmp_path):
    with_class = compared(files, tmp_path, "--between", "jet_pt=950:1000", "--classes", "g", "q")
    jets = sample_jets("train", max_points=5).read(0, 180)
    inside = (jets.y[:, 0] >= 950) & (jets.y[:, 0] < 1000) & (jets.label < 2)
    assert with_class[0] == int(inside.sum())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--between", "jet_pt"], "between: got 'jet_pt', expected NAME=LOW:HIGH"),
        (["--between", "jet_pt=a:b"], "between: got 'jet_pt=a:b', expected NAME=LOW:HIGH"),
        (["--between", "jet_pt=5:5"], "between: got 'jet_pt=5:5', expected NAME=LOW:HIGH"),
        (["--between", "mass=1:2"], "between: got 'mass', expected a condition of"),
        (["--between", "jet_pt=1100:"], "expected at least 20 and 10"),
        (["--between", "jet_pt=1:2"], "got no event with jet_pt from 1 to 2, expected some"),
        (["--protocol", "calochallenge", "--between", "jet_pt=1:2"], "takes all showers"),
    ],
)
def test_what_selects_nothing_is_one_line(files, tmp_path, capsys, options, message):
    folder = files[0]
    words = ["evaluate", str(folder / "real.h5"), str(folder / "fake.h5"), *options]
    if "calochallenge" not in options:
        words += FAST
    assert cli.main([*words, "--output", str(tmp_path / "out")]) != 0
    error = capsys.readouterr().err
    assert message in error
    assert not (tmp_path / "out").exists()
    assert error.count("\n") == 1
