"""Chains: the stationary law of exact kernels, and what a step of a learnt one keeps."""

from __future__ import annotations

import itertools

import pytest
import torch
from test_autoencoder import BARE, JETS, Mean, Repeat, identity, jets
from torch import Tensor, nn

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.autoencoder import Autoencoder, Gaussian
from pcgen.models.chain import Chain, Mixing, markov_chain, noise
from pcgen.models.representations import Points
from pcgen.models.request import Request
from pcgen.objectives.corruption import SetCorruption
from pcgen.objectives.reconstruction import ChamferLoss
from pcgen.recipes import RECIPES
from pcgen.tools.claims import chain as claims
from pcgen.tools.mixing import report, times


class Same:
    """A corruption that loses nothing and counts its calls."""

    calls = 0

    def __call__(self, event: cl.Batch, generator: torch.Generator | None) -> cl.Batch:
        self.calls += 1
        return event


def of_identities(clouds: cl.Batch, schema=JETS, **options) -> Chain:
    features = 1 if schema.weight else 0
    codec = Autoencoder(
        Points(schema), Mean(), identity(2 + features), Repeat(features), {"chamfer": ChamferLoss()}
    )
    return fitted(Chain(codec, **options), clouds)


def fitted(model, clouds: cl.Batch):
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    return model.eval()


# --- a finite space -------------------------------------------------------------------------------


def test_the_stationary_law_of_the_exact_denoiser_is_that_of_the_data() -> None:
    chance, lossy = claims.law(3), claims.corruption()
    torch.testing.assert_close(lossy.sum(1), torch.ones(10, dtype=torch.double))
    kernel = lossy @ claims.posterior(chance, lossy)
    torch.testing.assert_close(chance @ kernel, chance, atol=1e-15, rtol=0.0)
    assert claims.variation(claims.stationary(kernel), chance) < 1e-12
    # Detailed balance too: the chain is reversible.
    flow = chance[:, None] * kernel
    torch.testing.assert_close(flow, flow.T, atol=1e-15, rtol=0.0)


def test_a_run_of_the_chain_visits_states_as_often_as_the_data_have_them() -> None:
    chance, lossy = claims.law(5), claims.corruption()
    kernel = lossy @ claims.posterior(chance, lossy)

    def step(state: Tensor, draw: torch.Generator | None) -> Tensor:
        return kernel[state].multinomial(1, generator=draw)[:, 0]

    draw = torch.Generator().manual_seed(0)
    states = list(markov_chain(step, torch.zeros(2000, dtype=torch.long), 40, draw))
    assert len(states) == 40
    share = torch.bincount(torch.cat(states[20:]), minlength=10) / (20 * 2000)
    torch.testing.assert_close(share.double(), chance, atol=0.01, rtol=0.0)


# --- chains of clouds -----------------------------------------------------------------------------


def test_with_identities_for_networks_the_chain_stands_still_and_walkback_is_free() -> None:
    clouds = jets([1, 0, 1, 1, 1])
    same = Same()
    model = of_identities(clouds, corruption=same, walkback=3)
    drawn = model.representation.describe(clouds)
    after = model.step(clouds, drawn)
    for name in ("pos", "weight", "y", "label", "ptr"):
        torch.testing.assert_close(after[name], clouds[name], msg=name)
    same.calls = 0
    assert model.loss(clouds)["chamfer"].item() == pytest.approx(0.0, abs=1e-9)
    assert same.calls == 4 + 3  # of a training code each, and of each step of the chain between


def test_a_step_keeps_what_was_drawn_and_starts_from_noise() -> None:
    clouds = jets([3, 0, 5, 1])
    model = of_identities(clouds, corruption=SetCorruption(), burn_in=3)
    draw = torch.Generator().manual_seed(4)
    states = list(model.states(Request(50), 5, draw))
    for before, after in itertools.pairwise(states):
        assert torch.equal(before.ptr, after.ptr)
        assert torch.equal(before.label, after.label)
        torch.testing.assert_close(cl.total(before), cl.total(after))
    drawn = model.representation.draw(Request(2000), draw)
    start = model.representation.see(noise(model.representation, drawn, draw)).event.pos
    assert float(start.std()) == pytest.approx(1.0, abs=0.05)


