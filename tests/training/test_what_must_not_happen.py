from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
import toy_gan
from torch import nn
from toy_models import Toy
from toy_runs import CPU, QUIET, differences, fit, last

from pcgen.errors import ArgumentError, DataError, TrainingError
from pcgen.models.base import Phase
from pcgen.training import Optimiser, Reports, train


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


@pytest.mark.parametrize("kind", [ArgumentError, DataError])
def test_what_a_loss_refuses_after_the_first_step_names_where(tmp_path, kind):
    class Refuses(Toy):
        def loss(self, clouds):
            if len(self.history) == self.at:
                raise kind("x: row 0 is [nan, nan]")
            return super().loss(clouds)

    model = Refuses()
    model.at = 0
    with pytest.raises(kind, match=r"^x: row 0"):  # nothing is learnt yet: it is the data
        fit(model, tmp_path / "a", 4)
    model.at = 2
    with pytest.raises(
        TrainingError, match=r"step 3, phase 'fit': x: row 0 is \[nan, nan\]; what is"
    ):
        fit(model, tmp_path / "b", 4)


def test_what_validation_refuses_names_where(tmp_path):
    def validate(model):
        raise DataError("pos: got NaN")

    with pytest.raises(
        TrainingError, match="step 5, validation before it: pos: got NaN; what is saved"
    ):
        fit(Toy(), tmp_path, 4, validate=validate)


def test_rates_and_limits_are_finite():
    for option in ("lr", "clip", "weight_decay"):
        for value in (math.nan, math.inf):
            with pytest.raises(ArgumentError, match=f"{option}"):
                Optimiser(**{option: value})
