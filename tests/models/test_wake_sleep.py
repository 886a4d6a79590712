"""Helmholtz machines: probabilities by enumeration, gradients by hand, patterns and clouds."""

from __future__ import annotations

import math

import pytest
import torch
from test_chain import fitted

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.io import JETS
from pcgen.models.representations import Hits
from pcgen.models.wake_sleep import HelmholtzMachine
from pcgen.recipes import RECIPES
from pcgen.recipes.hits import hits_wake_sleep
from pcgen.schema import Quantity, Schema
from pcgen.testing import clouds_of_schema
from pcgen.tools.claims import bars

GRID = "x:0:3:3,y:0:2:2"
BARE = Schema((Quantity("x", "mm"), Quantity("y", "mm")))


def machine(codes: int = 1, update: str = "sleep", spread: float = 1.0) -> HelmholtzMachine:
    """Six cells, below two layers of three units, with some random parameters."""
    torch.manual_seed(7)
    model = hits_wake_sleep(GRID, 3, 2, codes, update, BARE.to_dict())  # type: ignore[arg-type]
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return fitted(model, hits())


def hits() -> cl.Batch:
    """Clouds of some cells, twice in one of them, outside, and empty ones."""
    pos = torch.tensor([[0.5, 0.5], [0.6, 0.4], [2.5, 1.5], [9.0, 9.0], [1.5, 0.5]])
    return cl.make(pos, [3, 0, 1, 1])


def patterns() -> torch.Tensor:
    return bars.all_codes(6)


def test_patterns_are_the_cells_with_points_and_come_back() -> None:
    see = fitted(machine(), hits()).representation
    image, condition = see.see(hits())
    expected = torch.zeros(4, 3, 2)
    expected[0, 0, 0] = expected[0, 2, 1] = expected[3, 1, 0] = 1
    assert torch.equal(image, expected)
    assert condition.shape == (4, 0)
    assert see.condition_channels == 0
    assert see.loss_of(hits()).points == pytest.approx(1 / 5)
    back = see.clouds(image, see.describe(hits()))
    assert torch.equal(see.see(back).event, image)
    assert cl.sizes(back).tolist() == [2, 0, 0, 1]
    assert set(cl.attributes(back)) == {"pos", "cell"}


def test_energy_is_shared_alike_and_classes_are_the_condition() -> None:
    clouds = clouds_of_schema(JETS, [5, 0, 3], spread=0.1)
    model = fitted(hits_wake_sleep("eta_rel:-1:1:4,phi_rel:-1:1:4", 4), clouds)
    see = model.representation
    assert see.see(clouds).condition.shape == (3, see.condition_channels)
    assert see.condition_channels == 1 + len(JETS.labels)
    back = see.clouds(see.see(clouds).event, see.describe(clouds))
    torch.testing.assert_close(cl.total(back), cl.total(clouds))
    for event in (0, 2):
        assert len(back[event].weight.unique()) == 1


def test_layers_are_a_grid_of_their_own() -> None:
    from pcgen.grids import Grid

    schema = Schema(BARE.axes, layers=("a", "b"))
    grid = Grid.parse(GRID, schema.axes)
    grid = Grid(grid.axes, grid.edges, layers=("a", "b"))
    see = Hits(schema, grid)
    clouds = cl.make(torch.tensor([[0.5, 0.5], [0.5, 0.5]]), [2], layer=torch.tensor([0, 1]))
    for phase in see.phases():
        assert phase.prepare is not None
        phase.prepare([clouds])
    image = see.see(clouds).event
    assert image.shape == (1, 2, 3, 2)
    assert image[0, :, 0, 0].tolist() == [1, 1]
    assert see.clouds(image, see.describe(clouds)).layer.tolist() == [0, 1]


def test_probabilities_by_enumeration_sum_to_one_and_are_those_of_dreams() -> None:
    model = machine()
    log_p = bars.exact_log_p(model, patterns(), units=3).double().detach()
    assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=1e-5)
    draw = torch.Generator().manual_seed(0)
    number = 200_000
    dreams = model.dream(torch.zeros(number, 0), draw)[0]
    place = (dreams @ (2.0 ** torch.arange(5, -1, -1))).long()
    share = torch.bincount(place, minlength=64).double() / number
    torch.testing.assert_close(share, log_p.exp(), atol=0.004, rtol=0.0)


def test_the_importance_weighted_estimate_tends_to_the_exact_log_p_from_below() -> None:
    model = machine(spread=0.7)
    clouds = cl.select(hits(), [0, 1, 2, 3])
    pattern = model.representation.see(clouds).event.flatten(1)
    exact = bars.exact_log_p(model, pattern, units=3).detach()
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 6)  # of both hidden layers
    joint = [
        model.log_joint([pattern, h[:3].expand(4, 3), h[3:].expand(4, 3)], torch.zeros(4, 0))
        for h in every
    ]
    torch.testing.assert_close(torch.stack(joint).logsumexp(0).detach(), exact)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.recognition.parameters():
            parameter.mul_(0.1)  # weights of codes that q seldom draws would be large
    many = model.log_likelihood(cl.concat([clouds] * 100), 1000, draw).view(100, 4)
    estimate = many.logsumexp(0) - math.log(100)
    torch.testing.assert_close(estimate, exact, atol=0.04, rtol=0.0)
    repeated = cl.concat([clouds] * 500)
    for fewer, more in ((1, 5), (5, 25)):
        low, high = (
            model.log_likelihood(repeated, k, draw).view(500, 4).mean(0) for k in (fewer, more)
        )
        assert bool((low <= high + 0.05).all())
        assert bool((high <= exact + 0.05).all())


