"""Scores of a row: of real events, of itself, of events that lack points."""

from __future__ import annotations

import pytest
import torch
from toy_rows import STUDY

from pcgen import clouds as pc
from pcgen.tools.comparison import events as jets
from pcgen.tools.comparison import floors, scores
from pcgen.tools.comparison.rows import Row


@pytest.fixture(scope="module")
def events():
    return jets.load(STUDY, 16)


def test_only_particles_inside_the_grid_take_part(events):
    for clouds in (events.train, events.validation, events.test):
        assert float(clouds.pos.abs().max()) <= 0.4
        assert int(pc.sizes(clouds).max()) <= 30
    assert events.validation.num_graphs == 30
    assert events.batches(32, 0)(3).num_graphs == 32


def test_events_are_at_no_distance_from_themselves(events):
    real = events.on_grid(pc.select(events.test, slice(0, 60)))
    found = scores.judge(real, real, events.grid, events.schema, neighbours=20, seed=0)
    for name in ("score", "w1_mass", "w1_log_pt", "total_error", "w1_occupancy", "jsd"):
        assert found[name] == pytest.approx(0, abs=1e-12)
    assert found["occupancy"] == found["occupancy_real"]
    assert found["occupancy"] == pytest.approx(pc.sizes(real).double().mean().item() / 256)


def test_distances_are_in_units_of_the_real_spread(events):
    real = events.on_grid(events.test)
    harder = pc.replace(real, weight=real.weight * 2)
    found = scores.distances(real, harder)
    masses = scores.mass(real)
    assert found["w1_mass"] == pytest.approx((masses.mean() / masses.std()).item())
    assert found["w1_girth"] == pytest.approx(0, abs=1e-9)
    spread = real.weight.double().log().std()
    assert found["w1_log_pt"] == pytest.approx((torch.tensor(2.0).log() / spread).item(), rel=1e-6)
    relative = [value for name, value in found.items() if name != "score"]
    assert found["score"] == pytest.approx(sum(relative) / 5)


def test_the_response_is_an_absolute_error_of_the_jets_energy(events):
    real = events.on_grid(pc.select(events.test, slice(0, 60)))
    lost = pc.replace(real, weight=real.weight * 0.9)
    response = (pc.total(real) / real.y[:, 0]).double().mean().item()
    found = scores.judge(real, lost, events.grid, events.schema, neighbours=20, seed=0)
    assert found["total_error"] == pytest.approx(0.1 * response, rel=1e-4)


def test_events_without_a_point_are_scored_and_counted(events):
    real = events.on_grid(pc.select(events.test, slice(0, 60)))
    sizes = torch.zeros(60, dtype=torch.long)
    cell = torch.zeros(0, 2, dtype=torch.long)
    generated = pc.make(torch.zeros(0, 2), sizes, weight=torch.zeros(0), y=real.y, label=real.label,
                   cell=cell)  # fmt: skip
    found = scores.judge(real, generated, events.grid, events.schema, neighbours=20, seed=0)
    assert found["empty"] == 1
    assert found["occupancy"] == 0
    assert found["nn_accuracy"] != found["nn_accuracy"]  # there is none
    assert found["score"] != found["score"]


def test_floors_are_what_real_events_score():
    truth, pixelised = (
        floors.run(Row("floor", network, "real", 16, 0), STUDY, None) for network in floors.NETWORKS
    )
    assert 0 < truth["score"] < 0.4
    # Cells merge particles: the grid alone costs multiplicity, whatever the halves are.
    assert pixelised["w1_multiplicity"] > 2 * truth["w1_multiplicity"]
