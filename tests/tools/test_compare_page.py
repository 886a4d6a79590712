"""The page of a comparison, from rows that were made by hand."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_study import result, written

from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.tools import cli
from pcgen.tools.comparison import folder as folders
from pcgen.tools.comparison import page, results, tables, workers
from pcgen.tools.comparison.results import Result
from pcgen.tools.comparison.study import Study
from pcgen.tools.comparison.study_file import read

COSTS = {"ms_per_step": 2.0, "us_per_event": 100.0, "parameters": 1234}
PAGE: list[Any] = [
    {"text": "{rows} rows of {steps} steps on {machine}, {filled:.0%} full. {links}"},
    {"labels": "net"},
    {"file": "own.md"},
    {"section": "Answers", "blocks": ["answers"]},
    {"section": "None", "rows": {"net": "attention"}, "blocks": ["scores"]},
    {"section": "All", "blocks": [
        {"figure": "columns", "file": "score.png", "caption": "Score", "x": "net", "colour": "loss",
         "scores": {"score": "score"}, "floors": {"net": "truth"}},
        {"scores": {"floors": {}, "heads": {"net": "net", "loss": "loss", "size": "R"}}},
        {"costs": {"columns": {"parameters": "numbers", "ms_per_step": "ms"}}},
        {"curves": {"among": "loss"}},
        {"figure": "lines", "file": "size.png", "caption": "Size", "x": "size", "base": 2,
         "colour": "net", "panels": ["loss"], "scores": {"score": "score"},
         "floors": {"net": "truth"}, "tick": "{size}\n{filled:.0%}"},
        {"figure": "lines", "file": "cost.png", "caption": "Cost", "x": "filled", "colour": "net",
         "style": "loss", "scores": {"ms_per_step": "ms", "us_per_event": "us"}},
        {"figure": "curves", "file": "curves.png", "caption": "Curves", "panels": ["net", "loss"],
         "colour": "size"},
        {"figure": "profile", "file": "profile.png", "caption": "Profile", "colour": "net",
         "style": "size", "scores": {"score": 0, "ms_per_step": 10}, "mark": "filled"},
    ]},
    {"section": "Troubles", "blocks": ["troubles"]},
]  # fmt: skip


def stored(folder: Path, rows: list[Result], steps: int = 50) -> Path:
    """A folder of a comparison with these rows in it."""
    folder.mkdir(exist_ok=True)
    folders.claim(folder, {"steps": steps, "seconds": None, "files": ["jets.h5"], "events": 9})
    for each in rows:
        values = {**each.factors, "seed": each.seed, **each.values}
        folders.write_json(folder / "rows" / f"{each.name}.json", workers.plain(values))
    return folder


def seeds(net: str, loss: str, values: list[float], size: int = 32, **options: Any) -> list[Result]:
    """Rows that differ in seed and score."""
    more = options.pop("numbers", {})
    return [
        result(net=net, loss=loss, size=size, seed=seed, numbers={"score": v, **more}, **options)
        for seed, v in enumerate(values)
    ]


def study_of(folder: Path, **changes: Any) -> Study:
    """A study with three factors, whose rows are not looked at."""
    nets, losses = ["image", "sites", "epic", "list", "truth"], ["gan", "vae", "flow", "real"]
    entry = {"net": nets, "loss": losses, "size": [32, 64], "recipe": "r"}
    factors = {"net": {"image": "dense", "sites": "sparse"}, "loss": {}, "size": {}}
    return read(str(written(folder, Path("jets.h5"), rows=[entry], factors=factors, **changes)))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "own.md").write_text("Written {by hand}.\n")
    question = {"name": "H", "text": "Sparse.", "expect": "sites < image", "rows": {"size": 32}}
    study_of(folder, page=PAGE, questions=[question], scores={"score": "score", "auc": "AUC"})
    return folder


@pytest.fixture(scope="module")
def folder(home, tmp_path_factory) -> Path:
    """A comparison with its page."""
    filled = {**COSTS, "filled": 0.04}
    rows = [
        *seeds("image", "gan", [1.0, 2.0, 4.0], numbers=filled),
        *seeds("sites", "gan", [0.5, 0.6, 0.7], numbers=filled),
        *seeds("sites", "gan", [0.8, 0.9], size=64, numbers={**COSTS, "filled": 0.02}),
        *seeds("epic", "flow", [0.2, 0.3], numbers=filled),
        result(net="epic", loss="flow", size=32, seed=2, converged=False, numbers={"score": 0.9}),
        result(net="list", loss="vae", size=32, status="failed", converged=False, curve=(),
               numbers={"reason": "no | luck"}),
        result(net="list", loss="vae", size=32, seed=1, status="diverged", converged=False,
               numbers={"score": 3.0, "reason": "inf", "nonfinite": 1}),
        *(result(net="truth", loss="real", size=32, seed=k, steps=None, curve=(),
                 numbers={"score": 0.02 + k / 100}) for k in range(3)),
    ]  # fmt: skip
    folder = stored(tmp_path_factory.mktemp("out") / "c", rows)
    page.write(folder, read(str(home)), folders.read(folder))
    return folder


def line(text: str, *start: str) -> list[str]:
    """Cells of the first line of a table that begins with these."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()]
    return next(row for row in rows if row[: len(start)] == list(start))


