from __future__ import annotations

import csv
import dataclasses
import json
import math
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_gan
from lightning_fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel
from toy_models import Number, Numbers, Toy

from pcgen.errors import ArgumentError, CheckpointError, FileError, TrainingError
from pcgen.models.base import Phase
from pcgen.training import Machine, Optimiser, Reports, checkpoint, train
from pcgen.training.learner import learners_of

CPU = Machine("cpu")
QUIET = Reports(progress=False)
STEPS = 12  # of the toy GAN; 6 batches each


def fit(model: nn.Module, folder: Path, steps: int, **options) -> nn.Module:
    chosen = {"machine": CPU, "reports": QUIET, "optimiser": Optimiser(lr=0.1), **options}
    return train(model, chosen.pop("batches", Numbers()), folder=folder, steps=steps, **chosen)


def last(folder: Path, name: str = "last") -> checkpoint.Checkpoint:
    return checkpoint.read(folder / "checkpoints" / f"{name}.ckpt")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def differences(a: object, b: object, path: str = "") -> Iterator[str]:
    """Where two trees of plain values and tensors differ in any bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if not torch.equal(a, b):
            yield path
    elif isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            yield from differences(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        for number, pair in enumerate(zip(a, b, strict=True)):
            yield from differences(*pair, f"{path}/{number}")
    elif a != b:
        yield path


def assert_same_run(a: Path, b: Path) -> None:
    for name in ("last", "best", "step-00000010"):
        left, right = dataclasses.asdict(last(a, name)), dataclasses.asdict(last(b, name))
        assert list(differences(left, right)) == ["/seconds"], name
    strip = [[{**row, "seconds": ""} for row in rows(folder)] for folder in (a, b)]
    assert strip[0] == strip[1]
    assert [int(row["step"]) for row in strip[0]] == [3, 4, 6, 8, 9, 12]


def script(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, toy_gan.__file__, str(folder), "--steps", str(STEPS), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


# --- exact resume, on the hardest case ------------------------------------------------------------


def test_a_killed_and_resumed_gan_equals_the_uninterrupted_one(tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    toy_gan.run(str(whole), STEPS)
    # Batch 45 is the fourth of the critic in step 8: the kill is in the middle of everything.
    assert script(pieces, "--kill-at", "45").returncode == -signal.SIGKILL
    assert last(pieces).step == 5
    toy_gan.run(str(pieces), STEPS)
    assert_same_run(whole, pieces)


class Pressed(Numbers):
    """Ctrl-C while batch ``at`` is drawn."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, step: int, rank: int, world: int):
        if step == self.at:
            signal.raise_signal(signal.SIGINT)
        return super().__call__(step, rank, world)


