from __future__ import annotations

import dataclasses
import inspect
import json

import pytest
from toy_models import Toy
from toy_runs import fit, last, plain, rows

from pcgen.errors import ArgumentError
from pcgen.models.base import Phase
from pcgen.recipes import RECIPES
from pcgen.tools.train import train as command
from pcgen.training import Machine, Optimiser, Reports
from pcgen.training.learner import own_options

NO_MOMENTUM = {"lr": 2e-3, "betas": (0.0, 0.9)}


def game(toy: Toy) -> list[Phase]:
    return [
        Phase("critic", (toy.mean,), toy.loss, optimiser=NO_MOMENTUM),
        Phase("generator", (toy.spread,), toy.loss, optimiser=NO_MOMENTUM),
    ]


def trained(folder, phases=None, optimiser=None):
    """Rate and betas of each phase, as they were used."""
    chosen = optimiser or plain()
    fit(Toy(game), folder, 3, optimiser=chosen, phases=phases)
    state = last(folder)
    groups = {name: each["optimiser"]["param_groups"][0] for name, each in state.phases.items()}
    return {name: (group["lr"], tuple(group["betas"])) for name, group in groups.items()}


def test_a_phase_brings_its_options_and_keeps_them_whatever_the_runs_are(tmp_path):
    used = trained(tmp_path, optimiser=plain(0.5, betas=(0.5, 0.6)))
    assert used == dict.fromkeys(("critic", "generator"), (2e-3, (0.0, 0.9)))


def test_the_users_options_go_over_them_key_by_key(tmp_path):
    used = trained(tmp_path, phases={"critic": {"lr": 1e-4}})
    assert used == {"critic": (1e-4, (0.0, 0.9)), "generator": (2e-3, (0.0, 0.9))}
    assert last(tmp_path).config["phases"] == {
        "critic": {"lr": 1e-4, "betas": (0.0, 0.9)},
        "generator": NO_MOMENTUM,
    }


def test_what_a_phase_does_not_say_is_the_runs(tmp_path):
    fit(Toy(game), tmp_path, 4, optimiser=plain(warmup=2), reports=Reports(1, progress=False))
    assert [float(row["lr/critic"]) for row in rows(tmp_path)] == [1e-3, 2e-3, 2e-3, 2e-3]


def test_a_run_is_refused_where_its_phases_changed_since(tmp_path):
    fit(Toy(game), tmp_path, 2)
    file = tmp_path / "config.json"
    stored = json.loads(file.read_text())
    file.write_text(json.dumps(stored | {"phases": {}}))  # as Python recorded it before
    with pytest.raises(ArgumentError, match=r"configuration \(phases.critic None -> .*phases.gen"):
        fit(Toy(game), tmp_path, 4)


def test_an_option_that_nobody_knows_is_named(tmp_path):
    def odd(toy: Toy) -> list[Phase]:
        return [Phase("fit", (toy.mean,), toy.loss, optimiser={"speed": 1})]

    with pytest.raises(ArgumentError, match="phases: got option 'speed' of 'fit', expected one of"):
        fit(Toy(odd), tmp_path, 2)
    with pytest.raises(ArgumentError, match="phase 'critic': lr: got 'fast'"):
        fit(Toy(game), tmp_path, 2, phases={"critic": {"lr": "fast"}})
    with pytest.raises(ArgumentError, match=r"phases: got 0\.1 for 'critic', expected options by"):
        fit(Toy(game), tmp_path, 2, phases={"critic": 0.1})


@pytest.mark.parametrize(
    "values",
    [{"lr": "1e-4"}, {"lr": True}, {"lr": None}, {"clip": "5"}, {"betas": 0.9}, {"betas": "ab"},
     {"betas": (0.9,)}, {"betas": (0.9, "x")}, {"weight_decay": None}, {"warmup": "50"}],
)  # fmt: skip
def test_values_that_are_no_numbers_are_refused(values):
    with pytest.raises(ArgumentError, match=f"{next(iter(values))}.*: got"):
        Optimiser(**values)


def test_critics_and_generators_of_recipes_have_no_momentum():
    papers = {"shapes-gan", "shapes-latent-gan"}
    for name in papers:
        own = own_options(RECIPES[name]().phases(), {})
        assert own["critic"] == own["generator"]
        assert own["critic"] == {"lr": 1e-4, "betas": (0.5, 0.999), "schedule": "constant"}
    own = own_options(RECIPES["shapes-latent-flow"]().phases(), {})
    assert own["reconstruction"] == {"lr": 5e-4, "schedule": "constant"}
    # Recipes of one paper have the optimiser of the paper.
    ours = ("points-", "image-", "sites-", "showers-")
    games = {name for name in RECIPES if name.endswith("gan") and name.startswith(ours)}
    assert games
    for name in games:
        own = own_options(RECIPES[name]().phases(), {"critic": {"lr": 1e-4}})
        assert own["critic"] == {"lr": 1e-4, "betas": (0.0, 0.9)}, name
        # What has been trained before learns more slowly.
        rate = 3e-4 if name == "points-flow-gan" else 2e-3
        assert own["generator"] == {"lr": rate, "betas": (0.0, 0.9)}, name


def test_defaults_stand_once():
    given = inspect.signature(command).parameters
    short = {"num_nodes": "nodes"}
    for options in (Optimiser, Machine, Reports):
        for field in dataclasses.fields(options):
            name = short.get(field.name, field.name)
            if name != "validate_at":
                assert given[name].default == field.default, name


def test_betas_from_a_file_are_those_of_python():
    assert Optimiser(betas=[0.5, 0.9]) == Optimiser(betas=(0.5, 0.9))


def test_a_phase_that_takes_no_steps_takes_no_options():
    phases = [
        Phase("find", (), None, prepare=lambda batches: None),
        *Toy().phases(),
    ]
    with pytest.raises(ArgumentError, match=r"options of 'find', .* expected those of fit"):
        own_options(phases, {"find": {"lr": 0.1}})
    assert own_options(phases, {"fit": {"lr": 0.1}, "find": {}}) == {"fit": {"lr": 0.1}}