def test_rows_come_back_as_they_were(folder):
    rows = results.read(folder, ["net", "loss", "size"])
    assert len(rows) == 16
    found = next(each for each in rows if each.name == "image_gan_32_s1")
    assert found.number("score") == 2.0
    assert np.isnan(found.number("auc"))
    assert [point.step for point in found.curve] == [25, 50]


def test_medians_and_quartiles_are_those_of_numpy():
    values = [3.0, 1.0, 7.0, 2.0, float("nan")]
    assert results.summary(values) == tuple(np.quantile(values[:4], (0.25, 0.5, 0.75)))
    assert results.summary([float("nan")]) is None


def test_the_page_has_its_blocks_and_marks_what_supports_no_conclusion(folder):
    text = (folder / "report.md").read_text()
    assert text.startswith("# Sprays\n\n13 rows of 50 steps on ")
    assert ", 4% full. [rows.csv](report/rows.csv)" in text
    assert "- `image`: dense\n- `sites`: sparse\n\n" in text  # the others have no label
    assert "\n\nWritten {by hand}.\n\n" in text
    assert "**H: holds.**\n- Expected before the run: Sparse.\n- Rows: loss gan, size 32:" in text
    assert "## None" not in text
    assert line(text, "image", "gan")[:5] == ["image", "gan", "32", "3/3", "2.00 [1.50, 3.00]"]
    assert line(text, "epic †", "flow")[3] == "2/3"
    assert line(text, "list †", "vae")[3:5] == ["0/2, 1 diverged, 1 failed", "3.00"]
    assert line(text, "*truth*")[1:5] == ["–", "32", "–", "0.0300 [0.0250, 0.0350]"]
    assert line(text, "sites", "gan", "64")[3:5] == ["2/2", "0.850 [0.825, 0.875]"]
    assert "| net | loss | R | converged | score | AUC |\n|---|---|---|---|---:|---:|" in text
    assert line(text, "image", "gan", "32", "3/3", "1,234")[-1] == "2.00"
    assert "| `list_vae_32_s0` | failed | no / luck |" in text
    assert "not finite: 1 did." in text
    for name in ("score", "size", "cost", "curves", "profile"):
        assert f"](report/{name}.png)" in text
        assert 2_000 < (folder / "report" / f"{name}.png").stat().st_size < 150_000


def test_numbers_are_written_and_read_again(folder, home, tmp_path):
    tabled = {}
    for name in ("rows", "curves", "floors"):
        with (folder / "report" / f"{name}.csv").open() as file:
            tabled[name] = list(csv.DictReader(file))
    assert len(tabled["rows"]) == 13
    assert len(tabled["floors"]) == 3
    assert len(tabled["curves"]) == 2 * 12
    assert {row["converged"] for row in tabled["rows"]} == {"True", "False"}
    assert tabled["curves"][0]["step"] == "25"
    # From these tables, beside a page, the page is made again.
    (folder / "report" / "study.json").write_text((folder / "study.json").read_text())
    again = tmp_path / "report.md"
    page.write(folder / "report", read(str(home)), folders.read(folder), again)
    assert again.read_text() == (folder / "report.md").read_text()
    for name in ("rows", "curves", "floors"):
        one, other = (where / f"{name}.csv" for where in (folder / "report", tmp_path / "report"))
        assert one.read_text() == other.read_text()


def test_the_page_is_made_again_from_the_rows_alone(folder, home, capsys):
    first = (folder / "report.md").read_text()
    (folder / "report.md").unlink()
    assert cli.main(["compare", str(home), "--output", str(folder), "--page"]) == 0
    assert "report.md" in capsys.readouterr().out
    assert (folder / "report.md").read_text() == first


def test_a_page_elsewhere_keeps_its_pictures_and_numbers_beside_it(folder, home, tmp_path):
    words = ["compare", str(home), "--output", str(folder), "--page", "--report"]
    assert cli.main([*words, str(tmp_path / "docs" / "comparison.md")]) == 0
    linked = re.findall(r"\]\((.*?)\)", (tmp_path / "docs" / "comparison.md").read_text())
    assert len(linked) == len(list((tmp_path / "docs" / "comparison").iterdir())) == 8
    for file in linked:
        assert (tmp_path / "docs" / file).exists()


