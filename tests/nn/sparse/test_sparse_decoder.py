"""The coarse-to-fine decoder: a normalised law over sets of cells, and its samples follow it."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import DataError
from pcgen.nn import SparseDecoder
from pcgen.nn.sparse.decoder import log_some
from pcgen.objectives.likelihood import LEAST_LOG_STD

SIZES = torch.zeros(0)  # not used


def event_of(cells: list[list[tuple[int, ...]]], x: Tensor | None = None) -> Batch:
    """Events with these cells, in this order."""
    sizes = [len(event) for event in cells]
    dimensions = next((len(cell) for event in cells for cell in event), 1)
    flat = [cell for event in cells for cell in event]
    cell = torch.tensor(flat, dtype=torch.long).view(-1, dimensions)
    x = torch.zeros(len(cell), 1, dtype=torch.float64) if x is None else x
    return cl.make(cell.to(x.dtype) + 0.5, sizes, x=x, cell=cell)


def patterns(shape: tuple[int, ...]) -> Batch:
    """Every set of cells of the lattice, one event each; event k has cell c where bit c is set."""
    lattice = list(itertools.product(*map(range, shape)))
    every = [
        [cell for bit, cell in enumerate(lattice) if number >> bit & 1]
        for number in range(2 ** len(lattice))
    ]
    return event_of(every)


def decoder_of(shape: tuple[int, ...], levels: int, seed: int = 0, **more: int) -> SparseDecoder:
    """With weights large enough that cells are anything but alike."""
    torch.manual_seed(seed)
    decoder = SparseDecoder(2, 6, levels, shape=shape, **more).double()
    with torch.no_grad():
        for name, value in decoder.named_parameters():
            if "logit" in name or "energy" in name:
                value.copy_(torch.randn_like(value))
    return decoder


def occupancy(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack([v for name, v in terms.items() if name != "energy"]).sum(0)


def sample(decoder: SparseDecoder, code: Tensor, condition: Tensor | None = None) -> Batch:
    return decoder.sample(code, SIZES, condition, torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((4,), 1),
        ((2, 2), 1),
        ((8,), 2),
        ((8,), 3),
        ((7,), 2),
        ((5,), 3),
        ((3, 4), 2),
        ((2, 1, 3), 2),
    ],
)
def test_probabilities_of_all_sets_of_cells_sum_to_one(shape: tuple[int, ...], levels: int) -> None:
    decoder, every = decoder_of(shape, levels), patterns(shape)
    code = torch.randn(1, 2, dtype=torch.float64).expand(every.num_graphs, 2)
    p = (-occupancy(decoder.losses(code, None, every))).exp()
    torch.testing.assert_close(p.sum(), torch.ones((), dtype=torch.float64))
    assert 0 < p.max() < 0.99


@pytest.mark.parametrize(("shape", "levels"), [((6,), 2), ((3, 2), 2)])
def test_samples_have_the_frequencies_of_the_likelihood(
    shape: tuple[int, ...], levels: int
) -> None:
    decoder, every, number = decoder_of(shape, levels), patterns(shape), 20_000
    code = torch.randn(1, 2, dtype=torch.float64)
    many = code.expand(every.num_graphs, 2)
    p = (-occupancy(decoder.losses(many, None, every))).exp().detach()
    drawn = sample(decoder, code.expand(number, 2))
    bit = torch.tensor([math.prod(shape[axis + 1 :]) for axis in range(len(shape))])
    name = torch.zeros(number, dtype=torch.long)
    name.index_add_(0, drawn.batch, 2 ** (drawn.cell * bit).sum(1))
    seen = torch.bincount(name, minlength=len(p)) / number
    assert ((seen - p).abs() < 4.5 * (p * (1 - p) / number).sqrt() + 1 / number).all()
    # Mean of -log p over samples against the entropy: all patterns at once.
    surprise = -p.log()
    entropy, variance = (p * surprise).sum(), (p * surprise.square()).sum()
    error = ((variance - entropy.square()) / number).sqrt()
    assert (surprise[name].mean() - entropy).abs() < 4 * error


def test_values_are_normal_and_drawn_so() -> None:
    """-log p of one cell's value is a parabola: its three numbers are those of a normal."""
    decoder, code = decoder_of((4,), 1), torch.randn(1, 2, dtype=torch.float64)

    def energy(value: float) -> float:
        x = torch.tensor([[value]], dtype=torch.float64)
        return float(decoder.losses(code, None, event_of([[(2,)]], x))["energy"].detach())

    low, centre, high = (energy(value) for value in (-1.0, 0.0, 1.0))
    std = (low + high - 2 * centre) ** -0.5
    mean = (low - high) / 2 * std**2
    values = torch.tensor([0.0, 0.3, 5.0], dtype=torch.float64)
    expected = -Normal(values.new_tensor(mean), values.new_tensor(std)).log_prob(values)
    assert [energy(value) for value in values.tolist()] == pytest.approx(expected.tolist())
    drawn = sample(decoder, code.expand(20_000, 2))
    alone = (cl.sizes(drawn) == 1)[drawn.batch] & (drawn.cell[:, 0] == 2)
    x = drawn.x[alone, 0].detach()
    assert len(x) > 500
    assert float(x.mean()) == pytest.approx(mean, abs=4 * std / len(x) ** 0.5)
    assert float(x.std()) == pytest.approx(std, rel=4 / (2 * len(x)) ** 0.5)


