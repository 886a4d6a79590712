"""``pcgen classify``: scores of a run, by class, with points missing, and in files."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import pcgen
from pcgen import clouds as pc
from pcgen.io import write_clouds
from pcgen.schema import Quantity, Schema
from pcgen.tools import cli
from pcgen.tools.classify import without

TOY = Schema((Quantity("x"), Quantity("y")), labels=("left", "right", "never"))


def toy(number: int = 120) -> pc.Batch:
    """Clouds of five points to the left or right of the middle."""
    label = torch.arange(number) % 2
    pos = torch.randn(5 * number, 2, generator=torch.Generator().manual_seed(0))
    pos[:, 0] += (4.0 * label - 2)[torch.arange(5 * number) // 5]
    return pc.make(pos, [5] * number, label=label)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of toys, and a run that has learnt them."""
    path: Path = tmp_path_factory.mktemp("classify")
    write_clouds(path / "toy.h5", toy(), TOY)
    words = (
        f"train jets-classifier --data {path}/toy.h5 --output {path}/run --hidden 8 --steps 60 "
        "--batch-size 20 --validate-every 30 --accelerator cpu --progress false --pooling max"
    )
    assert cli.main(words.split()) == 0
    return path


def test_a_run_is_scored_by_class_and_without_points(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"classify {folder}/run {folder}/toy.h5 --split all --missing 0 0.8 --device cpu"
    assert cli.main(words.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("120 events, accuracy 0.9") or "accuracy 1.0" in lines[0]
    assert lines[1].split()[:3] == ["class", "events", "accuracy"]
    assert [line.split()[0] for line in lines[2:4]] == ["left", "right"]
    assert lines[4].startswith("without 0 % of the points: ")
    assert lines[4].split(": ")[1] == lines[0].split("accuracy ")[1]
    assert lines[5].startswith("without 80 % of the points: ")
    log = (folder / "run" / "metrics.csv").read_text().splitlines()[0]
    assert "validation/error" in log
    assert not list((folder / "run" / "samples").iterdir())
    assert (folder / "run" / "figures" / "learning-curves.png").exists()


def test_scores_of_each_event_in_every_format(folder: Path) -> None:
    model = pcgen.load(folder / "run")
    expected = model.probabilities(toy())  # type: ignore[attr-defined]
    for ending in (".h5", ".npz", ".csv"):
        target = folder / f"scores{ending}"
        words = f"classify {folder}/run {folder}/toy.h5 {target} --split all --missing 0.5"
        assert cli.main(words.split()) == 0
        if ending == ".csv":
            with target.open() as file:
                rows = list(csv.DictReader(file))
            assert [row["label"] for row in rows[:2]] == ["left", "right"]
            found = np.array([[float(row[f"p_{n}"]) for n in TOY.labels] for row in rows])
        elif ending == ".npz":
            arrays = np.load(target)
            assert arrays["classes"].tolist() == list(TOY.labels)
            found = arrays["probability"]
        else:
            with h5py.File(target) as file:
                assert list(file.attrs["classes"]) == list(TOY.labels)
                assert file["label"][:2].tolist() == [0, 1]
                found = file["probability"][:]
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)


def test_a_class_of_one_event_is_explained_and_empty_events_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = pc.select(toy(), torch.tensor([0, 1, 2, 4]))
    write_clouds(folder / "few.h5", few, TOY)
    assert cli.main(f"classify {folder}/run {folder}/few.h5 --split all".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "nan" in lines[3]
    # Of the others of "left" there is one, too.
    assert lines[4] == "nan (left, right): a class needs two events of its own and two of others"
    empty = pc.make(torch.zeros(0, 2), [0] * 3, label=torch.arange(3) % 2)
    write_clouds(folder / "empty.h5", empty, TOY)
    assert cli.main(f"classify {folder}/run {folder}/empty.h5 --split all".split()) == 1
    error = "empty.h5: got 3 events without a point, expected some with one"
    assert error in capsys.readouterr().err


def test_events_without_classes_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = pc.replace(toy(10), label=None)
    write_clouds(folder / "plain.h5", plain, Schema(TOY.axes))
    words = f"classify {folder}/run {folder}/plain.h5 {folder}/plain.csv --split all"
    assert cli.main(words.split()) == 0
    assert capsys.readouterr().out.startswith("10 events: left ")
    assert (folder / "plain.csv").read_text().startswith("event,p_left,p_right,p_never\n")


def test_classes_are_those_of_the_same_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = Schema(TOY.axes, labels=("right", "left"))
    write_clouds(folder / "turned.h5", pc.replace(toy(), label=1 - toy().label), turned)
    out = []
    for name in ("toy", "turned"):
        words = f"classify {folder}/run {folder}/{name}.h5 --split all --missing 0.5"
        assert cli.main(words.split()) == 0
        out.append(capsys.readouterr().out)
    assert out[0] == out[1]


def test_points_are_taken_from_each_cloud() -> None:
    clouds = pc.make(torch.arange(16.0)[:, None], [10, 1, 0, 5])
    draw = torch.Generator().manual_seed(0)
    fewer = without(clouds, 0.5, draw)
    assert pc.sizes(fewer).tolist() == [5, 1, 0, 2]
    assert set(fewer.pos.flatten().tolist()) < set(range(16))
    assert torch.equal(without(clouds, 0.0, draw).pos, clouds.pos)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--missing 1", "missing: got [1.0], expected shares of at least 0 and below 1"),
        ("scores.txt", "output: got 'scores.txt', expected a name in .h5, .hdf5, .csv, .npz"),
        ("nowhere/a.csv", "nowhere/a.csv: cannot be written (No such file or directory)"),
    ],
)
def test_refusals(folder: Path, words: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["classify", f"{folder}/run", f"{folder}/toy.h5", *words.split()]) == 1
    assert error in capsys.readouterr().err


