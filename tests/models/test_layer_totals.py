"""Points and energies of layers: exact sums, no energy without points, an unbiased response."""

from __future__ import annotations

import pytest
import torch

from pcgen.errors import ArgumentError, DataError
from pcgen.models.cardinality import LayerSums
from pcgen.models.layer_totals import LayerTotals, resized, shared_out
from pcgen.nn import LayerProfileField


def toy(number: int, seed: int = 0) -> tuple[LayerSums, torch.Tensor, torch.Tensor]:
    """Three layers: sums, condition [B, 1] (standardised log E) and E; the response is 0.8."""
    random = torch.Generator().manual_seed(seed)
    log = 2 * torch.rand(number, generator=random) - 1
    energy = (3 + 1.5 * log).exp()
    mean = energy[:, None] * torch.tensor([0.2, 0.5, 0.05])
    counts = torch.poisson(mean, generator=random).long()
    weight = counts * (1 + 0.2 * torch.randn(number, 3, generator=random)).clamp(min=0.1)
    total = 0.8 * energy * (1 + 0.1 * torch.randn(number, generator=random))
    share = weight / weight.sum(1, keepdim=True).clamp(min=1e-9)
    return LayerSums(counts, share * total[:, None]), log[:, None], energy


def field() -> LayerProfileField:
    return LayerProfileField(3, condition_channels=1, hidden=16, depth=2)


def trained(steps: int) -> LayerTotals:
    torch.manual_seed(0)
    totals = LayerTotals(3, 1, field())
    sums, condition, _ = toy(4000)
    totals.prepare([(LayerSums(*(part[:3000] for part in sums)), condition[:3000]),
                    (LayerSums(*(part[3000:] for part in sums)), condition[3000:])])  # fmt: skip
    optimiser = torch.optim.Adam(totals.field.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    for _ in range(steps):
        loss = totals.loss(sums, condition)["layers"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return totals.eval()


def test_the_response_is_unbiased_and_numbers_follow_the_energy() -> None:
    totals = trained(400)
    real, condition, energy = toy(6000, seed=1)
    drawn = totals.draw(condition, torch.Generator().manual_seed(2))
    for low, high in ((-1.0, -0.3), (-0.3, 0.3), (0.3, 1.0)):
        here = (condition[:, 0] > low) & (condition[:, 0] <= high)
        response = (drawn.weight.sum(1) / energy)[here].mean()
        expected = (real.weight.sum(1) / energy)[here].mean()
        assert float(response / expected) == pytest.approx(1.0, abs=0.01)
        for layer in (0, 1):
            one, other = (s.number[here, layer].double().mean() for s in (drawn, real))
            assert float(one / other) == pytest.approx(1.0, abs=0.06)


def test_layers_without_points_have_no_energy_and_the_others_some() -> None:
    totals, (_, condition, _) = trained(0), toy(2000, seed=3)
    drawn = totals.draw(condition, torch.Generator().manual_seed(4))
    some = drawn.number.sum(1) > 0
    assert torch.equal(drawn.weight > 0, drawn.number > 0)
    assert (drawn.number == 0).any()
    assert some.any()


def test_the_loss_of_given_events_is_that_of_these_events() -> None:
    totals = trained(0)
    sums, condition, _ = toy(500, seed=5)
    torch.manual_seed(1)
    one = totals.loss(sums, condition)["layers"]
    torch.manual_seed(1)
    other = totals.loss(LayerSums(sums.number, 100 * sums.weight), condition)["layers"]
    assert one != other


def test_a_state_is_loaded_with_the_events_that_it_has() -> None:
    totals = trained(3)
    again = LayerTotals(3, 1, field()).eval()
    again.load_state_dict(totals.state_dict())
    _, condition, _ = toy(20)
    one, other = (
        each.draw(condition, torch.Generator().manual_seed(6)) for each in (totals, again)
    )
    assert torch.equal(one.weight, other.weight)
    assert len(again.number) == 4000


def test_most_events_that_are_kept() -> None:
    sums, condition, _ = toy(300)
    totals = LayerTotals(3, 1, field(), capacity=100)
    totals.prepare([(sums, condition)])
    assert len(totals.number) == 100
    with pytest.raises(DataError, match="got no events"):
        totals.prepare([])


def test_the_nearest_events_give_their_layers_and_the_response_of_the_condition() -> None:
    totals = trained(0)
    totals.law = "nearest"
    real, condition, energy = toy(6000, seed=7)
    drawn = totals.draw(condition, torch.Generator().manual_seed(8))
    known = {tuple(row) for row in totals.number.tolist()}
    assert {tuple(row) for row in drawn.number.tolist()} <= known
    assert torch.equal(drawn.weight > 0, drawn.number > 0)
    ratio = (drawn.weight.sum(1) / energy).mean() / (real.weight.sum(1) / energy).mean()
    assert float(ratio) == pytest.approx(1.0, abs=0.01)
    with pytest.raises(ArgumentError, match="totals: got 'near', expected flow or nearest"):
        LayerTotals(3, 1, field(), law="near")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_energies_are_shared_out_exactly(seed) -> None:
    random = torch.Generator().manual_seed(seed)
    number = torch.randint(0, 3, (50, 6), generator=random)
    total = 100 * torch.rand(50, generator=random, dtype=torch.double)
    log_mean = 20 * torch.randn(50, 6, generator=random, dtype=torch.double)
    weight = shared_out(number, log_mean, total)
    some = number.sum(1) > 0
    torch.testing.assert_close(weight.sum(1)[some], total[some])
    assert (weight[number == 0] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_sizes_are_met_exactly_and_the_total_stays(seed) -> None:
    random = torch.Generator().manual_seed(seed)
    number = torch.randint(0, 20, (60, 5), generator=random)
    number[0] = 0
    weight = number * torch.rand(60, 5, generator=random)
    sizes = torch.randint(0, 90, (60,), generator=random)
    found = resized(LayerSums(number, weight), sizes)
    assert torch.equal(found.number.sum(1), sizes)
    kept = found.weight.sum(1) > 0
    torch.testing.assert_close(found.weight.sum(1)[kept], weight.sum(1)[kept])
    assert (found.weight[found.number == 0] == 0).all()
    same = resized(LayerSums(number, weight), number.sum(1))
    assert torch.equal(same.number[1:], number[1:])
