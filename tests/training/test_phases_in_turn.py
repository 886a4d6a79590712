from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_gan
from toy_models import Toy
from toy_runs import CPU, QUIET, averages, fit, last, rows, two_stages

from pcgen.models.base import Phase
from pcgen.training import train


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
    assert batches.steps == [(number, 0, 1) for number in range(24)]
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
