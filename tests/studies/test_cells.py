"""Scores of the study of sparsity: of real events, of themselves, of events that lack points."""

from __future__ import annotations

import cells
import pytest
import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.datasets.jets import sample_jets
from pcgen.grids import Grid
from pcgen.images import snap
from pcgen.io import JETS
from pcgen.metrics import evaluate
from pcgen.metrics.comparison import Measure
from pcgen.metrics.jets.kinematics import mass
from pcgen.metrics.scores.wasserstein import Column, Marginals
from pcgen.testing import random_clouds

GRID = Grid.parse("eta_rel:-0.4:0.4:16,phi_rel:-0.4:0.4:16", JETS.axes)


@pytest.fixture(scope="module")
def real() -> Batch:
    """120 jets in cells."""
    return snap(sample_jets("test", max_points=30).read(0, 120), GRID, outside="drop")


def judged(real: Batch, made: Batch) -> dict[str, tuple[float, float]]:
    """Value and floor of each score."""
    protocol = cells.protocol(JETS, GRID, neighbours=20, batches=2)
    found = evaluate(real, made, JETS, protocol=protocol, permutations=0)
    return {score.name: (score.value, score.floor) for score in found.scores}


def test_real_events_score_the_floor_and_others_do_not(real):
    same = judged(real, pc.select(real, torch.arange(0, 120, 2)))
    for name, (value, floor) in same.items():
        if name in ("occupancy_real", "occupancy"):
            assert value == pytest.approx(floor, rel=0.2)
    assert same["empty"] == (0, 0)
    assert same["score"][0] < 2 * same["score"][1]
    harder = judged(real, pc.replace(real, weight=real.weight * 1.5))
    assert harder["score"][0] > 2 * same["score"][0]
    assert harder["auc"][0] > 0.9
    # Σ p_T / p_T(jet) is about one, and half of it more.
    assert harder["total_error"][0] == pytest.approx(0.5, abs=0.05)
    # What does not know the energies stays.
    assert harder["w1_multiplicity"][0] < 0.5
    assert harder["w1_occupancy"][0] < 0.02


def test_distances_are_in_units_of_the_first_samples_spread(real):
    pool = pc.concat([real, pc.replace(real, weight=real.weight * 2)])
    first = torch.arange(120)[None]
    measured = cells._relative(pool, JETS)
    found = dict(zip([m.name for m in measured.measures],
                     measured.compare(first, first + 120)[:, 0].tolist(), strict=True))  # fmt: skip
    masses = mass(real)
    assert found["w1_mass"] == pytest.approx((masses.mean() / masses.std()).item())
    assert found["w1_girth"] == pytest.approx(0, abs=1e-9)
    spread = real.weight.double().log().std()
    assert found["w1_log_pt"] == pytest.approx((torch.tensor(2.0).log() / spread).item(), rel=1e-6)
    relative = [value for name, value in found.items() if name != "score"]
    assert found["score"] == pytest.approx(sum(relative) / 5)


def test_events_without_a_point_are_scored_and_counted(real):
    sizes = torch.zeros(60, dtype=torch.long)
    y, label = real.y[:60], real.label[:60]
    cell = torch.zeros(0, 2, dtype=torch.long)
    made = pc.make(torch.zeros(0, 2), sizes, weight=torch.zeros(0), y=y, label=label, cell=cell)
    found = _facts(real, made)
    assert found["empty"] == 1
    assert found["occupancy"] == 0
    assert found["occupancy_real"] == pytest.approx(pc.sizes(real).double().mean().item() / 256)


def _facts(real: Batch, made: Batch) -> dict[str, float]:
    counted = cells._cells(pc.concat([real, made]), GRID)
    sides = torch.arange(120)[None], torch.arange(120, 180)[None]
    values = counted.compare(*sides)[:, 0].tolist()
    return dict(zip([measure.name for measure in counted.measures], values, strict=True))


def test_a_comparison_with_other_names_is_the_same():
    clouds = random_clouds([2, 3, 4, 5], seed=1)
    columns = [
        Column(Measure("a"), torch.rand(4), torch.arange(4)),
        Column(Measure("b"), pc.sizes(clouds).double(), torch.arange(4)),
    ]
    inner = Marginals(columns, 4)
    named = cells.Named(inner, {"b": "size"})
    sides = torch.tensor([[0, 1]]), torch.tensor([[2, 3]])
    assert [measure.name for measure in named.measures] == ["size"]
    assert named.compare(*sides).tolist() == [[2.0]]
    generators = (torch.Generator().manual_seed(0) for _ in range(2))
    first, second = (each.p_values(*(s[0] for s in sides), 5, g)
                     for each, g in zip((inner, named), generators, strict=True))  # fmt: skip
    assert first[1] == second[0]
