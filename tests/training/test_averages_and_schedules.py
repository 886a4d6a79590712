from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from toy_models import Toy
from toy_runs import averages, fit, last, plain, rows, two_stages

from pcgen.errors import ArgumentError
from pcgen.training import Reports
from pcgen.training.learner import learners_of


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
    rates = [plain(2.0, schedule=schedule, warmup=4).rate(step, 20) for step in range(20)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    x = (np.arange(4, 20) - 4) / 16
    expected = 2 * np.ones(16) if schedule == "constant" else 1 + np.cos(np.pi * x)
    assert rates[4:] == pytest.approx(list(expected))


def test_a_warmup_longer_than_the_phase_is_legal():
    assert plain(1.0, warmup=100).rate(9, 10) == 0.1


def test_the_schedule_of_a_phase_spans_the_phase(tmp_path):
    options = plain(schedule="cosine")
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
    fit(model, tmp_path, 1, optimiser=plain(weight_decay=0.5), ema=None)
    # The first step of Adam is lr in the direction of the gradient, which pulls the mean to 2.
    assert model.mean.value.item() == pytest.approx(5.0 * (1 - 0.1 * 0.5) - 0.1, rel=1e-6)


@pytest.mark.parametrize(("limit", "expected"), [(1.0, 1.0), (10.0, 5.0), (None, 5.0)])
def test_clipping_limits_the_norm_of_the_phase(limit, expected):
    toy = Toy()
    (learner,) = learners_of(
        Fabric(accelerator="cpu", devices=1), toy.phases(), plain(clip=limit), {}, 10, None
    )
    toy.mean.value.grad, toy.spread.value.grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert learner.clip().item() == pytest.approx(5.0)
    norm = torch.cat([toy.mean.value.grad, toy.spread.value.grad]).norm().item()
    assert norm == pytest.approx(expected, rel=1e-5)


def test_a_distribution_is_learnt(tmp_path):
    options = plain(schedule="cosine")
    model = fit(Toy(), tmp_path, 200, optimiser=options, ema=0.9)
    assert model.mean.value.item() == pytest.approx(2.0, abs=0.05)
    assert model.spread.value.exp().item() == pytest.approx(0.5, rel=0.1)
