"""A study as a file: its rows, what stands in for what, and what is refused in one line."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import yaml
from toy_study import written

from pcgen.errors import ArgumentError, FileError
from pcgen.recipes.find import build_model, find_recipe
from pcgen.tools import cli
from pcgen.tools.comparison import folder as folders
from pcgen.tools.comparison.study import STUDIES
from pcgen.tools.comparison.study_file import find, read


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "jets.h5"  # is not opened


def rows(tmp_path: Path, data: Path, *entries: dict, **changes):
    return read(str(written(tmp_path / "s", data, rows=list(entries), **changes))).rows


def test_lists_of_factors_are_multiplied_out_seed_by_seed(tmp_path, data):
    found = rows(
        tmp_path,
        data,
        {"name": ["a", "b"], "hidden": [8, 16], "recipe": "points-{name}", "seeds": 2,
         "options": {"hidden": "{hidden}", "encoder": "x{hidden}"}},
        factors=["name", "hidden"],
    )  # fmt: skip
    assert [row.name for row in found[:4]] == ["a_8_s0", "a_16_s0", "b_8_s0", "b_16_s0"]
    assert [row.seed for row in found] == [0] * 4 + [1] * 4
    assert found[1].recipe == "points-a"
    # A text that is a factor alone keeps its type.
    assert found[1].options == {"hidden": 16, "encoder": "x16"}


def test_what_an_entry_does_not_give_is_that_of_the_study(tmp_path, data):
    own = {"name": "b", "recipe": "r", "train": {"lr": 0.1}, "data": {"max_points": 3},
           "budget": {"seconds": 2}, "protocol": "epic", "events": 7}  # fmt: skip
    one, other = rows(tmp_path, data, {"name": "a", "recipe": "r"}, own)
    assert (one.events, one.budget.steps, one.data.max_points) == (12, 12, 6)
    assert one.protocol == {"name": "pcgen", "repeats": 2, "subset": 0}
    assert (other.events, other.budget.steps, other.budget.seconds) == (7, None, 2)
    assert other.data.max_points == 3
    assert other.data.files == one.data.files == [str(data)]
    assert other.train == {"batch_size": 16, "validate_events": 12, "warmup": 0, "ema": None,
                           "lr": 0.1}  # fmt: skip
    assert other.protocol == {"name": "epic"}  # whose options are its own


def test_files_are_beside_the_study_and_jets_are_those_that_ship(tmp_path):
    where = written(tmp_path / "s", Path("other.h5"))
    assert read(str(where)).rows[0].data.files == [str(tmp_path / "s" / "other.h5")]
    changed = read(str(where), {"data": {"files": "here.h5"}})
    assert changed.rows[0].data.files == [str(Path.cwd() / "here.h5")]
    assert read(str(where), {"data": "jets"}).rows[0].data.files == ["jets"]


def test_rows_may_have_data_of_their_own(tmp_path, data):
    entries = [{"set": ["a", "b"], "recipe": "r", "data": "{set}.h5"},
               {"set": "c", "recipe": "r", "data": {"classes": ["g"]}}]  # fmt: skip
    found = rows(tmp_path, data, *entries, factors=["set"])
    here = tmp_path / "s"
    files = [[str(here / "a.h5")], [str(here / "b.h5")], [str(data)]]
    assert [row.data.files for row in found] == files
    assert [row.data.classes for row in found] == [None, None, ["g"]]
    assert {row.data.max_points for row in found} == {6}
    shared = read(str(here)).shared(["d"])
    assert shared["files"] == [["a.h5"], ["b.h5"], ["jets.h5"]]
    assert shared["max_points"] == 6


def test_settings_of_the_command_line_take_the_place_of_the_files(tmp_path, data):
    where = str(written(tmp_path / "s", data))
    changes = {"budget": {"seconds": "1.5"}, "train": {"lr": "1e-2"}, "events": "9"}
    (row,) = read(where, changes).rows
    assert (row.budget.seconds, row.budget.steps, row.events) == (1.5, None, 9)
    assert row.train["batch_size"] == 16
    assert [row.seed for row in read(where, seeds=3).rows] == [0, 1, 2]


def test_rows_are_chosen_by_patterns_of_their_names(tmp_path, data):
    entries = [{"name": ["flow", "vae"], "size": [1, 2], "recipe": "r"}]
    study = read(str(written(tmp_path / "s", data, rows=entries, factors=["name", "size"])))
    chosen = study.chosen(["flow_*", "*_2_s*"], first=5)
    assert [row.name for row in chosen] == ["flow_1_s5", "flow_2_s5", "vae_2_s5"]
    with pytest.raises(ArgumentError, match="only: got 'gan', expected a pattern of rows: flow_1"):
        study.chosen(["gan"])


@pytest.mark.parametrize("name", sorted(path.name for path in STUDIES.iterdir()))
def test_every_row_of_a_study_that_comes_with_the_source_has_a_model(name):
    study = read(name, seeds=1)
    built = {}
    for row in study.rows:
        if row.recipe is None or ":" in row.recipe:
            continue
        function = find_recipe(row.recipe)
        own = {"grid": row.grid} if "grid" in inspect.signature(function).parameters else {}
        built[row.name] = build_model(row.recipe, function, {**own, **row.options})
    assert len(built) > 20
    for file in STUDIES.glob(f"{name}/*.yaml"):
        patterns = yaml.safe_load(file.read_text()).get("only")
        assert patterns is None or study.chosen(patterns)


def test_a_study_is_a_file_a_folder_or_a_name(tmp_path, data):
    folder = written(tmp_path / "s", data)
    (tmp_path / "own.yaml").write_text((folder / "study.yaml").read_text())
    assert find(str(folder)) == folder / "study.yaml"
    assert find(str(tmp_path / "own.yaml")).name == "own.yaml"
    for name in ("codes", "remedies", "sparsity"):
        assert find(name) == STUDIES / name / "study.yaml"
    with pytest.raises(FileError, match=r"no such study, .* one of codes, remedies, sparsity"):
        find("nowhere")


REFUSED = [
    ({"budjet": 1}, "unknown key 'budjet', did you mean budget?"),
    ({"budget": {}}, "rows[0]: budget: got neither of steps and seconds"),
    ({"budget": {"steps": 0}}, "rows[0]: budget: steps: got 0, expected a positive"),
    ({"budget": {"steps": "many"}}, "rows[0]: budget: steps: got 'many', expected a whole number"),
    ({"events": 1}, "rows[0]: got 1 events"),
    ({"rows": []}, "rows: got none, expected at least one"),
    ({"questions": {"name": "H"}}, "questions: got {'name': 'H'}, expected a list"),
    ({"factors": ["seeds"]}, "factors: got 'seeds', expected none of the keys of a row"),
    ({"rows": [{"name": "a"}]}, "rows[0]: got recipe None and real None, expected one of them"),
    ({"rows": [{"recipe": "r"}]}, "rows[0]: got no name, expected a value of that factor"),
    ({"rows": [{"name": "../x", "recipe": "r"}]}, "rows[0]: name: got '../x', expected letters"),
    ({"rows": [{"name": "a", "recipe": "{size}"}]}, "rows[0]: got {size}, expected a factor: name"),
    ({"rows": [{"name": ["a", "a"], "recipe": "r"}]}, "rows: got a_s0 twice"),
    ({"rows": [{"name": "a", "recipe": "r", "seeds": []}]}, "rows[0]: got no seed"),
    ({"train": {"steps": 3}}, "rows[0]: train: unknown key 'steps'"),
    ({"data": {"file": "a"}}, "rows[0]: data: unknown key 'file', did you mean files?"),
    ({"questions": [{"name": "H"}]}, "questions[0]: got no text, expect, expected one"),
    ({"questions": [{"name": "H", "text": "t", "expect": "a is b"}]}, "expected A < B"),
    ({"questions": [{"name": "H", "text": "t", "expect": "a < b"}]}, "question H: got 'a'"),
    ({"rows": [{"name": "a", "recipe": "nothing"}]}, "recipe: got 'nothing', expected one of"),
    ({"rows": [{"name": "a", "recipe": "points-vae", "options": {"hiden": 1}}]},
     "row a_s0: options: unknown key 'hiden', did you mean hidden?"),
    ({"rows": [{"name": "a", "recipe": "points-vae", "options": {"hidden": "x"}}]},
     "row a_s0: options: hidden: got 'x', expected a whole number"),
    ({"train": {"lr": "fast"}}, "row spray_s0: train: lr: got 'fast', expected a number"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_cannot_be_is_one_line_and_leaves_nothing(changes, message, tmp_path, data, capsys):
    where, out = written(tmp_path / "s", data, **changes), tmp_path / "out"
    assert cli.main(["compare", str(where), "--output", str(out)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--processes", "0"], "processes: got 0, expected >= 1"),
        (["--seeds", "0"], "seeds: got 0, expected >= 1"),
        (["--only", "gan*"], "only: got 'gan*', expected a pattern of rows: spray_s0"),
        (["--page"], "holds no comparison"),
        (["--page", "--only", "spray*"], "page: got only or dask too"),
        (["--page", "--report", "docs"], "report: got docs, expected a file, docs.md say"),
        (["--settings", "rows=3"], "rows: got 3, expected a list"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(words, message, tmp_path, data, capsys):
    where, out = written(tmp_path / "s", data), tmp_path / "out"
    assert cli.main(["compare", str(where), "--output", str(out), *words]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_what_is_no_yaml_is_named(tmp_path, capsys):
    (tmp_path / "s.yaml").write_text("a: [")
    assert cli.main(["compare", str(tmp_path / "s.yaml")]) == 1
    assert "s.yaml: is no YAML" in capsys.readouterr().err


# --- the folder of a comparison -------------------------------------------------------------------

SHARED = {"steps": 12, "files": ["a.h5"], "digests": ["0" * 32]}


def test_the_same_settings_or_another_folder(tmp_path):
    folders.claim(tmp_path, SHARED)
    folders.claim(tmp_path, SHARED)
    assert folders.read(tmp_path).items() > SHARED.items()
    for name, other in (("steps", 13), ("digests", ["1" * 32])):
        with pytest.raises(ArgumentError, match=f"its rows had {name} .*, or another folder"):
            folders.claim(tmp_path, {**SHARED, name: other})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "letter.txt").touch()
    with pytest.raises(FileError, match="exists and is not a comparison"):
        folders.claim(tmp_path / "elsewhere", SHARED)
    with pytest.raises(FileError, match="holds no comparison"):
        folders.read(tmp_path / "elsewhere")


@pytest.mark.parametrize("left", ["study", "rows", "runs"])
def test_a_comparison_killed_while_its_folder_is_made_is_begun_again(tmp_path, left):
    """Killed before that is there, with what a killed writer leaves of study.json."""
    if left != "study":
        folders.claim(tmp_path, SHARED)
        (tmp_path / left).rmdir()
    (tmp_path / ".study.pcgen-00000000-1-00000000.tmp.json").touch()
    folders.claim(tmp_path, SHARED)
    assert (tmp_path / "rows").is_dir()
    assert (tmp_path / "runs").is_dir()


def test_a_row_that_was_begun_with_other_settings_is_named(tmp_path, data):
    (row,) = read(str(written(tmp_path / "s", data))).rows
    file = tmp_path / "row.json"
    folders.check(file, row.settings(["d"]))  # is not there
    file.write_text(json.dumps({"settings": row.settings(["d"])}))
    folders.check(file, row.settings(["d"]))
    for changes, name in (({"events": 9}, "events"), ({"train": {"lr": 0.5}}, "train")):
        (other,) = read(str(tmp_path / "s"), changes).rows
        with pytest.raises(ArgumentError, match=f"the row had {name}"):
            folders.check(file, other.settings(["d"]))
    with pytest.raises(ArgumentError, match=r"the row had data\.digests"):
        folders.check(file, row.settings(["e"]))
    file.write_text("{")
    with pytest.raises(FileError, match="damaged"):
        folders.check(file, row.settings())


def test_a_row_records_no_place_on_this_machine(tmp_path, data):
    (row,) = read(str(written(tmp_path / "s", data))).rows
    assert str(tmp_path) not in yaml.safe_dump(row.settings())
    assert row.settings()["data"]["files"] == ["jets.h5"]