def test_the_gradient_of_sleep_is_that_of_log_q_by_hand() -> None:
    """Of logistic units it is (h - sigma) times the layer below: the delta rule of the paper."""
    model = machine()
    condition = torch.zeros(50, 0)
    torch.manual_seed(3)
    layers = model.dream(condition)
    torch.manual_seed(3)
    model.sleep_terms(torch.zeros(50, 6), condition)["recognition"].backward()
    for level, net in enumerate(model.recognition):
        below, above = layers[level], layers[level + 1]
        error = above - net(below, condition).sigmoid()
        torch.testing.assert_close(net.out.weight.grad, -error.T @ below / 50)
        torch.testing.assert_close(net.out.bias.grad, -error.mean(0))
    assert all(parameter.grad is None for parameter in model.generative.parameters())


def test_the_gradient_of_wake_with_many_codes_is_that_of_log_p_itself() -> None:
    model = machine(codes=100_000, update="both", spread=0.4)
    with torch.no_grad():
        for parameter in model.recognition.parameters():
            parameter.mul_(0.1)
    pattern = patterns()[[5]]
    torch.manual_seed(0)
    model.wake_terms(pattern, pattern.new_zeros(1, 0))["generative"].backward()
    found = [parameter.grad for parameter in model.generative.parameters()]
    model.zero_grad()
    exact = -bars.exact_log_p(model, pattern, units=3).sum()
    expected = torch.autograd.grad(exact, list(model.generative.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0.0)


def test_with_one_code_wake_is_that_of_log_p_of_the_drawn_layers() -> None:
    model = machine()
    pattern, condition = patterns()[:40], torch.zeros(40, 0)
    torch.manual_seed(5)
    layers = model.recognise(pattern, condition)
    torch.manual_seed(5)
    found = model.wake_terms(pattern, condition)["generative"]
    torch.testing.assert_close(found, -model.log_joint(layers, condition).mean())


def test_each_phase_trains_its_own_side_on_its_own_terms() -> None:
    for codes, update, terms in (
        (1, "sleep", {"recognition"}),
        (3, "wake", {"posterior"}),
        (3, "both", {"recognition", "posterior"}),
    ):
        model = machine(codes, update)
        wake, sleep = model.phases()[-2:]
        assert (wake.modules, sleep.modules) == ((model.generative,), (model.recognition,))
        assert wake.loss is not None
        assert sleep.loss is not None
        assert set(wake.loss(hits())) == {"generative"}
        assert set(sleep.loss(hits())) == terms


def test_the_pattern_begins_with_the_mean_occupancies() -> None:
    model = machine()
    occupancy = model.base.sigmoid().view(3, 2)
    torch.testing.assert_close(occupancy[0, 0], torch.tensor(1.5 / 5))
    torch.testing.assert_close(occupancy[0, 1], torch.tensor(0.5 / 5))


def test_samples_are_hits_at_the_centres_of_cells() -> None:
    model = machine()
    clouds = model.sample(number=300, generator=torch.Generator().manual_seed(0))
    again = model.representation.clouds(
        model.representation.see(clouds).event, model.representation.describe(clouds)
    )
    assert torch.equal(again.pos, clouds.pos)
    assert len(cl.sizes(clouds).unique()) > 3


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"update": "wake"}, "update: got 'wake' with 1 importance sample"),
        ({"update": "dream", "importance_samples": 2}, "update: got 'dream', expected one of"),
        ({"importance_samples": 0}, "importance_samples: got 0, expected >= 1"),
        ({"schema": Schema(BARE.axes, features=(Quantity("t"),)).to_dict(), "grid": GRID},
         "schema: got points with t"),
    ],
)  # fmt: skip
def test_refusals(arguments: dict, error: str) -> None:
    with pytest.raises(ArgumentError, match=error):
        RECIPES["hits-wake-sleep"](**arguments)


def test_the_law_of_bars_is_a_law_and_its_divergence_from_itself_nothing() -> None:
    images, chance = bars.law()
    assert (len(images), float(chance.sum())) == (30, pytest.approx(1.0))
    assert bars.divergence(chance, chance.log()) == pytest.approx(0.0, abs=1e-12)
    clouds = bars.as_clouds(images)
    see = fitted(hits_wake_sleep(bars.GRID, schema=bars.SCHEMA.to_dict()), clouds).representation
    assert torch.equal(see.see(clouds).event.flatten(1), images)
    # Vertical bars, whose columns are full, are twice as frequent.
    share = {(3, 0): 0.0, (0, 3): 0.0}
    for image, each in zip(images.view(-1, 4, 4), chance.tolist(), strict=True):
        if image.sum() == 4:
            share[(3, 0) if (image.sum(1) == 4).any() else (0, 3)] += each
    assert share[3, 0] / share[0, 3] == pytest.approx(2.0)
    assert math.isfinite(bars.independent([0], False)[0])