def test_order_of_the_points_and_the_other_events_do_not_matter() -> None:
    decoder, code = decoder_of((9, 6), 2), torch.randn(3, 2, dtype=torch.float64)
    x = torch.randn(5, 1, dtype=torch.float64)
    cells: list[list[tuple[int, ...]]] = [[(0, 5), (8, 1), (3, 3)], [], [(8, 5), (0, 0)]]
    terms = decoder.losses(code, None, event_of(cells, x))
    turned = [event[::-1] for event in cells]
    other = decoder.losses(code, None, event_of(turned, x[[2, 1, 0, 4, 3]]))
    alone = decoder.losses(code[2:], None, event_of(cells[2:], x[3:]))
    for name, value in terms.items():
        torch.testing.assert_close(other[name], value)
        torch.testing.assert_close(alone[name], value[2:])


def test_empty_events() -> None:
    decoder, code = decoder_of((4, 4), 2), torch.randn(2, 2, dtype=torch.float64)
    none = event_of([[], []])
    none = cl.make(torch.zeros(0, 2).double(), [0, 0], x=none.x, cell=none.cell.view(0, 2))
    terms = decoder.losses(code, None, none)
    assert terms["occupancy_0"].tolist() == terms["energy"].tolist() == [0.0, 0.0]
    assert (terms["occupancy_1"] > 0).all()
    with torch.no_grad():
        decoder.splits[0].logit.bias.fill_(-1e4)
    drawn = sample(decoder, code)
    assert drawn.num_graphs == 2
    assert cl.sizes(drawn).tolist() == [0, 0]


def test_a_batch_of_no_events() -> None:
    decoder, code = decoder_of((4, 5), 2), torch.zeros(0, 2, dtype=torch.float64)
    cell = torch.zeros(0, 2, dtype=torch.long)
    none = cl.make(cell.double(), [], x=torch.zeros(0, 1).double(), cell=cell)
    assert all(value.shape == (0,) for value in decoder.losses(code, None, none).values())
    assert sample(decoder, code).num_graphs == 0


@pytest.mark.parametrize(("shape", "levels"), [((5, 7), 2), ((3, 12), 3), ((2, 5, 3), 1)])
def test_no_cell_is_outside_or_twice(shape: tuple[int, ...], levels: int) -> None:
    decoder = decoder_of(shape, levels)
    with torch.no_grad():
        for split in decoder.splits:
            split.logit.bias.add_(5.0)
    code = torch.randn(40, 2, dtype=torch.float64)
    drawn = sample(decoder, code)
    assert (drawn.cell < torch.tensor(shape)).all()
    assert (drawn.cell.max(0).values == torch.tensor(shape) - 1).all()
    torch.testing.assert_close(drawn.pos, drawn.cell + 0.5, check_dtype=False)
    # Reading them as an event checks that no cell comes twice; their likelihood is finite.
    assert all(value.isfinite().all() for value in decoder.losses(code, None, drawn).values())


