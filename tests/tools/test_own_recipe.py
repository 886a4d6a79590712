"""A user's own recipe, ``module:function``: found, made into options, trained, sampled, loaded."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import pcgen
from pcgen.datasets.jets import sample_jets
from pcgen.errors import ArgumentError, CheckpointError
from pcgen.io import JETS, read_clouds, write_clouds
from pcgen.recipes import ALIASES, RECIPES
from pcgen.recipes.find import build_model, find_recipe
from pcgen.tools.cli import main

MODULE = '''
from __future__ import annotations

from typing import TYPE_CHECKING

from pcgen.recipes.find import find_recipe

if TYPE_CHECKING:
    from pcgen.models.base import GenerativeModel

number = 5


def my_recipe(width: int, flavour: str = "plain") -> GenerativeModel:
    """A model of mine.

    Args:
        width: Channels inside.
        flavour: Nothing yet.
    """
    return find_recipe("points-vae")(hidden=width)


def clashing(width: int = 8, steps: int = 3, from_format: str = "x"):
    """With the name of an option of the run."""


def bare(width=8):
    """Without type hints."""


def many(*widths: int):
    """Without names."""


def foreign(net: Unknown):
    """With a type that nobody knows."""


def of_run(recipe: str = "x"):
    """With the name of an option that other commands have."""


def hidden(_width: int = 3):
    """With a name that is no option."""


def placed(width: int = 3, /):
    """Without names too."""


def wrong(width: int = "many"):
    """With a default of another type."""


def fails(width: int = 3):
    """Raises."""
    raise ValueError("no\\nway")


def fails_inside(width: int = 3):
    """Raises in a call."""
    fails()


def leaves(width: int = 3):
    """Ends the program."""
    raise SystemExit(3)


def nothing(width: int = 3):
    """Forgets to return."""


def other(width: int = 3):
    """Returns something else."""
    return find_recipe


def ok(width: int = 3) -> GenerativeModel:
    """A model whose name is a picture between colons."""
    return find_recipe("points-vae")(hidden=width)
'''
OPTIONS = ["--steps", "2", "--batch-size", "8", "--max-points", "6", "--validate-events", "10",
           "--validate-every", "2", "--checkpoint-every", "2", "--samples", "3",
           "--accelerator", "cpu", "--progress", "false"]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module in it; what is imported from there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    before = set(sys.modules)
    (tmp_path / "mymodels.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "needs.py").write_text("import nowhere_to_be_found\n")
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) in map(str, tmp_path.glob("*.py")):
            del sys.modules[name]


def test_it_is_trained_sampled_and_loaded_by_name(here, capsys):
    write_clouds(here / "few.h5", sample_jets("all", max_points=6).read(0, 100), JETS)
    words = ["train", "mymodels:my_recipe", "--width", "8", "--data", "few.h5", "--output", "run"]
    assert main([*words, *OPTIONS]) == 0
    assert read_clouds("run/samples/samples.h5")[0].num_graphs == 3
    assert main([*words, *OPTIONS]) == 0
    assert main(["train", "mymodels:my_recipe", "--config", "run/config.json",
                 "--output", "again", *OPTIONS[-8:]]) == 0  # fmt: skip
    sys.modules.pop("mymodels")
    with pytest.raises(CheckpointError, match=r'give recipe="mymodels:my_recipe" \(--recipe'):
        pcgen.load("run")
    assert "mymodels" not in sys.modules
    assert pcgen.load("run", recipe="mymodels:my_recipe").sample(number=2).num_graphs == 2
    assert pcgen.load("run", recipe=sys.modules["mymodels"].my_recipe).schema == JETS
    assert main(["sample", "run", "own.h5", "--number", "2", "--recipe", "mymodels:my_recipe"]) == 0


def test_help_lists_its_arguments_and_that_of_train_mentions_it(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "mymodels:my_recipe", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "A model of mine." in text
    assert re.search(r"--width NUMBER +Channels inside. \(required\)", text)
    assert main(["train", "--help"]) == 0
    assert "module:function" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nowhere:f", "no module 'nowhere'"),
        ("mymodels.inner:f", "no module 'mymodels.inner'"),
        ("nowhere.inner:f", "no module 'nowhere'"),
        ("needs:f", "module needs cannot be imported (ModuleNotFoundError: No module named"),
        ("broken:f", "module broken cannot be imported (ZeroDivisionError: division by zero)"),
        ("leaves:f", "module leaves cannot be imported (SystemExit: 3)"),
        ("mymodels:my_recip", "module mymodels has no 'my_recip', did you mean my_recipe?"),
        ("mymodels:number", "got a value of type int, expected a function"),
        ("mymodels:bare", "argument 'width' has no type hint, expected one"),
        ("mymodels:many", "takes *widths, expected arguments with names"),
        ("mymodels:foreign", "argument 'net': got the type Unknown, expected plain values"),
        ("mymodels:clashing", "argument 'steps' has the name of the option --steps of every run"),
        ("mymodels:of_run", "argument 'recipe' has the name of the option --recipe of every run"),
        ("mymodels:hidden", "argument '_width' cannot be an option, expected a name that begins"),
        ("mymodels:placed", "takes width by its place alone, expected arguments with names"),
        ("mymodels:wrong", "the default of its argument 'width' does not fit its type (--width: "),
        (":f", "expected module:function"),
        ("mymodels:", "expected module:function"),
        ("../mymodels:f", "expected module:function"),
    ],
)
def test_what_cannot_be_a_recipe_is_one_line(name, error, capsys):
    status = main(["train", name, "--width", "3"])
    lines = capsys.readouterr().err.splitlines()
    assert status in (1, 2)
    assert len(lines) == status
    assert error in lines[0]
    assert name in lines[0] or repr(name) in lines[0]


def test_an_argument_that_is_required_is_missed_by_name(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "mymodels:my_recipe"])
    assert stop.value.code == 2
    assert "--width: got none, expected a whole number" in capsys.readouterr().err


def test_a_class_or_a_partial_is_as_good_as_a_function(here):
    (here / "others.py").write_text(
        "from functools import partial\nimport mymodels\n"
        "class Net:\n    def __init__(self, width: int = 3): self.width = width\n"
        "half = partial(mymodels.my_recipe, flavour='other')\n"
    )
    for name in ("others:Net", "others:half"):
        with pytest.raises(SystemExit) as stop:
            main(["train", name, "--help"])
        assert stop.value.code == 0
    assert find_recipe("others:Net")(width=4).width == 4


def test_an_older_name_is_a_name(monkeypatch, capsys):
    name = next(iter(RECIPES))
    monkeypatch.setitem(ALIASES, "old-name", name)
    assert find_recipe("old-name") is RECIPES[name]
    with pytest.raises(ArgumentError, match=r"'no-such', expected one of .*, or module:function"):
        find_recipe("no-such")


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("fails", r"raised ValueError: no way \(mymodels.py, line \d+\)"),
        (
            "fails_inside",
            r"raised ValueError: no way \(mymodels.py, line \d+, at mymodels.py, line",
        ),
        ("leaves", r"raised SystemExit: 3 \(mymodels.py, line \d+\)"),
        ("nothing", "returned nothing, expected an untrained model"),
        ("other", "returned a function, expected an untrained model"),
    ],
)
def test_a_recipe_that_makes_no_model_is_one_line(function, error, here, capsys):
    write_clouds(here / "few.h5", sample_jets("all", max_points=6).read(0, 100), JETS)
    assert main(["train", f"mymodels:{function}", "--data", "few.h5", *OPTIONS]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(f"pcgen: recipe mymodels:{function}: {error}", line)


def test_a_fault_of_pcgens_own_recipes_is_not_hidden(monkeypatch):
    def faulty():
        raise ValueError("a fault")

    monkeypatch.setitem(RECIPES, "faulty", faulty)
    with pytest.raises(ValueError, match=r"^a fault$"):
        build_model("faulty", faulty, {})


def test_names_are_printed_as_they_are(here, capsys):
    write_clouds(here / "few.h5", sample_jets("all", max_points=6).read(0, 100), JETS)
    assert main(["train", "mymodels:ok", "--data", "few.h5", "--output", "[b]", *OPTIONS]) == 0
    out = capsys.readouterr().out
    assert "mymodels:ok: 70 events" in out
    assert "in [b]" in out
    assert "trained: [b]/checkpoints" in out
    assert main(["sample", "[b]", ":ok:[b].h5", "--number", "2", "--recipe", "mymodels:ok"]) == 0
    assert capsys.readouterr().out.startswith(":ok:[b].h5: 2 jets")
    assert main(["train", "mymodels:ok", "--config=[b]/config.json", "--output", "again"]) == 0
    assert main(["train", "--config=[b]/config.json", "--output", "again"]) == 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("./mymodels.py:ok", "'./mymodels.py', did you mean mymodels:ok?"),
        ("models/flows.py:ok", "'models/flows.py', did you mean models.flows:ok?"),
        ("my-models.py:ok", "'my-models.py', expected a module of the current folder whose name"),
    ],
)
def test_a_file_for_a_module_is_hinted_at_only_where_it_can_be_one(name, hint):
    with pytest.raises(ArgumentError, match=re.escape(f"recipe: got the file {hint}")):
        find_recipe(name)
