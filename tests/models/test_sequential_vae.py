"""The sequential VAE: its loss by hand, the weight of its divergence, and its chain."""

from __future__ import annotations

import math

import pytest
import torch
from test_autoencoder import JETS, Mean, jets
from test_chain import fitted
from torch import nn

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.autoencoder import Gaussian
from pcgen.models.representations import Points
from pcgen.models.request import Request
from pcgen.models.sequential_vae import RISE, SequentialVAE, Transition
from pcgen.objectives.reconstruction import ChamferLoss
from pcgen.recipes import RECIPES
from pcgen.tools.mixing import report


class Recorded(nn.Module):
    """Decoder: all points are the features of the event before, plus one."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, code, sizes, y=None, generator=None) -> cl.Batch:
        self.seen.append(code)
        points = (code[:, -3:] + 1).repeat_interleave(sizes, 0)
        return cl.make(points[:, :2], sizes, x=points[:, 2:])


def sequential(shared: bool, steps: int = 3) -> SequentialVAE:
    return RECIPES["points-sequential-vae"](
        hidden=8, latent_dim=3, transitions=steps, shared=shared, schema=JETS.to_dict(), beta=0.5
    )


def test_each_step_takes_the_code_of_the_truth_and_what_the_step_before_made() -> None:
    clouds = jets([1, 1, 1])
    decoder = Recorded()
    transition = Transition(Mean(), Gaussian(3, 2), Mean(), decoder)
    model = fitted(
        SequentialVAE(Points(JETS), [transition], {"chamfer": ChamferLoss()}, steps=3), clouds
    )
    model.loss(clouds)
    first, second, third = (seen[:, 2:4] for seen in decoder.seen)
    torch.testing.assert_close(second, first + 1)
    torch.testing.assert_close(third, second + 1)
    codes = [seen[:, :2] for seen in decoder.seen]
    assert not torch.equal(codes[0], codes[1])


def test_terms_are_sums_over_the_steps_and_the_divergence_has_its_weight() -> None:
    clouds = jets([3, 0, 5, 1])
    model = fitted(sequential(False), clouds)
    real, condition = model.representation.see(clouds)
    posteriors = [t.latent.posterior(t.encoder(real, condition)) for t in model.transitions]
    nats = sum(
        0.5 * (mean.square() + log.exp() - 1 - log).sum(1).mean() for mean, log in posteriors
    )
    (phase,) = [phase for phase in model.phases() if phase.name == "chain"]
    assert phase.progress is not None
    for done in (0.0, RISE, 1.0):
        phase.progress(done)
        weight = 1 - math.exp(-done / RISE)
        torch.testing.assert_close(model.loss(clouds)["kl"], 0.5 * weight * nats)
    assert set(model.loss(clouds)) == {"emd", "chamfer", "sliced", "shape", "kl"}


def test_every_step_learns_and_none_through_another() -> None:
    clouds = jets([3, 4, 5, 1])
    model = fitted(sequential(False, 2), clouds)
    losses = model.loss(clouds)
    torch.stack(list(losses.values())).sum().backward()
    for parameter in model.transitions.parameters():
        assert parameter.grad is not None
    alone = fitted(sequential(False, 1), clouds)
    alone.transitions[0].load_state_dict(model.transitions[0].state_dict())
    # The first step's gradient is its own: that of a chain of one, but for the noise.
    torch.manual_seed(0)
    two = torch.autograd.grad(
        sum(model.loss(clouds).values()), list(model.transitions[0].parameters())
    )
    torch.manual_seed(0)
    one = torch.autograd.grad(sum(alone.loss(clouds).values()), list(alone.parameters()))
    for first, second in zip(one, two, strict=True):
        torch.testing.assert_close(first, second)


def test_states_are_those_of_a_sample_and_only_a_homogeneous_chain_goes_on() -> None:
    clouds = jets([3, 0, 5, 1])
    one, two = (torch.Generator().manual_seed(6) for _ in range(2))
    model = fitted(sequential(False), clouds)
    *_, state = model.states(Request(9), 3, one)
    assert torch.equal(model.sample(number=9, generator=two).pos, state.pos)
    with pytest.raises(ArgumentError, match="steps: got 4, expected at most 3"):
        next(model.states(Request(9), 4, one))
    assert report(model, 0) == ""
    shared = fitted(sequential(True), clouds)
    assert len(shared.transitions) == 1
    assert len(list(shared.states(Request(2), 7, one))) == 7
    assert report(shared, 0).startswith("chain: burn-in of 3 steps")


def test_a_wrong_number_of_transitions_is_refused() -> None:
    transition = Transition(Mean(), Gaussian(3, 2), Mean(), Recorded())
    with pytest.raises(ArgumentError, match="transitions: got 2 for 3 steps"):
        SequentialVAE(Points(JETS), [transition] * 2, {}, steps=3)
    with pytest.raises(ArgumentError, match="transitions: got 0, expected >= 1"):
        RECIPES["points-sequential-vae"](transitions=0)
