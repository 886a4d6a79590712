"""The report of a comparison, from rows that were made by hand; expectations and their answers."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from toy_rows import result

from pcgen.datasets.jets import SAMPLE
from pcgen.errors import DataError, FileError
from pcgen.tools import cli
from pcgen.tools.comparison import page, tables, worker
from pcgen.tools.comparison import results as done
from pcgen.tools.comparison.expectations import EXPECTATIONS
from pcgen.tools.comparison.study import Study, claim

STUDY = Study((str(SAMPLE),))
EXPECT = {each.name: each.decide for each in EXPECTATIONS}


def stored(folder, rows):
    """A folder of a comparison with these rows in it."""
    claim(folder, STUDY)
    for each in rows:
        worker.store(worker.Job(each.row, STUDY, folder, print), each.values)
    return folder


def seeds(network, objective, values, resolution=32, converged=True, **numbers):
    """Rows that differ in seed and score."""
    return [
        result(network, objective, resolution, seed, score=value, converged=converged, **numbers)
        for seed, value in enumerate(values)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A comparison with its report."""
    costs = {"ms_per_step": 2.0, "us_per_event": 100.0, "occupancy_real": 0.04, "parameters": 1234}
    rows = [
        *seeds("image", "gan", [1.0, 2.0, 4.0], w1_mass=0.5, **costs),
        *seeds("sites", "gan", [0.5, 0.6, 0.7], w1_mass=0.4, **costs),
        *seeds("sites", "gan", [0.8, 0.9], resolution=64, w1_mass=0.4, **costs),
        *seeds("epic", "flow", [0.2, 0.3], w1_mass=0.1, **costs),
        result("epic", "flow", seed=2, score=0.9, converged=False, **costs),
        result("list", "vae", status="failed", converged=False, curve=(), reason="no | luck"),
        result("list", "vae", seed=1, status="diverged", converged=False, score=3.0, reason="inf"),
        *(result("truth", "real", 32, k, spine="floor", score=0.02 + k / 100) for k in range(3)),
    ]
    folder = stored(tmp_path_factory.mktemp("study"), rows)
    page.write(folder, STUDY)
    return folder


