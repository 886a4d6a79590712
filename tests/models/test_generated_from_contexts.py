"""Models that generate events from contexts: flows and guesses, their answers and refusals."""

from __future__ import annotations

import copy

import pytest
import torch
from toy_pairs import CONTEXT, SCHEMA, equal, pairs, truths

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.models.context_gan import ContextGAN
from pcgen.models.contexts import Contexts
from pcgen.models.representations import Points
from pcgen.recipes import (
    points_context_flow,
    points_context_gan,
    points_flow,
    points_set_generation,
)
from pcgen.training.checkpoint import fit
from pcgen.training.learner import load_average

MEANING = {"schema": SCHEMA.to_dict(), "context_schema": CONTEXT.to_dict()}
TINY = {"hidden": 8, "layers": 1, "context_layers": 1, **MEANING}


def fitted(model):
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([pairs(200, seed) for seed in range(2)])
    return model


@pytest.fixture(scope="module")
def flow():
    torch.manual_seed(0)
    return fitted(points_context_flow(**TINY, integration_steps=2)).eval()


@pytest.fixture(scope="module", params=["guesses", "code"])
def guesser(request):
    torch.manual_seed(0)
    return fitted(points_set_generation(**TINY, answer=request.param)).eval()


@pytest.fixture(scope="module")
def gan():
    torch.manual_seed(0)
    return fitted(points_context_gan(**TINY)).eval()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_networks_see_events_and_give_them_back() -> None:
    points = Points(SCHEMA, contexts=Contexts(CONTEXT))
    for phase in points.phases():
        phase.prepare([pairs(100)])
    clouds = pc.select(pairs(100), slice(0, 20))  # of training, whose smallest shares are known
    event, condition = points.see(clouds)
    assert condition.shape == (20, points.condition_channels) == (20, 1 + 2 + 1 + 1)
    assert event.pos.shape[1] + event.x.shape[1] == points.value_channels == 2 + 2 + 1
    context = pc.context(event)
    assert context.y.shape[1] == points.contexts.condition_channels
    assert equal(pc.context(points.with_values(event, points.values(event))), context)
    drawn = points.describe(clouds)._replace(context=pc.context(clouds))
    back = points.clouds(event, drawn)
    assert equal(pc.replace(back, pos=clouds.pos, weight=clouds.weight),
                 pc.replace(clouds, context=None))  # fmt: skip
    torch.testing.assert_close(back.pos, clouds.pos)
    torch.testing.assert_close(back.weight, clouds.weight)
    # What is known before there are points is the condition that networks learn with.
    torch.testing.assert_close(points.condition(drawn), condition)
    blank = points.unfilled(drawn)
    assert equal(pc.context(blank), context)


def test_answers_stand_one_after_the_other(flow, gan) -> None:
    truth = truths(5, 8)
    for model in (flow, gan):
        made = model.sample(context=truth, answers=3, generator=seeded())
        assert made.num_graphs == 15
        assert torch.equal(made.label, truth.label.repeat_interleave(3))
        assert torch.equal(made.y, truth.y.repeat_interleave(3, 0))
        assert set(made.layer.tolist()) <= {0, 1}
        again = model.sample(context=truth, answers=3, generator=seeded())
        assert equal(made, again)


def test_the_order_of_the_points_of_a_context_plays_no_part(flow, gan, guesser) -> None:
    truth = truths(6, 8, low=3)
    turned = pc.heaviest_first(truth)
    for model in (flow, gan, guesser):
        one, other = (model.sample(context=c, generator=seeded()) for c in (truth, turned))
        assert torch.equal(one.ptr, other.ptr)
        torch.testing.assert_close(one.pos, other.pos, rtol=1e-3, atol=1e-4)


def test_an_event_does_not_depend_on_the_others_of_its_batch(flow) -> None:
    """The same noise and the same context give the same event, whatever is beside it."""
    clouds = pairs(6, 2)
    event, condition = flow.representation.see(clouds)
    read = flow.reader(event)
    together = flow.follow(read, condition)
    for k in range(6):
        alone = flow.follow(flow.reader(pc.select(event, [k])), condition[[k]])
        rows = slice(*event.ptr[k : k + 2].tolist())
        torch.testing.assert_close(alone.pos, together.pos[rows], rtol=1e-4, atol=1e-4)


def test_a_flow_learns_where_the_context_is() -> None:
    """Its loss falls below that of a flow that is given the contexts of other events."""
    torch.manual_seed(0)
    model = fitted(points_context_flow(**{**TINY, "hidden": 16}, encoder="epic"))
    phase = model.phases()[-1]
    optimiser = torch.optim.Adam(phase.parameters(), 3e-3)
    for step in range(60):
        optimiser.zero_grad()
        sum(phase.loss(pairs(64, 10 + step)).values()).backward()
        optimiser.step()
    test = pairs(500, 3)
    wrong = pc.replace(test, context=pc.select(pc.context(test), torch.arange(500).roll(1)))
    losses = []
    for clouds in (test, wrong):
        torch.manual_seed(1)
        losses.append(phase.loss(clouds)["velocity"].item())
    assert losses[0] < 0.9 * losses[1]


