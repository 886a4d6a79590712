"""``pcgen train --start``: through the command line, from what a small flow has learnt."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shutil
from pathlib import Path

import pytest
import stand_in
import torch

import pcgen
from pcgen import clouds as pc
from pcgen import loading, shipped
from pcgen.datasets import open_clouds, sample_jets
from pcgen.io import JETS, CloudFile, write_clouds
from pcgen.models.flow import FlowMatching
from pcgen.recipes import RECIPES
from pcgen.schema import Quantity
from pcgen.tools import cli, start
from pcgen.tools.train import train
from pcgen.training import checkpoint
from pcgen.training.checkpoint import Checkpoint

NETWORK = {"hidden": 12, "layers": 1, "integration_steps": 3, "shift": 5, "squash": 0.75}
FLAGS = ["--centre", "--excess"]
QUICK = ["--batch-size", "32", "--samples", "0", "--progress", "false", "--accelerator", "cpu",
         "--validate-events", "200"]  # fmt: skip


def words(options: dict[str, object]) -> list[str]:
    return [w for k, v in options.items() for w in (f"--{k.replace('_', '-')}", str(v))]


def run(*given: str) -> int:
    return cli.main([str(word) for word in given])


def jets(file: Path, start: int, stop: int, particles: int) -> Path:
    write_clouds(file, sample_jets("all", max_points=particles).read(start, stop), JETS)
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Two data sets, and a flow that has learnt a little of the first; nobody writes into it."""
    folder = tmp_path_factory.mktemp("home")
    first = jets(folder / "first.h5", 0, 300, 8)
    jets(folder / "second.h5", 300, 500, 12)
    trained = ["train", "points-flow", "--data", first, "--output", folder / "source"]
    trained += [*words(NETWORK), *FLAGS, *QUICK, "--steps", "120", "--lr", "0.01", "--ema", "0.9"]
    assert run(*trained) == 0
    loading.write_weights(folder / "source", folder / "jets-flow.safetensors")
    return folder


@pytest.fixture
def here(home, tmp_path, monkeypatch) -> Path:
    """The folder of a user, where the flow ships with pcgen."""
    monkeypatch.setattr(shipped, "FOLDER", home)
    monkeypatch.chdir(tmp_path)
    for name in ("first.h5", "second.h5"):
        shutil.copy(home / name, name)
    return tmp_path


def last(folder: str) -> Checkpoint:
    return checkpoint.read(Path(folder) / "checkpoints/last.ckpt")


def started(*more: str, data: str = "second.h5", output: str = "run", steps: int = 1) -> int:
    given = ["train", "points-flow", "--data", data, "--output", output, *QUICK]
    return run(*given, "--steps", str(steps), *more)


def flow(path: str) -> FlowMatching:
    model = pcgen.load(path)
    assert isinstance(model, FlowMatching)
    return model


SCALINGS = ("standardize.", "squash.scale.", "log_excess.")


def test_what_is_kept_and_what_is_fitted_again(here, home, capsys):
    assert started("--start", "jets-flow", "--lr", "1e-9") == 0
    assert "in run, started from jets-flow\n" in capsys.readouterr().out
    source, model = flow("jets-flow"), flow("run")
    before, after = source.representation.state_dict(), model.representation.state_dict()
    for name, value in before.items():
        if name.startswith(SCALINGS):
            assert torch.equal(value, after[name]), name
    table = model.representation.cardinality
    assert int(table.stored) == len(open_clouds("second.h5", "train"))
    assert int(table.sizes.max()) == 12
    assert after["squash.reach"] >= before["squash.reach"]
    # Up to the refitted cardinality it samples what the source samples.
    table.load_state_dict(source.representation.cardinality.state_dict())
    model.representation.squash.load_state_dict(source.representation.squash.state_dict())
    one, two = (
        each.sample(number=30, generator=torch.Generator().manual_seed(0))
        for each in (source, model)
    )
    torch.testing.assert_close(one.pos, two.pos, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(one.weight, two.weight, rtol=1e-4, atol=1e-4)


def test_it_begins_nearer_to_the_data_than_from_nothing(here):
    arguments = [*words(NETWORK), *FLAGS]
    assert started("--start", "jets-flow", "--lr", "1e-6", data="first.h5") == 0
    assert started(*arguments, "--lr", "1e-6", data="first.h5", output="nothing") == 0
    held_out = open_clouds("first.h5", "validation").load()
    losses = []
    for name in ("jets-flow", "run", "nothing"):
        torch.manual_seed(0)
        losses.append(flow(name).velocity_loss(held_out)["velocity"].item())
    source, ours, theirs = losses
    assert ours == pytest.approx(source, rel=1e-3)
    assert ours < 0.8 * theirs


def test_arguments_are_those_of_the_start(here):
    assert started("--start", "jets-flow", "--coupling", "optimal") == 0
    config = json.loads(Path("run/config.json").read_text())
    expected = {**NETWORK, "centre": True, "excess": True, "coupling": "optimal"}
    assert {name: config["arguments"][name] for name in expected} == expected
    assert config["start"] == "jets-flow"
    state = last("run")
    assert state.config["start_digest"] == config["start_digest"]
    assert state.config["start_trained_on"] == [
        {"name": "first.h5", "digest": open_clouds("first.h5").digests()[0]}
    ]


@pytest.mark.parametrize(
    "kind", ["source", "source/checkpoints/best.ckpt", "jets-flow.safetensors"]
)
def test_runs_checkpoints_and_weights_are_starts(here, home, kind):
    assert started("--start", str(home / kind), "--lr", "1e-9") == 0
    assert str(home).encode() not in Path("run/checkpoints/last.ckpt").read_bytes()
    one, two = flow("jets-flow").field, flow("run").field
    for mine, theirs in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-7)