def line(text, *start):
    """Cells of the first line of a table that begins with these."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()]
    return next(row for row in rows if row[: len(start)] == list(start))


# --- from rows to a page --------------------------------------------------------------------------


def test_rows_come_back_as_they_were(folder):
    rows = done.read(folder)
    assert len(rows) == 16
    found = next(each for each in rows if each.row.name == "representations_image_gan_r32_s1")
    assert found.number("score") == 2.0
    assert np.isnan(found.number("auc"))
    assert [point.step for point in found.curve] == [25, 50]


def test_a_damaged_row_is_named(tmp_path):
    folder = stored(tmp_path, [result("image")])
    (folder / "rows" / "representations_image_gan_r32_s0.json").write_text("{")
    with pytest.raises(FileError, match="the row is done again"):
        done.read(folder)


def test_medians_and_quartiles_are_those_of_numpy():
    values = [3.0, 1.0, 7.0, 2.0, float("nan")]
    assert done.summary(values) == tuple(np.quantile(values[:4], (0.25, 0.5, 0.75)))
    assert done.summary([float("nan")]) is None


def test_the_report_marks_what_supports_no_conclusion(folder):
    text = (folder / "report.md").read_text()
    assert line(text, "image", "gan")[:4] == ["image", "gan", "3/3", "2.00 [1.50, 3.00]"]
    assert line(text, "epic †", "flow")[2] == "2/3"
    assert line(text, "list †", "vae")[2:4] == ["0/2, 1 diverged, 1 failed", "3.00"]
    assert line(text, "*truth*", "–", "–")[3] == "0.0300 [0.0250, 0.0350]"
    # Networks of the axis, at more than one resolution.
    assert line(text, "sites", "gan", "64")[3:5] == ["2/2", "0.850 [0.825, 0.875]"]
    assert "| `representations_list_vae_r32_s0` | failed | no / luck |" in text
    assert "flow with image-mask: the mask of an image with noise" in text
    for name in ("score", "resolution", "cost", "flow-and-gan", "curves"):
        assert f"](report/{name}.png)" in text
        assert 4_000 < (folder / "report" / f"{name}.png").stat().st_size < 150_000


def test_tables_of_numbers_hold_every_row(folder):
    tabled = {}
    for name in ("rows", "curves", "floors"):
        with (folder / "report" / f"{name}.csv").open() as file:
            tabled[name] = list(csv.DictReader(file))
    assert len(tabled["rows"]) == 13
    assert len(tabled["floors"]) == 3
    assert len(tabled["curves"]) == 2 * 12
    assert {row["converged"] for row in tabled["rows"]} == {"True", "False"}
    assert tabled["curves"][0]["step"] == "25"


def test_the_report_is_made_again_from_the_rows_alone(folder, capsys):
    first = (folder / "report.md").read_text()
    (folder / "report.md").unlink()
    assert cli.main(["compare", "--output", str(folder), "--only-report"]) == 0
    assert "report.md" in capsys.readouterr().out
    assert (folder / "report.md").read_text() == first


def test_networks_that_are_not_on_the_axis_have_a_report_too(tmp_path):
    rows = dead({"image": (0.5, 1.5), "epic": (0.25, 0.5)})
    folder = stored(tmp_path, [*seeds("list", "vae", [1.0, 2.0], steps=50), *rows])
    page.write(folder, STUDY)
    text = (folder / "report.md").read_text()
    assert line(text, "list", "vae")[2] == "2/2"
    assert "resolution.png" not in text
    assert "flow-and-gan.png" not in text
    assert line(text, "epic", "3/3")[2:] == ["9.00", "0.250", "0.500"]
    assert "](report/dead-channels.png)" in text


def test_a_page_elsewhere_keeps_its_pictures_and_numbers_beside_it(folder, tmp_path, capsys):
    words = ["compare", "--output", str(folder), "--only-report", "--report"]
    assert cli.main([*words, str(tmp_path / "docs" / "comparison.md")]) == 0
    text = (tmp_path / "docs" / "comparison.md").read_text()
    linked = re.findall(r"\]\((.*?)\)", text)
    assert sorted(linked)[:2] == ["comparison/cost.png", "comparison/curves.csv"]
    assert len(linked) == len(list((tmp_path / "docs" / "comparison").iterdir())) == 8
    for file in linked:
        assert (tmp_path / "docs" / file).exists()
    assert cli.main([*words, str(tmp_path / "docs")]) == 1
    assert "expected a file" in capsys.readouterr().err


def test_a_score_that_rises_is_distinguished_from_one_that_has_settled():
    rising = result("image", curve=((25, 0.5), (50, 0.6), (100, 0.9)))
    settled = result("epic", curve=((25, 0.9), (50, 0.6), (100, 0.62)))
    assert rising.rose
    assert not settled.rose
    assert not result("list", curve=()).rose
    text = tables.at_equal(done.cells([rising, settled], "representations"))
    assert line(text, "image ‡", "gan")[3:5] == ["0.900", "100"]
    assert line(text, "image ‡", "gan")[-1] == "0.500"
    assert line(text, "epic", "gan")[3] == "0.620"


def test_equal_steps_are_those_of_an_objective():
    there = [
        result("image", "gan", curve=((25, 4.0), (30, 3.5))),
        result("image", "vae", curve=((25, 2.0), (50, 1.5))),
        result("epic", "vae", curve=((50, 1.25), (60, 1.0))),
    ]
    text = tables.at_equal(done.cells(there, "representations"))
    assert line(text, "image", "gan")[5:7] == ["3.50", "30"]
    assert line(text, "image", "vae")[5:7] == ["1.50", "50"]
    assert line(text, "epic", "vae")[5:7] == ["1.25", "50"]


def test_events_that_were_not_finite_are_reported(tmp_path):
    rows = [result("image", score=1.0, broken=0.25), result("epic", score=1.0, nonfinite=1)]
    page.write(stored(tmp_path, rows), STUDY)
    text = (tmp_path / "report.md").read_text()
    assert "not finite: 1 did." in text
    assert "`representations_image_gan_r32_s0` (25.0%)." in text


def test_without_a_row_there_is_no_report(tmp_path):
    claim(tmp_path, STUDY)
    with pytest.raises(DataError, match="got no row that is done"):
        page.write(tmp_path, STUDY)


def test_equal_steps_are_the_largest_that_all_have_reached():
    there = [
        result("image", curve=((25, 4.0), (30, 3.5))),
        result("epic", curve=((25, 2.0), (50, 1.5), (100, 1.0))),
        result("list", curve=(), status="failed"),
    ]
    assert done.common_step(there) == 25
    text = tables.at_equal(done.cells(there, "representations"))
    assert line(text, "epic", "gan")[3:] == ["1.00", "100", "2.00", "25", "2.50", "1.00"]
    assert line(text, "list †", "gan")[3:] == ["–", "–", "–", "25", "–", "–"]
    assert done.common_step([result("image", curve=((10, 1.0),)), there[1]]) is None


def test_numbers_that_are_not_finite_are_null(tmp_path):
    folder = stored(tmp_path, [result("image", score=float("nan"), curve=((25, float("inf")),))])
    values = json.loads((folder / "rows" / "representations_image_gan_r32_s0.json").read_text())
    assert values["score"] is None
    assert done.read(folder)[0].curve == []


# --- expectations ---------------------------------------------------------------------------------


def test_every_expectation_has_a_sentence_and_answers_nothing_from_nothing():
    assert [each.name for each in EXPECTATIONS] == ["H1a", "H1b", "H2a", "H2b", "H6a", "H6b"]
    for each in EXPECTATIONS:
        assert each.text.endswith(".")
        assert each.decide([]).verdict == "no conclusion"


def dead(errors, converged=True):
    """Rows of the dead-channel study: trained at 30 %; its errors there and at 70 %."""
    spine, rows = "dead-channels", []
    for name, (low, high) in errors.items():
        found = {"mae_00": 9.0, "mae_30": low, "mae_70": high, "trained_at": 30.0}
        found["converged"] = converged
        rows += [result(name, spine, seed=seed, spine=spine, **found) for seed in range(3)]
    return rows


def test_h1_speaks_of_masks_and_of_a_shift():
    seen = {"image": (1.0, 3.0), "image-mask": (1.0, 2.5), "image-observed": (1.1, 1.3)}
    assert EXPECT["H1a"](dead(seen)).verdict == "holds"
    assert EXPECT["H1b"](dead(seen)).verdict == "holds"
    helped = {**seen, "image-mask": (0.5, 2.5)}
    assert EXPECT["H1a"](dead(helped)).verdict == "does not hold"
    robust = {**seen, "image": (1.0, 1.5)}
    answer = EXPECT["H1b"](dead(robust))
    assert answer.verdict == "does not hold"
    assert "image 1.5" in answer.because
    assert EXPECT["H1b"](dead(seen, converged=False)).verdict == "no conclusion"
    alone = EXPECT["H1a"](dead({"image": (1.0, 3.0)}))
    assert alone == ("no conclusion", "at 32²: no rows of image-mask with dead channels")


def pair(dense, sites, occupancy=0.04, **numbers):
    """Rows of dense images and sites with these times of a step."""
    return [
        result(network, seed=seed, ms_per_step=value, occupancy_real=occupancy, **numbers)
        for network, value in (("image", dense), ("sites", sites))
        for seed in range(3)
    ]


def test_h2_is_about_time_where_images_are_sparse():
    assert EXPECT["H2a"](pair(10.0, 2.0)).verdict == "holds"
    assert EXPECT["H2a"](pair(10.0, 2.0, converged=False)).verdict == "holds"
    answer = EXPECT["H2a"](pair(10.0, 20.0))
    assert answer.verdict == "does not hold"
    assert answer.because == "**not** gan at 32² (4.0%): sites 20 ms, dense 10 ms"
    assert EXPECT["H2a"](pair(10.0, 20.0, occupancy=0.5)).verdict == "no conclusion"


def test_h2_is_about_quality_within_the_spread_of_the_seeds():
    near = [*seeds("image", "gan", [1.0, 1.2, 1.5]), *seeds("sites", "gan", [0.9, 1.0, 1.1])]
    assert EXPECT["H2b"](near).verdict == "holds"
    far = [*seeds("image", "gan", [1.0, 1.2, 1.5]), *seeds("sites", "gan", [0.1, 0.2, 0.3])]
    assert EXPECT["H2b"](far).verdict == "does not hold"
    young = [*seeds("image", "gan", [1.0, 1.2], converged=False), *near[3:]]
    answer = EXPECT["H2b"](young)
    assert answer.verdict == "no conclusion"
    assert "0 dense, 3 sites converged" in answer.because


def test_h6_compares_the_best_flow_with_the_best_gan():
    rows = [
        *seeds("image", "gan", [1.0, 1.0], w1_mass=0.9, us_per_event=10.0),
        *seeds("epic", "gan", [1.0, 1.0], w1_mass=0.3, us_per_event=5.0),
        *seeds("epic", "flow", [1.0, 1.0], w1_mass=0.2, us_per_event=50.0),
        *seeds("epic", "flow", [1.0, 1.0], resolution=64, w1_mass=9.0, us_per_event=1.0),
    ]
    answer = EXPECT["H6a"](rows)
    assert answer == ("holds", "best W1 of the mass: gan 0.3σ (epic), flow 0.2σ (epic)")
    assert EXPECT["H6b"](rows).verdict == "holds"
    young = [*rows, *seeds("image", "flow", [1.0, 1.0], converged=False, w1_mass=0.1)]
    answer = EXPECT["H6a"](young)
    assert answer.verdict == "holds"
    assert "flow of image: 0 converged. Of all seeds, converged or not: " in answer.because
    assert answer.because.endswith("gan 0.3σ (epic), flow 0.1σ (image)")
    worse = [*rows[:2], *seeds("epic", "flow", [1.0, 1.0], w1_mass=1.2, us_per_event=5.0)]
    assert EXPECT["H6a"](worse).verdict == "does not hold"
    assert EXPECT["H6b"](worse).verdict == "no conclusion"
    single = [*rows[:4], *seeds("epic", "flow", [1.0], w1_mass=0.2, us_per_event=1.0)]
    assert EXPECT["H6a"](single).verdict == "no conclusion"
    assert EXPECT["H6b"](single).verdict == "does not hold"