def test_a_critic_learns_which_event_belongs_to_a_context() -> None:
    """Real events beside contexts of others: only a critic of both can tell them apart."""
    torch.manual_seed(0)
    model = fitted(points_context_gan(**{**TINY, "hidden": 16}, encoder="epic"))
    optimiser = torch.optim.Adam(model.critic.parameters(), 3e-3)

    def gap(clouds) -> torch.Tensor:
        event, condition = model.representation.see(clouds)
        logits = []
        for turn in (0, 1):
            order = torch.arange(clouds.num_graphs).roll(turn)
            other = pc.replace(event, context=pc.select(pc.context(event), order))
            logits.append(model.critic(other, condition))
        return logits[0] - logits[1]

    for step in range(80):
        optimiser.zero_grad()
        torch.nn.functional.softplus(-gap(pairs(64, 10 + step))).mean().backward()
        optimiser.step()
    assert (gap(pairs(500, 3)) > 0).double().mean() > 0.7


def test_the_best_guess_is_what_counts(monkeypatch) -> None:
    torch.manual_seed(0)
    model = fitted(points_set_generation(**TINY, guesses=3))
    clouds, values = pairs(16, 4), []
    original = model._distance

    def kept(*arguments):
        values.append(original(*arguments))
        return values[-1]

    monkeypatch.setattr(model, "_distance", kept)
    loss = model.loss(clouds)
    assert len(values) == 3
    best = torch.stack(values).amin(0).mean()
    assert loss["distance"].item() == pytest.approx(best.item())
    assert len({each.mean().item() for each in values}) == 3


def test_a_code_has_a_prior(guesser) -> None:
    terms = guesser.loss(pairs(16, 4))
    assert set(terms) == ({"distance"} if guesser.latent is None else {"distance", "kl"})
    model = copy.deepcopy(guesser).train()
    sum(model.loss(pairs(16, 4)).values()).backward()
    parts = model.phases()[-1].modules
    assert all(any(p.grad is not None for p in part.parameters()) for part in parts)


def test_sizes_are_kept_and_events_may_be_empty(flow, gan, guesser) -> None:
    truth = truths(4, 8)
    for model in (flow, gan, guesser):
        made = model.sample(context=truth, sizes=[0, 1, 5, 0], generator=seeded())
        assert pc.sizes(made).tolist() == [0, 1, 5, 0]
        nothing = model.sample(context=pc.select(truth, []), generator=seeded())
        assert nothing.num_graphs == 0


def test_what_does_not_fit_is_refused(flow) -> None:
    truth = truths(3)
    with pytest.raises(ArgumentError, match="context: got none, expected one"):
        flow.sample(number=3)
    with pytest.raises(ArgumentError, match="expected one number >= 0"):
        flow.sample(context=truth, sizes=[1, 2])
    with pytest.raises(ArgumentError, match="answers: got 0"):
        flow.sample(context=truth, answers=0)
    with pytest.raises(ArgumentError, match="answers: got 2 without a context"):
        flow.sample(number=1, answers=2)
    with pytest.raises(DataError, match="context: got clouds without weight"):
        flow.sample(context=pc.replace(truth, weight=None))
    with pytest.raises(DataError, match="context: got 1 columns of pos, expected 2"):
        flow.sample(context=pc.make(torch.zeros(1, 1), [1], weight=torch.ones(1)))
    with pytest.raises(ArgumentError, match="context: got one, expected none"):
        points_flow().sample(context=truth)
    with pytest.raises(ArgumentError, match="recentre, rescale, excess: got them with contexts"):
        Points(SCHEMA, recentre=True, contexts=Contexts(CONTEXT))
    with pytest.raises(ArgumentError, match="representation: got one without contexts"):
        ContextGAN(Points(SCHEMA), torch.nn.Identity(), torch.nn.Identity())
    with pytest.raises(ArgumentError, match="context: got none, expected one for each event"):
        flow.representation.unfilled(flow.representation.describe(pairs(2)))


def test_parameters_under_their_former_names_are_loaded(flow) -> None:
    """Earlier versions had the layers that read in the field itself."""
    state = flow.state_dict()
    state |= {name: value + 1 for name, value in state.items() if name.startswith("field.")}
    former = {name.replace("field.query.", "field."): value for name, value in state.items()}
    assert set(former) != set(state)
    for load in (lambda m: m.load_state_dict(former), lambda m: fit("file", m, former)):
        model = copy.deepcopy(flow)
        load(model)
        for name, value in model.state_dict().items():
            assert torch.equal(value, state[name])
    model = copy.deepcopy(flow)
    load_average(model, former)
    for name, value in model.named_parameters():
        assert torch.equal(value, state[name])