def test_a_study_without_a_page_has_the_usual_one(tmp_path):
    rows = [
        result(net=net, loss="vae", size=32, seed=seed,
               numbers={"W1 mass": 1.0 + seed, "W1 mass floor": 0.5, "units": {"W1 mass": "GeV"}})
        for net in ("image", "epic")
        for seed in range(3)
    ]  # fmt: skip
    study = study_of(tmp_path / "s", text="What is compared.")
    text = page.write(stored(tmp_path / "c", rows), study, folders.read(tmp_path / "c")).read_text()
    assert "\n\nWhat is compared.\n\n6 rows, each trained once: 50 steps" in text
    assert "| net | converged | W1 mass \\[GeV\\] |" in text or "| W1 mass [GeV] |" in text
    assert line(text, "*real events*")[1:] == ["–", "0.500"]
    assert line(text, "epic", "3/3")[2] == "2.00 [1.50, 2.50]"
    assert "](report/score.png)" in text


def test_blocks_that_cannot_be_are_named(folder, home, tmp_path):
    for block, message in (
        ({"tabel": {}}, r"page\[0\]: got .*tabel.*expected one of text, file"),
        ({"scores": {"colums": {}}}, r"page\[0\]: scores: .*colums"),
        ({"figure": "pie", "file": "a.png", "caption": "x"}, r"figure: got 'pie', expected one of"),
        ({"figure": "columns"}, r"page\[0\]: got no file, caption, expected one"),
        ({"labels": "colour"}, r"page\[0\]: labels: 'colour'"),
    ):
        study = study_of(tmp_path / "s", page=[block])
        with pytest.raises(ArgumentError, match=message):
            page.write(folder, study, {}, tmp_path / "x.md")


def test_a_damaged_row_is_named(tmp_path):
    folder = stored(tmp_path / "c", seeds("image", "gan", [1.0]))
    (folder / "rows" / "image_gan_32_s0.json").write_text("{")
    with pytest.raises(FileError, match="the row is done again"):
        results.read(folder, ["net", "loss", "size"])
    (tmp_path / "rows.csv").write_text("net,seed,status\na,0,done\n")
    with pytest.raises(FileError, match="got no column"):
        results.read(tmp_path, ["net", "loss"])


def test_without_a_row_there_is_no_page(tmp_path):
    study = study_of(tmp_path / "s")
    with pytest.raises(DataError, match="got no row that is done"):
        page.write(stored(tmp_path / "c", []), study, {})


def test_a_score_that_rises_is_told_apart_from_one_that_has_settled():
    rising = result(net="image", curve=((25, 0.5), (50, 0.6), (100, 0.9)))
    settled = result(net="epic", curve=((25, 0.9), (50, 0.6), (100, 0.62)))
    assert rising.rose
    assert not settled.rose
    assert not result(net="list", curve=()).rose
    there = results.cells([rising, settled], {"net": ["image", "epic"]})
    text = tables.at_equal(there, None, {"net": "net"})
    assert line(text, "image ‡")[2:4] == ["0.900", "100"]
    assert line(text, "image ‡")[-1] == "0.500"
    assert line(text, "epic")[2] == "0.620"


def test_equal_steps_are_the_largest_that_all_of_an_objective_have_reached():
    there = [
        result(net="image", loss="gan", curve=((25, 4.0), (30, 3.5))),
        result(net="image", loss="vae", curve=((25, 2.0), (50, 1.5))),
        result(net="epic", loss="vae", curve=((50, 1.25), (60, 1.0))),
        result(net="list", loss="vae", curve=(), status="failed"),
    ]
    found = results.cells(there, {"net": [], "loss": []})
    text = tables.at_equal(found, "loss", {"net": "net", "loss": "loss"})
    assert line(text, "image", "gan")[5:7] == ["3.50", "30"]
    assert line(text, "image", "vae")[5:7] == ["1.50", "50"]
    assert line(text, "epic", "vae")[3:] == ["1.00", "60.0", "1.25", "50", "5.00", "1.00"]
    assert line(text, "list †", "vae")[3:] == ["–", "–", "–", "50", "–", "–"]
    assert results.common_step([there[0], there[2]]) is None


def test_numbers_that_are_not_finite_are_null(tmp_path):
    row = result(net="a", curve=((25, float("inf")),), numbers={"score": float("nan")})
    folder = stored(tmp_path / "c", [row])
    assert json.loads((folder / "rows" / "a_s0.json").read_text())["score"] is None
    assert results.read(folder, ["net"])[0].curve == []
