"""JSD of occupancies against a transcription of the published definition, and in closed form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, kstest

from pcgen import clouds as pc
from pcgen.errors import DataError
from pcgen.metrics.scores.occupancy import (
    Occupancy,
    grid_nodes,
    jensen_shannon,
    occupancy,
    occupancy_jsd,
)
from pcgen.metrics.shapes import normalize_boxes
from pcgen.schema import Quantity, Schema


def shapes(number: int, points: int = 16, stretch: float = 1.0) -> pc.Batch:
    """Random ellipsoids within the sphere of radius 1/2."""
    pos = torch.randn(number, points, 3).double()
    pos = 0.3 * pos / pos.norm(dim=2, keepdim=True) * (0.5 + torch.rand(number, 1, 3))
    pos[..., 0] *= stretch
    return pc.make(pos.view(-1, 3), [points] * number)


def published_nodes(resolution: int = 28) -> np.ndarray:
    """unit_cube_grid_point_cloud(resolution, clip_sphere=True) of latent_3d_points."""
    spacing = 1.0 / float(resolution - 1)
    rows = itertools.product(range(resolution), repeat=3)
    grid = np.array([[i * spacing - 0.5 for i in row] for row in rows], np.float32)
    return grid[np.linalg.norm(grid, axis=1) <= 0.5]


def published_jsd(sample: np.ndarray, reference: np.ndarray) -> float:
    """jsd_between_point_cloud_sets, with SciPy's tree for its nearest neighbours."""
    nodes = published_nodes()
    histograms = []
    for clouds in (sample, reference):
        index = cKDTree(nodes).query(clouds.reshape(-1, 3))[1]
        counts = np.bincount(index, minlength=len(nodes)).astype(float)
        histograms.append(counts / counts.sum())
    p, q = histograms
    return entropy((p + q) / 2, base=2) - (entropy(p, base=2) + entropy(q, base=2)) / 2


def test_nodes_are_the_published_ones():
    nodes, expected = grid_nodes().numpy(), published_nodes()
    assert nodes.shape == expected.shape == (10144, 3)
    np.testing.assert_allclose(nodes, expected, atol=1e-7)
    assert len(grid_nodes(5, 2)) == 13


def test_jsd_against_the_published_definition():
    real, fake = shapes(30), shapes(20, stretch=0.7)
    arrays = (fake.pos.view(20, 16, 3).numpy(), real.pos.view(30, 16, 3).numpy())
    found = occupancy_jsd(real, fake)
    assert found == pytest.approx(published_jsd(*arrays), abs=1e-12)
    assert occupancy_jsd(fake, real) == pytest.approx(found, abs=1e-12)
    assert occupancy_jsd(real, real) == 0


def test_jsd_of_clouds_outside_as_published():
    """DPM's boxes reach from -1 to 1: most points are counted at the sphere's rim."""
    real, fake = (normalize_boxes(shapes(10, stretch=x)) for x in (1.0, 0.5))
    with pytest.raises(DataError, match=r"in 20 of 20 events \(0, 1, .*\), expected normalised"):
        occupancy_jsd(real, fake)
    arrays = (fake.pos.view(10, 16, 3).numpy(), real.pos.view(10, 16, 3).numpy())
    found = occupancy_jsd(real, fake, outside="nearest")
    assert found == pytest.approx(published_jsd(*arrays), abs=1e-12)
    assert Occupancy(real, outside="nearest").outside == 10
    rim = pc.make(torch.tensor([[0.5009, 0.0, 0.0]]), [1])
    assert Occupancy(rim).outside == 0


def test_jsd_of_histograms_in_closed_form():
    p, q = torch.tensor([[4.0, 0, 0], [1, 1, 0], [3, 1, 4]]), torch.tensor([0.0, 2, 0])
    found = jensen_shannon(p, q)
    assert found[0] == 1
    # ½ KL((½, ½) ‖ (¼, ¾)) + ½ KL((0, 1) ‖ (¼, ¾)) in bits
    assert found[1].item() == pytest.approx(
        0.5 * (0.5 * np.log2(2) + 0.5 * np.log2(2 / 3)) + 0.5 * np.log2(4 / 3)
    )
    assert found[2].item() == pytest.approx(jensenshannon(p[2].numpy(), q.numpy(), base=2) ** 2)
    assert jensen_shannon(p[2], 7 * p[2]) == 0
    assert jensen_shannon(p[0], torch.zeros(3)).isnan()


def test_jsd_of_samples_of_a_pool():
    """A cloud drawn twice counts twice, an empty one adds nothing, and only empty ones are NaN."""
    left, right = torch.tensor([[-0.4, 0.0, 0.0]]), torch.tensor([[0.4, 0.0, 0.0]])
    pool = Occupancy(pc.make(torch.cat([left, right, left]), [1, 1, 0, 1]))
    a = torch.tensor([[0, 0, 1], [0, 3, 3], [2, 2, 2]])
    b = torch.tensor([[1, 2, 2], [3, 0, 2], [0, 1, 3]])
    found = pool.compare(a, b)
    assert found.shape == (1, 3)
    expected = jensen_shannon(torch.tensor([2.0, 1]), torch.tensor([0.0, 1]))
    assert found[0, 0] == expected
    assert found[0, 1] == 0
    assert found[0, 2].isnan()
    assert pool.usable.all()
    assert pool.measures[0].name == "JSD"


def test_jsd_p_value():
    pool = Occupancy(pc.concat([shapes(60), shapes(30, stretch=0.3)]), resolution=8)
    generator = torch.Generator().manual_seed(0)
    order = torch.arange(90)
    assert pool.p_values(order[:30], order[60:], 99, generator).item() == 0.01
    null = []
    for _ in range(30):
        same = Occupancy(shapes(24), resolution=6)
        null.append(same.p_values(torch.arange(12), torch.arange(12, 24), 39, generator).item())
    # Uniform on k/40; spread over the step below, to compare with the continuum.
    assert kstest((torch.tensor(null) - torch.rand(30) / 40).numpy(), "uniform").pvalue > 0.01


def test_nodes_are_nearest_the_short_way_round():
    clouds = pc.make(torch.tensor([[0.1, 0.0], [0.1, 6.0], [0.1, -6.0]]), [1, 1, 1])
    schema = Schema((Quantity("eta"), Quantity("phi", "rad", 6.0)))
    found = occupancy(clouds, schema)
    assert found.compare(torch.tensor([[0, 0]]), torch.tensor([[1, 2]])).item() == 0.0
    with pytest.raises(DataError, match=r"in 2 of 3 events \(1, 2\), expected normalised clouds"):
        occupancy(clouds, Schema((Quantity("eta"), Quantity("phi", "rad"))))