def test_a_part_alone(here):
    again = [*words(NETWORK), *FLAGS, "--lr", "1e-9"]
    assert started("--start", "jets-flow", "--start-part", "field.layers", *again) == 0
    assert started(*again, output="nothing") == 0
    source, model, nothing = (
        flow(name).field.state_dict() for name in ("jets-flow", "run", "nothing")
    )
    for name, value in model.items():
        expected = source if name.startswith("layers.") else nothing
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-7)
    stored = flow("run").representation.standardize.pos.std
    assert torch.equal(stored, flow("jets-flow").representation.standardize.pos.std)


def test_a_map_starts_from_its_flow_and_a_critic_from_the_map(here):
    for recipe, source, target in (("map", "jets-flow", "map"), ("gan", "map", "gan")):
        words = [
            "train",
            f"points-flow-{recipe}",
            "--data",
            "second.h5",
            "--output",
            target,
            *QUICK,
        ]
        words += ["--steps", "2", "--lr", "1e-9", "--start", source, "--start-part", "field"]
        assert (
            run(*words, "--phases", "generator.lr=1e-9") == 0
            if recipe == "gan"
            else run(*words) == 0
        )
        model, before = flow(target), flow(source)
        assert model.paths.clock == before.paths.clock
        assert model.paths.solver.steps == 1
        for name, value in model.field.state_dict().items():
            old = before.field.state_dict()[name]
            part = value if value.dim() < 2 else value[:, : old.shape[1]]
            torch.testing.assert_close(part, old, rtol=0, atol=1e-6)
        assert run("sample", target, "out.h5", "--number", "5") == 0


def test_a_student_starts_from_a_flow_alone(here, capsys):
    """Its teacher is a velocity; the field of a student is none."""
    words = ["train", "points-flow-student", "--data", "second.h5", *QUICK, "--steps", "2"]
    part = ["--start", "jets-flow", "--start-part", "field", "--share", "0"]
    assert run(*words, "--output", "student", *part) == 0
    assert run("sample", "student", "out.h5", "--number", "5", "--steps", "2") == 0
    capsys.readouterr()
    again = ["--start", "student", "--start-part", "field", "--share", "0"]
    assert run(*words, "--output", "again", *again) == 1
    assert "start_part: got the field of a FlowStudent" in capsys.readouterr().err
    whole = ["--start", "student", "--share", "0"]
    assert run(*words, "--output", "whole", *whole) == 0
    assert run(*words, "--output", "none", "--share", "0") == 1
    assert "share: got 0 for a student without a teacher" in capsys.readouterr().err


def test_events_larger_than_any_that_the_start_has_seen_are_named(here, capsys):
    words = ["train", "points-flow", "--start", "jets-flow", "--steps", "1", *QUICK]
    words += ["--data", "second.h5"]
    seen = int(flow("jets-flow").representation.cardinality.all_stored().sizes.max())
    assert run(*words, "--output", "same", "--max-points", str(seen)) == 0
    assert "has seen" not in capsys.readouterr().out
    assert run(*words, "--output", "large") == 0
    assert f"jets-flow has seen {seen} at most" in capsys.readouterr().out.replace("\n", " ")


def test_what_a_start_left_out_had_the_defaults_of_its_recipe(here):
    # Trained from Python, with shift, squash and centre left out: those of a map are others.
    options = {"steps": 1, "samples": 0, "validate_events": 8, "accelerator": "cpu"}
    small = {"hidden": 8, "layers": 1}
    train("points-flow", small, data=["second.h5"], output="plain", progress=False, **options)
    words = ["train", "points-flow-map", "--data", "second.h5", "--output", "map", *QUICK]
    assert run(*words, "--steps", "1", "--start", "plain", "--start-part", "field") == 0
    assert flow("map").paths.clock == flow("plain").paths.clock
    assert flow("map").representation.squash is None


def test_a_resumed_run_is_an_uninterrupted_one(here, home):
    options = ["--start", "jets-flow", "--lr", "0.01", "--schedule", "constant"]
    assert started(*options, "--checkpoint-every", "1", output="whole", steps=4) == 0
    assert started(*options, "--checkpoint-every", "1", output="pieces", steps=2) == 0
    torch.manual_seed(9)
    # What it started from is not needed any more.
    assert run("resume", "pieces", "--steps", "4") == 0
    left, right = last("whole"), last("pieces")
    assert left.step == right.step == 4
    for name, value in left.model.items():
        assert torch.equal(value, right.model[name]), name
    for name, value in left.phases["velocity"]["average"].items():
        assert torch.equal(value, right.phases["velocity"]["average"][name]), name


