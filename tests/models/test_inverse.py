"""The search in a generator's noise, on generators whose answer is known in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.images.measurements import Alive, Mixed
from pcgen.models.inverse import Answers, Descent, Noise, invert

CODE, ENTRIES = 3, 8
WEIGHTS = torch.randn(CODE, ENTRIES, generator=torch.Generator().manual_seed(1),
                      dtype=torch.float64)  # fmt: skip


def linear(rows: tuple[Tensor, ...]) -> Tensor:
    """G(z) = W z, whose answer is a ridge regression."""
    return rows[0] @ WEIGHTS


def start(events: int, restarts: int, seed: int = 0) -> Noise:
    number = events * restarts
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(number, CODE, generator=draw, dtype=torch.float64)
    return Noise((noise,), (torch.arange(number),))


def measured(events: int, number: int = 5) -> tuple[Mixed, Tensor, Tensor]:
    """An operator, true images of the range, and their measurements."""
    operator = Mixed.random((ENTRIES,), number, seed=3)
    draw = torch.Generator().manual_seed(7)
    truth = torch.randn(events, CODE, generator=draw, dtype=torch.float64) @ WEIGHTS
    return operator, truth, operator(truth)


def search(events: int, **options) -> Answers:
    operator, _, y = measured(events)
    descent = Descent(**{"restarts": 2, "iterations": 800, "rate": 0.05, **options})
    return invert(operator, y, linear, start(events, descent.restarts), descent)


def test_of_a_linear_generator_it_is_ridge_regression() -> None:
    operator, _, y = measured(2)
    found = search(2, prior=0.01, iterations=2000)
    design = WEIGHTS @ operator.matrix.double().T  # y = z design
    for event in range(2):
        ridge = 0.01 * y[event].square().sum() / CODE * torch.eye(CODE, dtype=torch.float64)
        z = torch.linalg.solve(design @ design.T + ridge, design @ y[event])
        torch.testing.assert_close(found.image[event], z @ WEIGHTS, rtol=1e-3, atol=1e-3)


def test_signals_of_the_range_are_found_and_starts_are_counted() -> None:
    truth = measured(3)[1]
    found = search(3, prior=0.0, iterations=1500)
    torch.testing.assert_close(found.image, truth, rtol=0, atol=1e-3)
    assert found.misfit.shape == found.succeeded.shape == (3, 2)
    assert bool(found.succeeded.all())
    few = search(3, prior=0.0, iterations=1)
    assert not bool(few.succeeded.all())
    best = few.misfit.gather(1, few.best[:, None])[:, 0]
    torch.testing.assert_close(best, few.misfit.amin(1))
    assert few.chosen.tolist() == [2 * event + int(k) for event, k in enumerate(few.best)]


def test_more_iterations_never_lose_what_was_found() -> None:
    """Adam at a large rate leaves the optimum again; the best answer stays."""
    losses = []
    for iterations in (1, 5, 25, 125):
        found = search(2, iterations=iterations, rate=2.0, prior=0.0)
        losses.append(float(found.misfit.amin(1).sum()))
    assert losses == sorted(losses, reverse=True)


def test_events_do_not_depend_on_the_others_and_a_seed_gives_one_answer() -> None:
    operator, _, y = measured(3)
    descent = Descent(2, 30)
    whole = invert(operator, y, linear, start(3, 2), descent)
    again = invert(operator, y, linear, start(3, 2), descent)
    assert torch.equal(whole.image, again.image)
    noise = start(3, 2).rows[0][2:4]
    alone = Noise((noise,), (torch.arange(2),))
    one = invert(operator, y[1:2], linear, alone, descent)
    torch.testing.assert_close(whole.image[1:2], one.image)
    torch.testing.assert_close(whole.misfit[1:2], one.misfit)


def test_a_sparse_deviation_takes_what_the_generator_cannot_make() -> None:
    operator = Alive(torch.ones(ENTRIES, dtype=torch.bool))
    truth = measured(2)[1]
    truth[:, 4] += 10.0
    found = invert(operator, truth, linear, start(2, 2),
                   Descent(2, 1500, 0.05, prior=0.0, deviation=0.01))  # fmt: skip
    assert found.deviation is not None
    assert found.deviation[:, 4].tolist() == pytest.approx([10.0, 10.0], abs=0.5)
    others = torch.arange(ENTRIES) != 4
    assert float((found.deviation[:, others] == 0).double().mean()) >= 0.5
    plain = invert(operator, truth, linear, start(2, 2), Descent(2, 1500, 0.05, prior=0.0))
    off = [(each.image - truth).norm(dim=1) for each in (found, plain)]
    assert bool((off[0] < 0.3 * off[1]).all())


def test_a_penalty_that_nothing_is_worth_leaves_no_deviation() -> None:
    found = search(2, deviation=1e6)
    assert found.deviation is not None
    assert float(found.deviation.abs().max()) == 0.0
    torch.testing.assert_close(found.image, search(2).image)


def test_an_event_without_energy_and_a_start_that_breaks_down() -> None:
    operator, _, y = measured(2)
    y[0] = 0.0
    found = invert(operator, y, linear, start(2, 1), Descent(1, 300, 0.05))
    assert bool(found.image.isfinite().all())
    assert float(found.image[0].norm()) < 0.05
    noise = start(2, 2).rows[0]
    noise[1] = torch.nan
    broken = invert(operator, y, linear, Noise((noise,), (torch.arange(4),)), Descent(2, 30))
    assert broken.misfit.isfinite().tolist() == [[True, False], [True, True]]
    assert broken.succeeded[0, 1].item() is False
    assert bool(broken.image.isfinite().all())


def test_square_counts_all_groups() -> None:
    noise = Noise((torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([[1.0]])),
                  (torch.tensor([0, 0]), torch.tensor([1])))  # fmt: skip
    assert noise.square(3).tolist() == [3.5, 1.0, 0.0]


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="restarts: got 0, expected >= 1"):
        Descent(0)
    with pytest.raises(ArgumentError, match="rate: got 0, expected a positive number"):
        Descent(rate=0)
    operator, _, y = measured(2)
    with pytest.raises(ArgumentError, match="image_of: got 4 images, expected 6: 3 of each event"):
        invert(operator, y, linear, start(2, 2), Descent(3, 1))
