"""The whole command line, by introspection: every command, every option, every recipe and choice.

What joins ``COMMANDS`` or ``RECIPES``, or a signature, is walked without a line here.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
import toy_command
import toy_layers
import yaml

import pcgen
from pcgen import clouds as pc
from pcgen.errors import PcgenError
from pcgen.io import JETS, read_clouds, write_clouds
from pcgen.recipes import RECIPES
from pcgen.tools import cli
from pcgen.tools.options import Option, options_of
from pcgen.tools.run_options import GROUPS, recipe_options, run_options

GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8"
SMALL = ["--steps", "2", "--batch-size", "8", "--validate-events", "8", "--validate-every", "2",
         "--checkpoint-every", "2", "--log-every", "1", "--samples", "0", "--accelerator", "cpu",
         "--progress", "false"]  # fmt: skip
RUN_OPTIONS = run_options(cli._load(cli.COMMANDS["train"][0]))
REFUSED = {
    (recipe, ("--regulariser", name)): "there is no in between of two sets"
    for recipe in ("points-gan", "points-context-gan")
    for name in ("wgan-gp", "wgan-lp")
} | {
    ("hits-wake-sleep", ("--update", name)): "with 1 importance sample, whose weight is 1"
    for name in ("wake", "both")
}
WITH_CONTEXTS = ("points-context-flow", "points-context-gan", "points-set-generation")
REFUSED |= {
    (f"{kind}-{form}", ("--prior-shape", shape)): "expected normal with latent gaussian"
    for kind in ("points", "image", "sites")
    for form in ("vae", "latent")
    for shape in ("ring", "roll")
}
WITHOUT_A_PRIOR = [
    ("points-autoencoder", None),
    ("points-classifier", None),
    *((f"{kind}-vae", ("--latent", "none")) for kind in ("points", "image", "sites")),
]
"""Recipes with a choice that cannot be sampled; None: with any."""


def call(*words: str) -> Any:
    """The exit status of a command, returned or raised."""
    return toy_command.status(list(words))


def own_options(recipe: str) -> list[Option]:
    return recipe_options(recipe, RECIPES[recipe], RUN_OPTIONS)


def choices(hint: Any) -> tuple[Any, ...]:
    """What a Literal, or a Literal or none, allows."""
    found = [each for each in (hint, *get_args(hint)) if get_origin(each) is Literal]
    return get_args(found[0]) if found else ()


def variants() -> list[tuple[str, tuple[str, ...]]]:
    """Each recipe as it is, and with every choice of each of its options."""
    found = []
    for name, recipe in RECIPES.items():
        found.append((name, ()))
        for option in options_of(recipe):
            others = [each for each in choices(option.hint) if each != option.default]
            found += [(name, (f"--{option.word}", str(other))) for other in others]
    return found


def small(recipe: str) -> list[str]:
    """Options that make a network of a few parameters."""
    words = []
    for option in own_options(recipe):
        if option.name == "grid":
            words += ["--grid", GRID]
        elif type(option.default) is int:
            words += [f"--{option.word}", str(min(option.default, 8))]
    return words


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """200 toy jets of 1 to 6 particles, of three classes, well inside the grid."""
    file, random = tmp_path_factory.mktemp("walk") / "jets.h5", torch.Generator().manual_seed(1)
    sizes = torch.randint(1, 7, (200,), generator=random)
    number = int(sizes.sum())
    clouds = pc.make(
        0.6 * torch.rand(number, 2, generator=random) - 0.3,
        sizes,
        weight=1 + 50 * torch.rand(number, generator=random),
        y=900 + 200 * torch.rand(200, 1, generator=random),
        label=torch.arange(200) % 3,
    )
    write_clouds(file, clouds, JETS)
    return file


@pytest.fixture(scope="module")
def showers(tmp_path_factory) -> Path:
    """200 toy showers of up to some 60 points in four layers."""
    file = tmp_path_factory.mktemp("walk") / "showers.h5"
    write_clouds(file, toy_layers.toy_showers(200), toy_layers.SCHEMA)
    return file


@pytest.fixture(scope="module")
def electrons(tmp_path_factory) -> Path:
    """The response to 300 electrons."""
    file = tmp_path_factory.mktemp("walk") / "electrons.h5"
    assert call("simulate", "electrons", str(file), "--number", "300") == 0
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> Path:
    """A run of two steps, of which every option was given."""
    folder = tmp_path_factory.mktemp("walk") / "run"
    words = ["train", "points-vae", *small("points-vae"), *SMALL, "--data", str(data)]
    assert call(*words, "--output", str(folder)) == 0
    return folder


# --- every command --------------------------------------------------------------------------------

COMMANDS = [name for name in cli.COMMANDS if name != "train"] + [f"train {r}" for r in RECIPES]


def options_of_command(command: str) -> list[Option]:
    if command.startswith("train "):
        return [*own_options(command.split()[1]), *RUN_OPTIONS]
    return options_of(cli._load(cli.COMMANDS[command][0]))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_configuration_and_a_wrong_option(command, capsys):
    options = options_of_command(command)
    assert call(*command.split(), "--help") == 0
    text = capsys.readouterr().out
    shown = [option.word if option.positional else f"--{option.word}" for option in options]
    assert [word for word in shown if word not in text] == []
    for spelt in ("--print_config", "--print-config"):
        assert call(*command.split(), spelt) == 0
        printed = yaml.safe_load(capsys.readouterr().out)
        assert {key.replace("_", "-") for key in printed} == {option.word for option in options}
    assert call(*command.split(), "--no-such-option", "1") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"pcgen {command}: unknown option --no-such-option",
        f"see pcgen {command} --help",
    ]


def another(option: Option) -> tuple[list[str], Any]:
    """Words for a value that is not the default, and the value."""
    allowed = choices(option.hint)
    if allowed:
        value = next(each for each in allowed if each != option.default)
        return [str(value)], value
    inner = [each for each in get_args(option.hint) if each is not type(None)] or [option.hint]
    kind = next((k for k in (list, tuple, dict) if k in (option.kind, get_origin(inner[0]))), None)
    if option.kind is dict:
        deep = "dict[str, dict" in str(option.hint)
        return (["a.b=1"], {"a": {"b": 1}}) if deep else (["a=1"], {"a": 1})
    if kind is tuple or get_origin(option.hint) is tuple:
        return ["0.25", "0.5"], (0.25, 0.5)
    if option.kind is list and get_origin(get_args(inner[0])[0]) is Literal:
        several = list(get_args(get_args(inner[0])[0]))[:2]
        return several, several
    if option.kind is list:
        numbers = re.search("int|float", str(option.hint))
        return (["3", "4"], [3, 4]) if numbers else (["a", "b"], ["a", "b"])
    value = {bool: not option.default, int: 3, float: 0.125, str: "word"}[inner[0]]
    return [str(value).lower() if inner[0] is bool else str(value)], value


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_reaches_the_function(command, tmp_path, monkeypatch, capsys):
    name = "train" if command.startswith("train ") else command
    function, seen = cli._load(cli.COMMANDS[name][0]), []

    @functools.wraps(function)
    def recorded(*arguments: Any, **options: Any) -> None:
        seen.append(inspect.signature(function).bind(*arguments, **options).arguments)

    monkeypatch.setattr(cli, "_load", lambda target: recorded)
    words, expected = [], {}
    for option in options_of_command(command):
        given, expected[option.name] = another(option)
        words += [f"--{option.word}", *given]
    assert call(*command.split(), *words) == 0
    assert {**seen[0], **seen[0].pop("recipe_arguments", {})}.items() >= expected.items()
    assert call(*command.split(), *words, "--print_config") == 0
    (tmp_path / "c.yaml").write_text(capsys.readouterr().out)
    assert call(*command.split(), "--config", str(tmp_path / "c.yaml")) == 0
    assert {**seen[1], **seen[1].pop("recipe_arguments", {})}.items() >= expected.items()


def test_every_option_of_a_run_is_in_one_group():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(option.name for option in RUN_OPTIONS)


# --- every option in a real call ------------------------------------------------------------------


def calls(data: str, run: str) -> list[tuple[int, str, str]]:
    """Status, command and words; between them they give every option of these commands."""
    made = f"{run}/made"
    wrong = f"{made}.h5 --protocol"
    return [
        (0, "sample", f"{run} {made}.h5 --number 12 --batch-size 5 --seed 3 --device cpu "
                      "--classes g q --condition jet_pt=1000 --points 4 --recipe points-vae"),
        (0, "sample", f"{run} {made}-2.h5 --number 40"),
        (0, "sample", f"{run} {made}-3.h5 --like {data} --split test --processes 2"),
        (1, "sample", f"{run} {made}-4.h5 --conditions none.csv"),
        (1, "sample", f"{run} {made}-8.h5 --multi-hit shift"),
        (1, "sample", f"{run} {made}-5.h5 --solver heun --steps 2 --tolerance 0.1 --pace 2"),
        (0, "sample", f"{run} {made}-6.h5 --number 3 --to jetnet --particles 3"),
        (1, "sample", f"{run} {made}-7.h5 --dask nowhere"),
        (1, "sample", f"{run} {made}-9.h5 --context {data} --answers 2"),
        (0, "export", f"{run} {made}.onnx --seed 1 --recipe points-vae"),
        (1, "export", f"{run} {made}-2.onnx --solver heun --steps 2 --pace 2"),
        (0, "export", f"{run} {made}.safetensors --events 5"),
        (0, "invert", f"{run} {data} {made}-i.h5 --measure project:eta_rel --grid {GRID} "
                      "--restarts 2 --iterations 2 --rate 0.1 --prior 0.01 --deviation 0.1 "
                      "--tolerance 0.5 --noise 0.1 --number 3 --split test --batch-size 2 --seed 1 "
                      "--device cpu --recipe points-vae"),
        (1, "invert", f"{run} {data} {made}-i.h5 --solver heun --steps 2 --pace 2"),
        (0, "info", f"{made}.h5"),
        (0, "info", run),
        (0, "convert", f"{data} {made}.npz --grid {GRID} --outside clip --block 7 --from clouds"),
        (0, "convert", f"{made}.npz {made}-cells.h5 --threshold 0.5 --jitter --seed 4 --to clouds "
                       "--event 1 --weight pt[GeV]"),
        (0, "convert", f"{data} {made}.hdf5 --particles 3"),
        (0, "convert", f"{made}.npz {made}-d.h5 --nan unobserved --dtype float64"),
        (0, "convert", f"{data} {made}-m.h5 --missing drop --max-points 4"),
        (1, "convert", f"{made}.npz {made}-o.h5 --condition E=none.npy --labels none.npy "
                       "--classes a,b"),
        (1, "convert", f"{data} {made}-s.h5 --geometry none.xml --particle photon "
                      "--multi-hit shift"),
        (1, "convert", f"{data} {made}-s.h5 --columns x,y,z,energy"),
        (0, "convert", f"{data} {made}-v.h5 --observe eta_rel=:0 0.5"),
        (0, "convert", f"{data} {made}-v.h5 --hide eta_rel=:0"),
        (0, "convert", f"{data} {made}-p.h5 --context {data}"),
        (0, "convert", f"{made}-p.h5 {made}-q.h5 --part context"),
        (0, "convert", f"{made}.hdf5 {made}-g.h5 --label g"),
        (1, "convert", f"{made}.hdf5 {made}-g.h5 --label g --dask nowhere"),
        (0, "convert", f"{data} {made}-t.h5 --pos pos.0 pos.1 --weight weight:GeV --offsets ptr "
                       "--where weight>1 --x w=weight:GeV --condition pt=label"),
        (1, "convert", f"{data} {made}-u.h5 --preset none.yaml --momentum px py pz --layer l "
                       "--events none.csv:a --sort --table t"),
        (0, "evaluate", f"{data} {made}-2.h5 --output {made} --split all --classes g q,t --repeats "
                        "2 --subset 4 --permutations 2 --seed 1 --between jet_pt=:1e9"),
        (0, "evaluate", f"{data} {made}-2.h5 --split all --repeats 2 --subset 0 --permutations 0 "
                        f"--training {data}"),
        (0, "evaluate", f"{data} {data} --split all --protocol conditional --context {data} "
                        f"--responses {data} --answers 1 --subset 2 --output {made}-answers"),
        (1, "evaluate", f"{data} {made}-2.h5 --split all --dask nowhere"),
        (1, "evaluate", f"{data} {made}-2.h5 --split all --classifier {run}"),
        (1, "evaluate", f"{data} {wrong} mpgan2021 --particlenet none.pt --statistics none.npz"),
        (1, "evaluate", f"{data} {wrong} calochallenge --geometry none.xml --data-set 2"),
        (1, "classify", f"{run} {data} {made}.csv --split all --missing 0.5 --device cpu --seed 1 "
                        "--recipe points-vae"),
        (0, "evaluate", f"{data} {made}-2.h5 --split all --protocol image --grid {GRID}"),
        (0, "view", f"{data} {made}.h5 --event 1 --number 2 --output {made}.html --label g "
                    "--names real,generated"),
        (1, "view", f"{data} --geometry none.xml --particle photon"),
    ]  # fmt: skip


@pytest.mark.slow
def test_every_option_is_set_in_a_real_call(data, run, capsys):
    given: dict[str, str] = {}
    for status, command, words in calls(str(data), str(run)):
        assert call(command, *words.split()) == status, (command, words)
        captured = capsys.readouterr()
        assert status == 0 or len(captured.err.splitlines()) == 1
        given[command] = f"{given.get(command, '')} {words}"
    for command, words in given.items():
        options = [o for o in options_of_command(command) if not o.positional]
        missing = [o.word for o in options if f"--{o.word} " not in f"{words} "]
        assert missing == [], command


@pytest.mark.slow
def test_every_option_of_a_run_is_set_in_a_real_one(data, run, tmp_path, capsys):
    given = {option.name: option.default for option in RUN_OPTIONS}
    given |= {"data": [str(data)], "output": str(tmp_path / "run"), "classes": ["g", "t"],
              "max_points": 5, "steps": 2, "batch_size": 8, "validate_events": 8, "samples": 2,
              "phases": {}, "accelerator": "cpu", "progress": False,
              "start": str(run), "start_part": "encoder"}  # fmt: skip
    del given["context"]  # of other recipes: tests/tools/test_train_on_contexts.py
    words = []
    for name, value in given.items():
        texts = value if isinstance(value, list | tuple) else [value]
        texts = [json.dumps(text) if isinstance(text, bool | dict) else str(text) for text in texts]
        words += [f"--{name.replace('_', '-')}", *texts]
    assert call("train", "points-vae", *small("points-vae"), *words) == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["classes"] == ["g", "t"]
    assert config["optimiser"]["betas"] == list(given["betas"])


def test_the_configuration_of_a_run_starts_another_like_it(data, run, tmp_path, capsys):
    again = tmp_path / "again"
    words = ["train", "points-vae", "--config", str(run / "config.json"), "--output", str(again)]
    assert call(*words, "--samples", "0", "--validate-events", "8") == 0
    one, other = (json.loads((folder / "config.json").read_text()) for folder in (run, again))
    one["reports"].pop("progress"), other["reports"].pop("progress")
    assert one == other
    # The file names the recipe; one of an earlier version has other names in it.
    old = {**one, "recipe": "jets-vae", "reports": {}}
    old["arguments"] = {k: v for k, v in one["arguments"].items() if k != "encoder"}
    old["arguments"] |= {"network": "epic", "max_points": 192}
    (tmp_path / "old.json").write_text(json.dumps(old))
    words = ["--steps", "1e0", "--samples", "0", "--validate-events", "8"]
    for file in (run / "config.json", tmp_path / "old.json"):
        third = tmp_path / file.stem
        assert call("train", "--config", str(file), "--output", str(third), *words) == 0
        found = json.loads((third / "config.json").read_text())
        assert (found["recipe"], found["steps"]) == ("points-vae", 1)
        assert found["arguments"]["hidden"] == one["arguments"]["hidden"]
    capsys.readouterr()
    assert call("train", "points-latent-gan", "--config", str(run / "config.json")) == 2
    error = capsys.readouterr().err.splitlines()[0]
    assert "recipe: got a run of points-vae, expected one of points-latent-gan" in error
    one["optimiser"]["momentum"] = 1
    (tmp_path / "other.json").write_text(json.dumps(one))
    assert call("train", "points-vae", "--config", str(tmp_path / "other.json")) == 2
    assert "unknown option 'momentum'" in capsys.readouterr().err


# --- every recipe ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "chosen"), variants(), ids=lambda value: "".join(value) or "-")
def test_every_recipe_and_choice_from_training_to_scores(
    recipe, chosen, data, showers, electrons, tmp_path, capsys
):
    data = {"showers": showers, "smearing": electrons}.get(recipe.split("-")[0], data)
    folder, made = str(tmp_path / "run"), str(tmp_path / "made.h5")
    words = ["train", recipe, *small(recipe), *chosen]
    assert call(*words, "--print_config") == 0
    assert call(*words, "--help") == 0
    contexts = ["--context", str(data)] if recipe in WITH_CONTEXTS else []
    words += contexts
    if (recipe, chosen) in REFUSED:
        capsys.readouterr()
        assert call(*words, *SMALL, "--data", str(data), "--output", folder) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert REFUSED[recipe, chosen] in line
        return
    assert call(*words, *SMALL, "--data", str(data), "--output", folder) == 0
    model = pcgen.load(folder)
    if {(recipe, None), (recipe, chosen)} & set(WITHOUT_A_PRIOR):
        assert call("sample", folder, made) == 1
        with pytest.raises(PcgenError):
            model.sample(number=2)
        return
    some = {"context": pc.select(read_clouds(data)[0], [0, 1])} if contexts else {"number": 2}
    assert model.sample(**some).num_graphs == 2
    assert call("sample", folder, made, "--number", "16", *contexts) == 0
    assert read_clouds(made)[0].num_graphs == 16
    if not chosen:
        few = ["--split", "all", "--repeats", "2", "--subset", "4", "--permutations", "0"]
        assert call("evaluate", str(data), made, *few) == 0