def test_a_sample_is_the_last_state_of_the_burn_in() -> None:
    clouds = jets([3, 0, 5, 1])
    model = of_identities(clouds, corruption=SetCorruption(), burn_in=4)
    one, two = (torch.Generator().manual_seed(6) for _ in range(2))
    *_, state = model.states(Request(9), 4, one)
    assert torch.equal(model.sample(number=9, generator=two).pos, state.pos)


def test_codes_of_a_posterior_are_drawn_in_evaluation_mode_too() -> None:
    """z = μ + σ ε: with identities, the spread of the next state is σ."""
    clouds = jets([1] * 400, BARE)
    latent = Gaussian(2, 2, beta=0.0)
    with torch.no_grad():
        latent.linear.weight.zero_()
        latent.linear.weight[:2] = torch.eye(2)
        latent.linear.bias.zero_()
        latent.linear.bias[2:] = 2 * torch.tensor(0.3).log()
    codec = Autoencoder(Points(BARE), Mean(), latent, Repeat(0), {"chamfer": ChamferLoss()})
    model = fitted(Chain(codec), clouds)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        after = model.step(clouds, model.representation.describe(clouds), draw)
    seen = [model.representation.see(each).event.pos for each in (clouds, after)]
    # The azimuth has a period, so some differ by one.
    apart = (seen[1] - seen[0])[:, 0]
    assert float(apart.std()) == pytest.approx(0.3, rel=0.1)


def test_gradient_reaches_the_kernel_and_none_goes_through_the_chain() -> None:
    clouds = jets([3, 0, 5, 1])
    model = RECIPES["points-gsn"](
        hidden=8, latent_dim=3, walkback=2, integration_steps=2, schema=JETS.to_dict()
    )
    fitted(model, clouds).train()
    model.loss(clouds)["velocity"].backward()
    assert all(
        parameter.grad is not None and bool(parameter.grad.isfinite().all())
        for parameter in model.codec.parameters()
    )


@pytest.mark.parametrize(("name", "value", "least"), [("walkback", -1, 0), ("burn_in", 0, 1)])
def test_numbers_out_of_range_are_refused(name: str, value: int, least: int) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: got {value}, expected >= {least}"):
        RECIPES["points-gsn"](**{name: value})


def test_empty_clouds_alone_go_through_a_chain() -> None:
    clouds = jets([0, 0, 3])
    model = RECIPES["points-gsn"](hidden=8, latent_dim=3, schema=JETS.to_dict())
    fitted(model, clouds)
    made = model.sample(sizes=[0, 0], generator=torch.Generator().manual_seed(0))
    assert cl.sizes(made).tolist() == [0, 0]
    empty = cl.select(clouds, [0, 1])
    assert all(bool(term.isfinite()) for term in model.loss(empty).values())


# --- mixing times as they are reported ------------------------------------------------------------


class Redrawn(nn.Module):
    """Decoder that draws its points anew, whatever the code: a chain of independent states."""

    def forward(self, code, sizes, y=None, generator=None) -> cl.Batch:
        return cl.make(torch.randn(int(sizes.sum()), 2, generator=generator), sizes,
                       x=torch.randn(int(sizes.sum()), 1, generator=generator))  # fmt: skip


def test_independent_states_have_time_one_and_what_is_fixed_none() -> None:
    clouds = jets([4, 5, 6, 7] * 5)
    codec = Autoencoder(Points(JETS), Mean(), identity(3), Redrawn(), {"chamfer": ChamferLoss()})
    model = fitted(Chain(codec, burn_in=1), clouds)
    assert isinstance(model, Mixing)
    found = times(model, 300, generator=torch.Generator().manual_seed(0))
    assert "multiplicity" not in found
    assert found["mass"] == pytest.approx(1.0, abs=0.2)
    line = report(fitted(Chain(codec, burn_in=20), clouds), 0)
    assert line.startswith("chain: burn-in of 20 steps; autocorrelation times in steps: mass ")
    assert line.endswith("(of 16 chains of 100 steps)")


def test_a_chain_that_stands_still_is_reported_as_one() -> None:
    model = of_identities(jets([4, 5, 6, 7] * 5), burn_in=2)
    assert "nothing varies" in report(model, 0)
    assert report(RECIPES["points-vae"](hidden=8), 0) == ""
