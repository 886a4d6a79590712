"""``pcgen sample --solver --steps --tolerance``: a flow is followed in another way than trained."""

from __future__ import annotations

import pytest
import torch

import pcgen
from pcgen.io import CloudFile, read_clouds
from pcgen.ops.ode import Integrator
from pcgen.tools import cli


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """A run of a small flow."""
    folder = tmp_path_factory.mktemp("flow") / "run"
    words = "--hidden 8 --layers 1 --integration-steps 3 --steps 40 --batch-size 32 --max-points 8"
    words += " --samples 0 --validate-events 8 --accelerator cpu"
    assert cli.main(["train", "points-flow", *words.split(), "--output", str(folder)]) == 0
    return folder


def drawn(flow, target, *words):
    status = cli.main(["sample", str(flow), str(target), "--number", "20", *words])
    assert status == 0
    with CloudFile(target) as file:
        return file.read(), file.attrs.get("solver")


def of_model(flow, solver):
    model = pcgen.load(flow)
    assert model.paths.solver == Integrator("midpoint", 3)
    model.paths.solver = solver
    return model.sample(number=20, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("words", "solver", "recorded"),
    [
        ([], Integrator("midpoint", 3), None),
        (["--steps", "9"], Integrator("midpoint", 9), {"steps": 9}),
        (["--solver", "euler"], Integrator("euler", 3), {"rule": "euler"}),
        (["--pace", "0.5"], Integrator("midpoint", 3, pace=0.5), {"pace": 0.5}),
        (
            ["--solver", "heun", "--steps", "4", "--processes", "2", "--batch-size", "500"],
            Integrator("heun", 4),
            {"rule": "heun", "steps": 4},
        ),
        (
            ["--solver", "adaptive", "--tolerance", "0.01"],
            Integrator("adaptive", 3, 0.01),
            {"rule": "adaptive", "tolerance": 0.01},
        ),
    ],
)
def test_the_solver_is_chosen_when_sampling(flow, tmp_path, words, solver, recorded):
    clouds, attrs = drawn(flow, tmp_path / "a.h5", *words)
    expected = of_model(flow, solver)
    assert torch.equal(clouds.pos, expected.pos)
    assert torch.equal(clouds.weight, expected.weight)
    assert attrs == recorded


def test_processes_use_the_same_solver(flow, tmp_path):
    words = ["--solver", "heun", "--steps", "2", "--batch-size", "7"]
    one, _ = drawn(flow, tmp_path / "a.h5", *words)
    two, _ = drawn(flow, tmp_path / "b.h5", *words, "--processes", "2")
    assert torch.equal(one.pos, two.pos)


def test_more_evaluations_come_closer_to_the_trajectories(flow):
    truth = of_model(flow, Integrator("adaptive", tolerance=1e-6)).pos
    errors = [
        float((of_model(flow, Integrator("heun", steps)).pos - truth).norm())
        for steps in (2, 8, 32)
    ]
    assert errors[0] > 1.5 * errors[1] > 2.25 * errors[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--solver adaptive --steps 3", "steps: got 3 for the solver adaptive, expected tolerance"),
        ("--solver euler --tolerance 0.1", "tolerance: got 0.1 for the solver euler, expected st"),
        ("--tolerance 0.1", "tolerance: got 0.1 for the solver midpoint, expected steps"),
        ("--solver adaptive --pace 2", "pace: got 2.0 for the solver adaptive, expected tolerance"),
        ("--pace 0", "pace: got 0.0, expected a positive number"),
        ("--steps 0", "steps: got 0, expected >= 1"),
    ],
)
def test_contradictions_are_one_line(flow, tmp_path, words, message, capsys):
    assert cli.main(["sample", str(flow), str(tmp_path / "a.h5"), *words.split()]) == 1
    assert capsys.readouterr().err.startswith(f"pcgen: {message}")
    assert not list(tmp_path.iterdir())


def trained(recipe, few, run):
    words = "--hidden 8 --layers 1 --steps 2 --batch-size 8 --samples 0 --validate-events 8"
    train = ["train", recipe, *words.split(), "--data", str(few), "--output", str(run)]
    assert cli.main([*train, "--accelerator", "cpu", "--progress", "false"]) == 0
    return run


def test_a_map_with_a_critic_has_one_step(tmp_path, few, capsys):
    run = trained("points-flow-gan", few, tmp_path / "run")
    target = str(tmp_path / "a.h5")
    capsys.readouterr()
    assert cli.main(["sample", str(run), target, "--steps", "4"]) == 1
    assert capsys.readouterr().err.endswith("whose network goes the whole way, expected none\n")
    assert cli.main(["sample", str(run), target, "--number", "9"]) == 0


@pytest.mark.parametrize(
    ("recipe", "model"), [("points-flow-map", "FlowMap"), ("points-flow-student", "FlowStudent")]
)
def test_a_map_takes_steps_and_no_solver(tmp_path, few, capsys, recipe, model):
    run = trained(recipe, few, tmp_path / "run")
    drawn = []
    for steps in (1, 3):
        target = tmp_path / f"{steps}.h5"
        assert (
            cli.main(["sample", str(run), str(target), "--number", "9", "--steps", str(steps)]) == 0
        )
        drawn.append(read_clouds(target)[0].pos)
    assert not torch.equal(*drawn)
    capsys.readouterr()
    assert cli.main(["sample", str(run), str(tmp_path / "a.h5"), "--solver", "heun"]) == 1
    assert capsys.readouterr().err.startswith(f"pcgen: solver: got values for a {model}, whose")