@pytest.fixture
def listening():
    """Ctrl-C as in a terminal: a program in the background begins with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_an_interrupted_run_is_saved_and_goes_on_exactly(tmp_path, capsys):
    options = {"optimiser": Optimiser(lr=0.1, schedule="cosine"), "seed": 3}
    whole = fit(Toy(), tmp_path / "whole", 10, **options)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="interrupted at step 7 of 10; the same command"):
        fit(Toy(), tmp_path / "pieces", 10, batches=Pressed(6), **options)
    assert signal.getsignal(signal.SIGINT) is before
    assert last(tmp_path / "pieces").step == 7
    capsys.readouterr()
    pieces = fit(Toy(), tmp_path / "pieces", 10, **options)
    assert capsys.readouterr().err == f"{tmp_path / 'pieces'}: resuming at step 7 of 10 steps\n"
    assert list(differences(whole.state_dict(), pieces.state_dict())) == []
    states = [dataclasses.asdict(last(tmp_path / name)) for name in ("whole", "pieces")]
    assert list(differences(*states)) == ["/seconds"]
    # In the last step there is nothing to go on with, and nothing is lost.
    fit(Toy(), tmp_path / "end", 10, batches=Pressed(9), **options)
    assert last(tmp_path / "end").step == 10


@pytest.mark.usefixtures("listening")
def test_a_second_interruption_does_not_wait(tmp_path):
    class Twice(Pressed):
        def __call__(self, step: int, rank: int, world: int):
            batch = super().__call__(step, rank, world)
            return super().__call__(step, rank, world) if step == self.at else batch

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(Toy(), tmp_path, 10, batches=Twice(6))
    assert not caught.value.args
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


def test_a_run_that_ignores_interruptions_goes_on_doing_so(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        fit(Toy(), tmp_path, 10, batches=Pressed(6))
    finally:
        signal.signal(signal.SIGINT, before)
    assert last(tmp_path).step == 10


@pytest.mark.parametrize(("schedule", "lines"), [("constant", 1), ("cosine", 2)])
def test_what_a_longer_run_changes_is_said(tmp_path, capsys, schedule, lines):
    optimiser = Optimiser(lr=0.1, schedule=schedule)
    fit(Toy(), tmp_path, 4, optimiser=optimiser)
    fit(Toy(), tmp_path, 4, optimiser=optimiser)
    assert capsys.readouterr().err == f"{tmp_path}: nothing is left of 4 steps\n"
    fit(Toy(), tmp_path, 6, optimiser=optimiser)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == lines
    assert ("was planned for 4 steps" in told[-1]) == (schedule == "cosine")


@pytest.mark.slow
def test_resuming_is_exact_in_two_processes(tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    two = ("--devices", "2", "--strategy", "ddp")
    done = script(whole, *two)
    assert done.returncode == 0, done.stderr
    assert script(pieces, *two, "--kill-at", "45").returncode == -signal.SIGKILL
    assert last(pieces).step == 5
    done = script(pieces, *two)
    assert done.returncode == 0, done.stderr
    assert_same_run(whole, pieces)
    first, second = last(whole).random
    assert not torch.equal(first["torch"], second["torch"])


@pytest.mark.slow
def test_spawned_processes_bring_the_model_back(tmp_path):
    done = script(tmp_path / "run", "--devices", "2", "--strategy", "ddp_spawn")
    assert done.returncode == 0, done.stderr
    weight = last(tmp_path / "run").phases["generator"]["average"]["0.0.weight"]
    assert f"generator {weight.double().sum().item()}" in done.stdout


def test_a_run_can_be_made_longer(tmp_path):
    whole = fit(Toy(), tmp_path / "whole", 10)
    fit(Toy(), tmp_path / "pieces", 4)
    pieces = fit(Toy(), tmp_path / "pieces", 10)
    assert list(differences(whole.state_dict(), pieces.state_dict())) == []


def test_a_finished_run_is_only_loaded(tmp_path):
    model = fit(Toy(), tmp_path, 4)
    again = Toy()
    fit(again, tmp_path, 4)
    assert again.history == []
    assert list(differences(model.state_dict(), again.state_dict())) == []


def test_another_configuration_is_refused(tmp_path):
    fit(Toy(), tmp_path, 4, seed=1, config={"data": ["a.h5"]})
    with pytest.raises(ArgumentError, match=r"another configuration \(seed 1 -> 2\)"):
        fit(Toy(), tmp_path, 4, seed=2, config={"data": ["a.h5"]})
    with pytest.raises(ArgumentError, match=r"data \['a.h5'\] -> \['b.h5'\]"):
        fit(Toy(), tmp_path, 4, seed=1, config={"data": ["b.h5"]})
    more = Reports(log_every=1, progress=False)
    fit(Toy(), tmp_path, 5, seed=1, config={"data": ["a.h5"]}, reports=more)
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 5


def test_another_number_of_processes_is_refused(tmp_path):
    fit(Toy(), tmp_path, 4)
    state = last(tmp_path)
    file = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint.write(file, dataclasses.replace(state, random=state.random * 2))
    with pytest.raises(CheckpointError, match="written by 2 processes, expected 1"):
        fit(Toy(), tmp_path, 6)
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 4


def test_a_checkpoint_of_another_optimiser_is_refused(tmp_path):
    fit(Toy(), tmp_path, 4)
    state = last(tmp_path)
    file = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint.write(file, dataclasses.replace(state, phases={"other": state.phases["fit"]}))
    with pytest.raises(CheckpointError, match="does not fit this run"):
        fit(Toy(), tmp_path, 6)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FileError, match="exists and is not a run"):
        fit(Toy(), tmp_path, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(FileError, match="exists and is not a run"):
        fit(Toy(), tmp_path / "thesis.tex", 4)
    with pytest.raises(FileError, match="cannot be made"):
        fit(Toy(), tmp_path / "thesis.tex" / "run", 4)


def test_a_damaged_configuration_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(FileError, match="is not JSON"):
        fit(Toy(), tmp_path, 4)


# --- phases ---------------------------------------------------------------------------------------


def test_each_phase_moves_its_own_modules_only_in_its_rhythm(tmp_path):
    torch.manual_seed(1)
    model, batches = toy_gan.ToyGAN(), toy_gan.ToyBatches()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, batches, folder=tmp_path, steps=4, machine=CPU, reports=QUIET)
    after = last(tmp_path).model
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"critic", "generator", "centre"}
    for name, parameter in model.critic.named_parameters():
        # A constant added to a Wasserstein critic changes nothing: its last bias has no gradient.
        assert torch.equal(before[f"critic.{name}"], parameter) == (name == "2.bias")
    assert model.seen == (["critic"] * 5 + ["generator"]) * 4
    assert batches.asked == [(number, 0, 1) for number in range(24)]
    assert all(float(rows(tmp_path)[-1][f"gradient/{n}"]) > 0 for n in ("critic", "generator"))


def test_a_phase_gives_no_gradient_to_the_others(tmp_path):
    learning: list[tuple[bool, bool]] = []

    def spy(toy: Toy):
        def loss(clouds):
            learning.append((toy.mean.value.requires_grad, toy.spread.value.requires_grad))
            return toy.loss(clouds)

        return [Phase("a", (toy.mean,), loss), Phase("b", (toy.spread,), loss)]

    model = fit(Toy(spy), tmp_path, 2)
    assert learning == [(True, False), (False, True)] * 2
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_the_user_has_frozen_stays_frozen(tmp_path):
    model = Toy()
    model.spread.requires_grad_(False)
    fit(model, tmp_path, 5)
    assert model.spread.value.item() == 0.0
    assert not model.spread.value.requires_grad
    assert model.mean.value.item() != 0.0


def two_stages(toy: Toy) -> list[Phase]:
    return [
        Phase("first", (toy.mean,), toy.loss, end=0.5),
        Phase("between", (), None, begin=0.5, prepare=toy.find),
        Phase("second", (toy.spread,), toy.loss, begin=0.5, repeat=2),
    ]


def test_phases_begin_and_end_and_are_prepared_once(tmp_path):
    model = fit(Toy(two_stages), tmp_path, 10, ema=None)
    assert model.modes == [(True, False)] * 5 + [(False, True)] * 10
    values = model.history
    assert len(set(values[:5])) == 5
    assert len(set(values[5:])) == 1
    assert model.found.item() == pytest.approx(values[-1] + 300)
    assert last(tmp_path).prepared == ["between"]
    assert last(tmp_path).draws == 15


def test_a_later_phase_builds_on_the_average_of_an_earlier_one(tmp_path):
    model = fit(Toy(two_stages), tmp_path, 10, ema=0.9)
    average = averages(np.array(model.history[1:6]), 0.9)
    # history[5] is seen by the second phase already: it is the average of what the first did.
    last_raw = model.history[5]
    assert model.mean.value.item() == last_raw
    assert last_raw != pytest.approx(model.history[4], abs=1e-3)
    assert last_raw == pytest.approx(model.found.item() - 300, abs=1e-4)
    assert len(average) == 5


def test_a_prepared_phase_that_moves_into_the_future_is_prepared_again(tmp_path):
    fit(Toy(two_stages), tmp_path, 4)
    assert last(tmp_path).prepared == ["between"]
    model = Toy(two_stages)
    fit(model, tmp_path, 12)
    assert len(model.history) == 2 + 2 * 6  # steps 5 and 6 of the first, then all of the second
    assert model.found.item() == pytest.approx(model.mean.value.item() + 300, abs=1e-4)


def test_a_run_too_short_for_a_phase_still_prepares_it(tmp_path):
    model = fit(Toy(two_stages), tmp_path, 1)
    assert model.found.item() > 299


# --- averages, schedules, clipping ----------------------------------------------------------------


def averages(values: np.ndarray, decay: float) -> np.ndarray:
    """The formula of the learner, in double precision."""
    result = [values[0]]
    for k, value in enumerate(values[1:], start=1):
        d = min(decay, (1 + k) / (10 + k))
        result.append(d * result[-1] + (1 - d) * value)
    return np.array(result)


@pytest.mark.parametrize("decay", [0.0, 0.2, 0.999])
def test_the_running_average_follows_its_formula(tmp_path, decay):
    model = fit(Toy(), tmp_path, 8, ema=decay)
    raw = np.array([*model.history[1:], last(tmp_path).model["mean.value"].item()])
    assert model.mean.value.item() == pytest.approx(averages(raw, decay)[-1], rel=1e-6)
    assert last(tmp_path).phases["fit"]["averaged"] == 8


def test_without_average_the_model_is_what_was_learnt(tmp_path):
    model = fit(Toy(), tmp_path, 8, ema=None)
    assert torch.equal(model.mean.value, last(tmp_path).model["mean.value"])
    with pytest.raises(ArgumentError, match=r"ema: got 1\.0"):
        fit(Toy(), tmp_path / "other", 8, ema=1.0)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_rates_rise_then_follow_the_schedule(schedule):
    rates = [Optimiser(2.0, schedule=schedule, warmup=4).rate(step, 20) for step in range(20)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    x = (np.arange(4, 20) - 4) / 16
    expected = 2 * np.ones(16) if schedule == "constant" else 1 + np.cos(np.pi * x)
    assert rates[4:] == pytest.approx(list(expected))


def test_a_warmup_longer_than_the_phase_is_legal():
    assert Optimiser(1.0, warmup=100).rate(9, 10) == 0.1


def test_the_schedule_of_a_phase_spans_the_phase(tmp_path):
    options = Optimiser(lr=0.1, schedule="cosine")
    reports = Reports(log_every=1, progress=False)
    different = {"second": {"lr": 0.01, "schedule": "constant"}}
    fit(Toy(two_stages), tmp_path, 8, optimiser=options, reports=reports, phases=different)
    table = rows(tmp_path)
    first = [float(row["lr/first"]) for row in table[:4]]
    assert first == pytest.approx([0.05 * (1 + math.cos(math.pi * k / 4)) for k in range(4)])
    assert [row["lr/first"] for row in table[4:]] == [""] * 4
    assert [row["lr/second"] for row in table] == [""] * 4 + ["0.01"] * 4


def test_one_step_is_one_step_of_adam_with_decoupled_decay(tmp_path):
    model = Toy()
    model.mean.value.data.fill_(5.0)
    fit(model, tmp_path, 1, optimiser=Optimiser(lr=0.1, weight_decay=0.5), ema=None)
    # The first step of Adam is lr in the direction of the gradient, which pulls the mean to 2.
    assert model.mean.value.item() == pytest.approx(5.0 * (1 - 0.1 * 0.5) - 0.1, rel=1e-6)


@pytest.mark.parametrize(("limit", "expected"), [(1.0, 1.0), (10.0, 5.0), (None, 5.0)])
def test_clipping_limits_the_norm_of_the_phase(limit, expected):
    toy = Toy()
    (learner,) = learners_of(
        Fabric(accelerator="cpu", devices=1), toy.phases(), Optimiser(clip=limit), {}, 10, None
    )
    toy.mean.value.grad, toy.spread.value.grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert learner.clip().item() == pytest.approx(5.0)
    norm = torch.cat([toy.mean.value.grad, toy.spread.value.grad]).norm().item()
    assert norm == pytest.approx(expected, rel=1e-5)


def test_a_distribution_is_learnt(tmp_path):
    options = Optimiser(lr=0.1, schedule="cosine")
    model = fit(Toy(), tmp_path, 200, optimiser=options, ema=0.9)
    assert model.mean.value.item() == pytest.approx(2.0, abs=0.05)
    assert model.spread.value.exp().item() == pytest.approx(0.5, rel=0.1)


# --- precision ------------------------------------------------------------------------------------


class Linear(Toy):
    """Notes in what precision its layer computes."""

    def __init__(self) -> None:
        super().__init__(lambda toy: [Phase("fit", (toy.layer,), toy.loss)])
        self.layer = nn.Linear(1, 4)
        self.dtypes: list[torch.dtype] = []

    def loss(self, clouds):
        made = self.layer(clouds.pos)
        self.dtypes.append(made.dtype)
        return {"square": made.square().mean()}


def test_bf16_computes_in_bf16_and_learns_in_float32(tmp_path):
    model = fit(Linear(), tmp_path, 30, machine=Machine("cpu", precision="bf16-mixed"))
    assert set(model.dtypes) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    losses = [row["fit/square"] for row in rows(tmp_path)]
    assert all(math.isfinite(float(value)) for value in losses)


def test_machines_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"machine: got .*fp16 is not supported on CPU"):
        fit(Toy(), tmp_path, 4, machine=Machine("cpu", precision="16-mixed"))
    with pytest.raises(ArgumentError, match="precision: got '8-bit'"):
        Machine(precision="8-bit")
    with pytest.raises(ArgumentError, match=r"machine: got .*'dp' is not supported on CPUs"):
        fit(Toy(), tmp_path, 4, machine=Machine("cpu", devices=2, strategy="dp"))
    with pytest.raises(ArgumentError, match=r"machine: got .*'no-such'"):
        fit(Toy(), tmp_path, 4, machine=Machine("no-such"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_gpu_trains_and_goes_on(tmp_path, precision):
    machine = Machine("cuda", precision=precision)
    reports = Reports(checkpoint_every=5, progress=False)
    options = {"machine": machine, "reports": reports, "validate": None}
    toy_gan.run(str(tmp_path / "whole"), 10, **options)
    toy_gan.run(str(tmp_path / "pieces"), 5, **options)
    toy_gan.run(str(tmp_path / "pieces"), 10, **options)
    whole, pieces = last(tmp_path / "whole"), last(tmp_path / "pieces")
    assert whole.draws == pieces.draws == 60
    assert whole.scaler.keys() == pieces.scaler.keys()
    assert bool(whole.scaler) == (precision == "16-mixed")
    for name, value in whole.model.items():
        assert torch.allclose(value, pieces.model[name], atol=1e-3), name


# --- what must not happen -------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, bad):
    class Explodes(Toy):
        def loss(self, clouds):
            terms = super().loss(clouds)
            return {**terms, "volume": terms["volume"] * (bad if len(self.history) == 7 else 1)}

    reports = Reports(checkpoint_every=5, progress=False)
    model = Explodes()
    model.spread.value.data.fill_(1.0)
    with pytest.raises(TrainingError, match=f"step 7, phase 'fit': term 'volume' is {bad}"):
        fit(model, tmp_path, 10, reports=reports)
    assert last(tmp_path).step == 5
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path):
    class Cusp(Toy):
        def loss(self, clouds):
            return {"root": (self.mean() * 0).sqrt().sum()}

    with pytest.raises(TrainingError, match="step 1, phase 'fit': the gradient is nan"):
        fit(Cusp(), tmp_path, 10)
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


def test_the_callers_random_numbers_are_left_alone(tmp_path):
    def numbers():
        return torch.rand(()).item(), np.random.random_sample(), random.random()

    model = toy_gan.ToyGAN()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = numbers()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    train(model, toy_gan.ToyBatches(), folder=tmp_path, steps=2, machine=CPU, reports=QUIET)
    assert numbers() == expected


def test_validating_and_logging_change_nothing_that_is_learnt(tmp_path):
    often = Reports(log_every=1, validate_every=1, checkpoint_every=1, progress=False)
    toy_gan.run(str(tmp_path / "often"), 6, reports=often)
    toy_gan.run(str(tmp_path / "never"), 6, reports=QUIET, validate=None)
    states = [last(tmp_path / name) for name in ("often", "never")]
    for field in ("model", "phases", "random", "draws"):
        assert list(differences(*(getattr(state, field) for state in states))) == [], field


def test_seeds_make_different_runs(tmp_path):
    runs = [tmp_path / str(seed) for seed in range(2)]
    for seed, folder in enumerate(runs):
        toy_gan.run(str(folder), 2, seed=seed)
    weights = [last(folder).model["generator.0.weight"] for folder in runs]
    assert not torch.equal(*weights)


def no_gradient(toy: Toy) -> list[Phase]:
    return [Phase("fit", (toy.mean,), lambda clouds: {"one": torch.ones(())})]


def not_a_scalar(toy: Toy) -> list[Phase]:
    return [Phase("fit", (toy.mean,), lambda clouds: {"two": toy.mean() * torch.ones(2)})]


def nothing_to_train(toy: Toy) -> list[Phase]:
    return [Phase("fit", (nn.Identity(),), toy.loss)]


def same_names(toy: Toy) -> list[Phase]:
    return [Phase("fit", (toy.mean,), toy.loss)] * 2


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        (no_gradient, "phase 'fit': got a loss that does not depend on its parameters"),
        (not_a_scalar, r"phase 'fit', term 'two': got shape \(2,\), expected a scalar"),
        (nothing_to_train, "phase 'fit': has a loss but no parameters"),
        (same_names, "phases: got fit, fit, expected different names"),
    ],
)
def test_phases_that_cannot_learn_are_refused(tmp_path, phases, message):
    with pytest.raises(ArgumentError, match=message):
        fit(Toy(phases), tmp_path, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps, seed: got 0, 0"),
        ({"seed": -1}, "steps, seed: got 4, -1"),
        ({"phases": {"critic": {"lr": 1}}}, "phases: got 'critic', expected one of fit"),
        ({"phases": {"fit": {"speed": 1}}}, "phases: got option 'speed' of 'fit'"),
        ({"phases": {"fit": {"lr": -1}}}, "lr: got -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, message):
    with pytest.raises(ArgumentError, match=message):
        fit(Toy(), tmp_path, **{"steps": 4, **options})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Optimiser(lr=0.0), "lr: got 0.0"),
        (lambda: Optimiser(clip=math.nan), "clip: got nan"),
        (lambda: Optimiser(betas=(0.9, 1.0)), "betas: got"),
        (lambda: Optimiser(weight_decay=-1.0), "weight_decay, warmup: got -1.0"),
        (lambda: Optimiser(schedule="stairs"), "schedule: got 'stairs'"),
        (lambda: Reports(log_every=0), "log_every: got 0"),
        (lambda: Reports(keep=-1), "keep: got -1"),
    ],
)
def test_option_values_are_checked(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


# --- validation, log, folder ----------------------------------------------------------------------


def test_the_best_checkpoint_is_the_lowest_score(tmp_path):
    scores = iter([3.0, 1.0, math.nan, 2.0, 1.0])
    reports = Reports(validate_every=2, progress=False)
    fit(Toy(), tmp_path, 10, validate=lambda model: {"w1": next(scores)}, score="w1",
        reports=reports)  # fmt: skip
    assert last(tmp_path, "best").step == 4
    assert last(tmp_path).best == 1.0
    logged = [row["validation/w1"] for row in rows(tmp_path)]
    assert logged == ["3.0", "1.0", "nan", "2.0", "1.0"]


def test_validation_sees_the_average_and_waits_for_every_phase(tmp_path):
    seen: list[tuple[int, float, bool]] = []
    model = Toy(two_stages)

    def validate(given):
        assert given is model
        seen.append((len(model.history), model.mean.value.item(), given.training))
        return {"score": 0.0}

    fit(model, tmp_path, 8, validate=validate, reports=Reports(validate_every=1, progress=False))
    assert [calls for calls, _, _ in seen] == [6, 8, 10, 12]
    assert not any(training for _, _, training in seen)
    assert len({mean for _, mean, _ in seen}) == 1


def test_validation_restores_what_is_being_learnt(tmp_path):
    seen: list[float] = []
    model = Toy()

    def validate(given):
        seen.append(given.mean.value.item())
        return {"score": 0.0}

    fit(model, tmp_path, 6, validate=validate, reports=Reports(validate_every=2, progress=False))
    raw = np.array([*model.history[1:], last(tmp_path).model["mean.value"].item()])
    assert seen == pytest.approx(list(averages(raw, 0.999)[1::2]), rel=1e-6)


def test_further_steps_are_validated_where_asked(tmp_path):
    reports = Reports(validate_every=6, validate_at=(1, 4, 99), progress=False)
    fit(Toy(), tmp_path, 8, validate=lambda model: {"score": 0.0}, reports=reports)
    assert [row["step"] for row in rows(tmp_path) if row["validation/score"]] == list("1468")


def test_a_score_that_validation_does_not_give_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"score: got 'w1', expected .*: mass, girth"):
        fit(Toy(), tmp_path, 4, validate=lambda m: {"mass": 1.0, "girth": 2.0}, score="w1")


def test_numbered_checkpoints_stay_as_many_as_wanted(tmp_path):
    fit(Toy(), tmp_path, 9, reports=Reports(checkpoint_every=2, keep=3, progress=False))
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["last.ckpt", *(f"step-{step:08d}.ckpt" for step in (6, 8, 9))]
    fit(Toy(), tmp_path / "none", 9, reports=Reports(checkpoint_every=2, keep=0, progress=False))
    assert [path.name for path in (tmp_path / "none/checkpoints").iterdir()] == ["last.ckpt"]


def test_the_log_holds_means_since_the_last_row(tmp_path):
    fit(Toy(), tmp_path / "each", 6, reports=Reports(log_every=1, progress=False))
    fit(Toy(), tmp_path / "third", 6, reports=Reports(log_every=3, progress=False))
    each = [float(row["fit/pull"]) for row in rows(tmp_path / "each")]
    third = [float(row["fit/pull"]) for row in rows(tmp_path / "third")]
    assert third == pytest.approx([np.mean(each[:3]), np.mean(each[3:])])
    names = ["step", "fit/pull", "fit/volume", "gradient/fit", "lr/fit", "seconds"]
    assert list(rows(tmp_path / "each")[0]) == names


def test_a_log_that_a_kill_cut_short_is_mended(tmp_path):
    fit(Toy(), tmp_path, 4, reports=Reports(log_every=1, progress=False))
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("5,0.1,0.2,0.3,0.1,9\n6,0.")
    fit(Toy(), tmp_path, 8, reports=Reports(log_every=1, progress=False))
    assert [row["step"] for row in rows(tmp_path)] == [str(step) for step in range(1, 9)]
    assert all(float(row["seconds"]) < 9 for row in rows(tmp_path))


def test_the_run_is_a_folder_of_plain_files(tmp_path):
    fit(Toy(), tmp_path, 4, recipe="toy", arguments={"width": 3}, config={"batch_size": 64})
    fit(Toy(), tmp_path, 6, recipe="toy", arguments={"width": 3}, config={"batch_size": 64})
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["recipe"] == "toy"
    assert config["arguments"] == {"width": 3}
    assert config["optimiser"]["lr"] == 0.1
    assert config["batch_size"] == 64
    starts = json.loads((tmp_path / "environment.json").read_text())
    assert len(starts) == 2
    assert starts[0]["packages"]["torch"] == torch.__version__
    assert starts[0]["device"] == "cpu"
    assert (tmp_path / "samples").is_dir()
    assert (tmp_path / "figures").is_dir()


def test_tensorboard_can_read_the_events(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(Toy(), tmp_path, 4, reports=Reports(log_every=2, progress=False))
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    events = board.Scalars("fit/pull")
    assert [event.step for event in events] == [2, 4]
    expected = [float(row["fit/pull"]) for row in rows(tmp_path)]
    assert [event.value for event in events] == pytest.approx(expected)


def test_buffers_are_copied_and_not_averaged():
    # A table of counts stays a table of counts.
    modules = nn.ModuleList([Number(1.0), nn.BatchNorm1d(2)])
    from pcgen.training.learner import running_average

    average = running_average(modules, 0.9)
    assert isinstance(average, AveragedModel)
    for _ in range(3):
        modules[1].num_batches_tracked += 1
        average.update_parameters(modules)
    assert average.module[1].num_batches_tracked.item() == 3