def test_events_of_other_axes_or_classes_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clouds(folder / "up.h5", toy(), Schema(TOY.axes, labels=("left", "up")))
    assert cli.main(["classify", f"{folder}/run", f"{folder}/up.h5", "--split", "all"]) == 1
    assert "got an event of class up, expected left, right, never" in capsys.readouterr().err
    other = Schema((Quantity("x", "mm"), Quantity("y")), labels=TOY.labels)
    write_clouds(folder / "mm.h5", toy(), other)
    assert cli.main(["classify", f"{folder}/run", f"{folder}/mm.h5", "--split", "all"]) == 1
    assert "as in the training of the classifier" in capsys.readouterr().err


def test_two_sets_are_told_apart_by_what_a_classifier_has_learnt(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same law scores 1/2; clouds of one side alone are separated from those of both sides."""
    real, draw = toy(600), torch.Generator().manual_seed(1)
    same = real.pos + 0.01 * torch.randn(3000, 2, generator=draw)
    left = real.pos - torch.tensor([4.0, 0]) * real.label[real.batch][:, None]
    write_clouds(folder / "many.h5", real, TOY)
    for name, pos in (("same", same), ("left", left)):
        made = pc.replace(real, pos=pos, label=None)
        write_clouds(folder / f"{name}.h5", made, Schema(TOY.axes))
    found = []
    for name in ("same", "left"):
        words = f"evaluate {folder}/many.h5 {folder}/{name}.h5 --split all"
        more = f"--classifier {folder}/run --subset 0 --repeats 2 --permutations 0 "
        more += f"--output {folder}/{name}"
        assert cli.main([*words.split(), *more.split()]) == 0
        rows = (folder / name / "table.md").read_text().splitlines()
        (row,) = [row for row in rows if row.startswith("| AUC learnt ")]
        found.append(float(row.split("|")[3].strip("* ").split()[0]))
    assert found[0] < 0.62
    assert found[1] > 0.68
    capsys.readouterr()
    words = f"evaluate {folder}/toy.h5 {folder}/same.h5 --protocol pointflow --classifier x"
    assert cli.main(words.split()) == 1
    assert "classifier: got x, protocol pointflow takes none" in capsys.readouterr().err


def test_a_classifier_is_neither_sampled_nor_exported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, error in (
        (f"sample {folder}/run {folder}/a.h5", "got a classifier, which generates no events"),
        (f"export {folder}/run {folder}/a.onnx", "got a Classifier, which has no from_noise"),
    ):
        assert cli.main(words.split()) == 1
        assert error in capsys.readouterr().err
