"""Recipes of cells on showers: the voxels of the file's calorimeter, from simulation to scores."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path

import pytest
from fabricated_showers import RINGS, fabricated_showers

import pcgen
from pcgen import io
from pcgen.metrics import protocols
from pcgen.recipes import RECIPES
from pcgen.tools import cli

SMALL = (
    "--steps 2 --batch-size 8 --validate-events 4 --samples 0 --accelerator cpu --progress false"
)
OF_CELLS = [
    n for n, f in RECIPES.items() if {"grid", "calorimeter"} <= {*inspect.signature(f).parameters}
]


def call(words: str) -> None:
    assert cli.main(words.split()) == 0, words


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = protocols.calochallenge

    def few(*words, **options):  # the separation powers alone, for few events
        protocol = whole(*words, **options)
        return dataclasses.replace(protocol, parts=protocol.parts[:1], need=10)

    monkeypatch.setattr(protocols, "calochallenge", few)
    return tmp_path


@pytest.mark.parametrize(
    ("geometry", "recipe", "shape"),
    [
        ("cylinder", "image-flow --channels 4 --integration-steps 2", (45, 16, 9)),
        ("cylinder", "sites-gan --channels 4", (45, 16, 9)),
        ("stack", "image-gan --channels 4", (3042,)),
        ("stack", "sites-flow --channels 4 --integration-steps 2", (3042,)),
    ],
)
def test_simulated_showers_from_training_to_scores(here, geometry, recipe, shape):
    for name, seed in (("showers", 1), ("held", 2)):
        size = f"--number 40 --energy 1:5 --seed {seed}"
        call(f"simulate showers {name}.h5 {size} --geometry {geometry}")
    call(f"train {recipe} --data showers.h5 --output run {SMALL}")
    assert pcgen.load("run").representation.shape == shape
    call("sample run fake.h5 --like held.h5")
    call("sample run fake.hdf5 --like held.h5 --to calochallenge")
    with io.open_file("held.h5") as held, io.open_file("fake.hdf5") as fake:
        assert fake.calorimeter == held.calorimeter
        assert fake.read().y.flatten().tolist() == held.read().y.flatten().tolist()
    if "flow" not in recipe:
        return
    call("evaluate held.h5 fake.hdf5 --protocol calochallenge --permutations 2 --output scores")
    (found,) = json.loads(Path("scores/evaluation.json").read_text()).values()
    assert len(found["scores"]) > 3


@pytest.mark.parametrize("recipe", OF_CELLS)
def test_every_recipe_of_cells_takes_a_file_of_the_challenge(here, recipe, capsys):
    showers = fabricated_showers(RINGS, 40, seed=0, threshold=30.0)
    with io.ShowerWriter("showers.hdf5", RINGS) as writer:
        writer.append(io.Images(showers.voxels, showers.incident[:, None]))
    signature = inspect.signature(RECIPES[recipe]).parameters
    small = {"channels": 4, "latent_dim": 4, "integration_steps": 2, "width": 8}
    words = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in small.items() if k in signature)
    call(f"train {recipe} {words} --data showers.hdf5 --output run {SMALL}")
    assert "lost" not in capsys.readouterr().out
    config = json.loads(Path("run/config.json").read_text())
    assert config["arguments"]["calorimeter"] == RINGS.to_dict()
    call("sample run fake.hdf5 --number 5 --to calochallenge")
    with io.open_file("fake.hdf5") as fake:
        assert fake.read().image.shape == (5, RINGS.voxels)


def test_a_grid_that_is_given_goes_before_the_calorimeter(here, capsys):
    call("simulate showers showers.h5 --number 20 --energy 1:2 --seed 1 --geometry stack")
    layers = "/".join(map(str, range(14)))
    grid = f"layers={layers},x:-120:120:6,y:-120:120:6,z:0:480:1"
    words = f"train sites-flow --channels 4 --integration-steps 2 --grid {grid}"
    call(f"{words} --data showers.h5 --output run {SMALL}")
    arguments = json.loads(Path("run/config.json").read_text())["arguments"]
    assert arguments["calorimeter"] is None
    assert pcgen.load("run").representation.shape == (14, 6, 6, 1)
    words = "train image-gan --network points --data showers.h5 --output other"
    assert cli.main(words.split()) == 1
    assert "network: got 'points' in a calorimeter" in capsys.readouterr().err