def test_the_same_command_goes_on_where_the_start_is_the_same(here, home, capsys):
    shutil.copy(home / "jets-flow.safetensors", "own.safetensors")
    assert started("--start", "own.safetensors", steps=1) == 0
    Path("own.safetensors").rename("moved.safetensors")
    assert started("--start", "moved.safetensors", steps=2) == 0
    assert last("run").step == 2
    other = stand_in.ship(here, "other", **NETWORK, centre=True, excess=True)
    capsys.readouterr()
    assert started("--start", str(other), steps=3) == 1
    error = capsys.readouterr().err
    assert "another configuration (" in error
    assert "start_digest" in error
    assert started(steps=3) == 1
    assert "another configuration (arguments" in capsys.readouterr().err


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(here, capsys, home):
    shutil.copy(home / "jets-flow.safetensors", "own.safetensors")
    assert started("--start", "own.safetensors", "--lr", "0.01", steps=2) == 0
    whole = last("run")
    for file in Path("run/checkpoints").iterdir():
        file.unlink()
    stand_in.ship(here, "own", **NETWORK, centre=True, excess=True)
    capsys.readouterr()
    assert run("resume", "run") == 1
    assert "own.safetensors: got a model of digest" in capsys.readouterr().err
    shutil.copy(home / "jets-flow.safetensors", "own.safetensors")
    assert run("resume", "run") == 0
    for name, value in whole.model.items():
        assert torch.equal(value, last("run").model[name]), name


def test_what_was_generated_names_all_data_that_trained_the_model(here, capsys):
    assert started("--start", "jets-flow") == 0
    assert run("sample", "run", "out.h5", "--number", "20") == 0
    with CloudFile("out.h5") as file:
        names = [each["name"] for each in file.attrs["trained_on"]["data"]]
    assert names == ["second.h5", "first.h5"]
    assert run("info", "run") == 0
    assert "started from" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--start", "jets-flwo"], "jets-flwo: no such file .*; did you mean jets-flow"),
        (["--start-part", "field"], "start_part: got 'field' without start, expected start too"),
        (["--start", "jets-flow", "--hidden", "16", "--layers", "2"],
         "hidden, layers: got 16, 2, expected 12, 1 as in jets-flow; what is left out is as there"),
        (["--start", "jets-flow", "--squash", "null"], "squash: got None, expected 0.75 as in"),
        (["--start", "jets-flow", "--start-part", "field", "--shift", "1"],
         "shift: got 1.0, expected 5.0 as in jets-flow"),
        (["--start", "jets-flow", "--start-part", "field=velocity"],
         "start_part: got 'velocity', expected a part of jets-flow: field, field.point_in"),
        (["--start", "jets-flow", "--start-part", "critic"],
         "start_part: got 'critic', expected a part of the model to train: field, field.point_in"),
        (["--start", "jets-flow", "--start-part", "field", "--hidden", "16"],
         r"jets-flow, field: got \(12.*\) for 'point_in.linear.weight', expected shape \(16"),
    ],
)  # fmt: skip
def test_starts_that_do_not_fit_are_one_line_and_leave_nothing(here, capsys, options, message):
    assert started(*options) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert not Path("run").exists()


def test_another_recipe_is_a_part_at_most(here, capsys):
    given = ["train", "points-gan", "--data", "second.h5", "--output", "run", *QUICK]
    assert run(*given, "--start", "jets-flow", "--steps", "1") == 1
    assert (
        "start: got jets-flow, a model of the recipe points-flow, expected one of points-gan"
        in (capsys.readouterr().err)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("g", "q", "b")},
         "second.h5: got the classes b, which jets-flow does not know, expected g, q, t, w, z"),
        ({"labels": ("g", "q", "t")}, "got labels g, q, t, expected g, q, t, w, z as jets-flow"),
        ({"condition": (Quantity("jet_pt", "TeV"),)},
         r"got condition jet_pt [TeV], expected jet_pt [GeV] as jets-flow was trained on"),
    ],
)  # fmt: skip
def test_data_of_another_meaning_are_one_line(here, capsys, change, message):
    with CloudFile("second.h5") as file:
        clouds = file.read()
    schema = dataclasses.replace(JETS, **change)
    write_clouds("second.h5", pc.replace(clouds, label=clouds.label % 3), schema)
    assert started("--start", "jets-flow") == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("run").exists()


def test_a_configuration_of_a_started_run_starts_another(here):
    assert started("--start", "jets-flow") == 0
    assert run("train", "--config", "run/config.json", "--output", "again", "--seed", "1") == 0
    assert last("again").config["start"] == "jets-flow"


def test_the_arguments_that_may_differ_are_those_of_recipes():
    known = {name for each in RECIPES.values() for name in inspect.signature(each).parameters}
    assert known >= {*start.METHOD, *start.MEANING}
    assert not set(start.METHOD) & set(start.MEANING)
