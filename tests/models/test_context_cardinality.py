"""Numbers of points and totals follow the context, with the spread that they have about it."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch
from toy_pairs import CONTEXT, SCHEMA, equal, pairs, truths

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.models.context_cardinality import ContextCardinality
from pcgen.models.contexts import Contexts, flat, flat_schema, layered, summary, summary_channels
from pcgen.models.request import Request
from pcgen.schema import Quantity, Schema


@pytest.fixture(scope="module")
def law() -> ContextCardinality:
    clouds = [pairs(500, seed, high=40) for seed in range(4)]
    contexts = Contexts(CONTEXT)
    contexts.fit(clouds)
    return ContextCardinality(SCHEMA, contexts).fit(clouds)


def drawn(law: ContextCardinality, truth: Batch, **fixed: torch.Tensor):
    request = Request(truth.num_graphs, context=truth, **fixed)
    return law.draw(request, torch.Generator().manual_seed(0))


def test_number_and_total_are_those_of_the_context(law) -> None:
    truth = truths(400, 9, low=20, high=40)
    found = drawn(law, truth)
    share = found.sizes / pc.sizes(truth)
    # Each point is seen with probability 0.8, with 3 times its energy: n of 30 is 24 ± 2.2.
    assert share.mean().item() == pytest.approx(0.8, abs=0.01)
    assert share.std().item() == pytest.approx((0.2 * 0.8 / 30) ** 0.5, rel=0.25)
    response = found.total / pc.total(truth)
    assert response.mean().item() == pytest.approx(2.4, abs=0.05)
    # Number and total stay correlated: of 20 to 40 points of like energy.
    pull = torch.stack([share - share.mean(), response - response.mean()])
    assert torch.corrcoef(pull)[0, 1].item() > 0.6


def test_an_empty_context_gives_few_points_and_an_event_without_points_nothing(law) -> None:
    nothing = truths(50, 1, high=0)
    assert drawn(law, nothing).sizes.max() <= 2
    found = drawn(law, truths(200, 2, high=2))
    assert bool((found.sizes == 0).any())
    assert torch.equal(found.total == 0, found.sizes == 0)


def test_what_is_fixed_is_kept(law) -> None:
    truth = truths(20, 3, low=5)
    sizes, label = torch.full((20,), 7), torch.ones(20, dtype=torch.long)
    found = drawn(law, truth, sizes=sizes, label=label, y=truth.y)
    assert torch.equal(found.sizes, sizes)
    assert torch.equal(found.label, label)
    assert torch.equal(found.y, truth.y)
    assert equal(found.context, truth)


def test_the_law_survives_a_checkpoint(law) -> None:
    contexts = Contexts(CONTEXT)
    contexts.load_state_dict(law._contexts[0].state_dict())
    other = ContextCardinality(SCHEMA, contexts)
    other.load_state_dict(law.state_dict())
    truth = truths(30, 4)
    for one, two in zip(drawn(law, truth)[:2], drawn(other, truth)[:2], strict=True):
        assert torch.equal(one, two)
    assert (other.classes, int(other.stored)) == (("a", "b"), 2000)


def test_errors_say_what_is_missing(law) -> None:
    with pytest.raises(ArgumentError, match="context: got none"):
        law.draw(Request(3))
    with pytest.raises(ArgumentError, match="nothing was fitted"):
        ContextCardinality(SCHEMA, Contexts(CONTEXT)).draw(Request(3))
    with pytest.raises(DataError, match="context: got clouds without one"):
        Contexts(CONTEXT).fit([pc.replace(pairs(3), context=None)])
    with pytest.raises(DataError, match="layer: got contexts without layer"):
        flat(truths(3), SCHEMA)


def test_layers_become_a_feature_and_come_back() -> None:
    clouds = pc.replace(pairs(10), context=None)
    schema = flat_schema(SCHEMA)
    assert (schema.layers, schema.features[-1].categories) == ((), ("front", "back"))
    assert equal(layered(flat(clouds, SCHEMA), SCHEMA), clouds)
    plain = truths(5)
    assert equal(flat(plain, CONTEXT), plain)


def test_a_summary_by_hand() -> None:
    schema = Schema((Quantity("x"), Quantity("phi", "rad", 4.0)), Quantity("E"),
                    features=(Quantity("kind", categories=("e", "mu")),))  # fmt: skip
    clouds = pc.make(
        torch.tensor([[1.0, 1.9], [3.0, -1.9]]), [2, 0],
        weight=torch.tensor([1.0, 1.0]), x=torch.tensor([[0.0], [0.0]]),
    )  # fmt: skip
    found = summary(clouds, schema)
    assert found.shape == (2, summary_channels(schema)) == (2, 10)
    log = torch.log(torch.tensor(3.0)).item()
    # log(1 + n), centres, widths (across the end of the period), log total, √Σf², largest, kinds
    expected = [log, 2.0, 2.0, 1.0, 0.1, torch.log(torch.tensor(2.0)).item(), 0.5**0.5, 0.5, log, 0]
    got = found[0].tolist()
    got[2] = abs(got[2])  # 2 and -2 are one place
    assert got == pytest.approx(expected, abs=1e-5)
    assert found[1].tolist() == [0.0] * 10