def test_a_cell_outside_is_refused() -> None:
    decoder = decoder_of((5,), 2)  # whose pyramid has 8 cells
    with pytest.raises(DataError, match=r"cell: row 0 \(event 0\) is \(5,\)"):
        decoder.losses(torch.zeros(1, 2).double(), None, event_of([[(5,)]]))


def test_gradients_reach_everything_and_are_finite() -> None:
    decoder = decoder_of((5, 7), 2)
    with torch.no_grad():
        decoder.splits[1].logit.bias.fill_(-800.0)  # an occupied child against all odds
    event = event_of([[(0, 0), (4, 6)], [(4, 6)]])
    total = torch.stack(list(decoder.losses(torch.randn(2, 2).double(), None, event).values()))
    assert total.isfinite().all()
    total.sum().backward()
    for name, value in decoder.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.grad.abs().sum() > 0, name


def test_some_of_many_is_stable() -> None:
    logit = torch.tensor([[-800.0, -801.0], [3.0, -torch.inf], [50.0, 50.0]], dtype=torch.float64)
    expected = torch.tensor([-800.0 + math.log1p(math.exp(-1.0)), -math.log1p(math.exp(-3.0)), 0.0])
    torch.testing.assert_close(log_some(logit)[:, 1], expected.double())
    finite = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(log_some(finite)[:, -1].exp(), 1 - (-finite).sigmoid().prod(1))
    assert torch.autograd.gradcheck(log_some, (finite,))


def test_without_a_code_it_is_a_model_of_cells_given_the_condition() -> None:
    torch.manual_seed(0)
    decoder = SparseDecoder(0, 6, 2, shape=(7,), condition_channels=1).double()
    every = patterns((7,))
    code, condition = torch.zeros(128, 0).double(), torch.ones(128, 1).double()
    terms = decoder.losses(code, condition, every)
    torch.testing.assert_close((-occupancy(terms)).exp().sum(), torch.ones(()).double())
    assert not torch.equal(occupancy(decoder.losses(code, -condition, every)), occupancy(terms))
    bare = SparseDecoder(0, 6, 2, shape=(7,)).double()
    torch.testing.assert_close(
        (-occupancy(bare.losses(code, None, every))).exp().sum(), torch.ones(()).double()
    )


def test_few_cells_at_first() -> None:
    decoder = SparseDecoder(4, 16, 3, shape=(32, 32), occupancy=0.05)
    drawn = sample(decoder, torch.randn(50, 4))
    assert 0.02 < len(drawn.cell) / (50 * 32**2) < 0.15


def test_it_learns_a_few_patterns_by_heart() -> None:
    torch.manual_seed(0)
    decoder = SparseDecoder(3, 16, 2, shape=(7, 8))
    cells: list[list[tuple[int, ...]]] = [[(0, 0), (0, 1), (6, 7)], [(3, 4)], []]
    x = torch.tensor([[0.5], [-1.0], [2.0], [0.0]])
    event, code = event_of(cells, x), torch.eye(3)
    optimiser = torch.optim.Adam(decoder.parameters(), 3e-3)
    for _ in range(200):
        optimiser.zero_grad()
        loss = torch.stack(list(decoder.losses(code, None, event).values())).sum()
        loss.backward()
        optimiser.step()
    terms = decoder.losses(code, None, event)
    assert occupancy(terms).sum() < 0.1
    least = LEAST_LOG_STD + 0.5 * math.log(2 * math.pi)
    assert terms["energy"].sum() < 4 * 0.95 * least
    assert sample(decoder, code).cell.tolist() == event.cell.tolist()
