"""The tiny recipe, a run of it and a file of few jets, for tests of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_recipes import FAST, tiny

from pcgen.datasets.jets import sample_jets
from pcgen.io import JETS, write_clouds
from pcgen.recipes import RECIPES
from pcgen.tools import cli
from pcgen.tools.train import train


@pytest.fixture
def tiny_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe ``tiny`` has a name on the command line."""
    monkeypatch.setitem(RECIPES, "tiny", tiny)


@pytest.fixture
def toy_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ``pcgen do it`` of toy_command.py."""
    monkeypatch.setitem(cli.COMMANDS, "do it", ("toy_command:command", "do something"))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run; nobody writes into it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "tiny", tiny)
        assert train("tiny", {"latent_dim": 3}, output=str(folder), **FAST) == folder
    return folder


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 200 jets; nobody writes into it."""
    file = tmp_path_factory.mktemp("data") / "few.h5"
    write_clouds(file, sample_jets("all", max_points=8).read(0, 200), JETS)
    return file
