"""Shape scores against a transcription of the published definitions, and against closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics import (
    coverage,
    earth_mover_distance,
    minimum_matching_distance,
    nearest_neighbour_accuracy,
    pairwise,
)
from pcgen.metrics.shapes import (
    Occupancy,
    approxmatch_distance,
    grid_nodes,
    jensen_shannon,
    normalize_boxes,
    normalize_globally,
    occupancy_jsd,
    shape_scores,
)
from pcgen.ops.legacy import approxmatch


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


def published_scores(rr: np.ndarray, rs: np.ndarray, ss: np.ndarray) -> tuple[float, float, float]:
    """lgan_mmd_cov(M_rs.t()) and knn(M_rr, M_rs, M_ss, 1) of PointFlow."""
    n, m = rs.shape
    mmd, cov = rs.T.min(0).mean(), len(np.unique(rs.T.argmin(1))) / n
    union = np.block([[rr, rs], [rs.T, ss]]) + np.diag([np.inf] * (n + m))
    label = np.r_[np.ones(n), np.zeros(m)]
    predicted = label[union.argmin(0)] >= 0.5
    return mmd, cov, (predicted == label).mean()


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
    assert pool.p_values(order[:30], order[30:60], 99, generator).item() > 0.05


@pytest.mark.parametrize("ties", [False, True])
def test_neighbour_scores_against_the_published_code_on_fixed_matrices(ties):
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(13, 2))
        x = np.round(x) if ties else x
        distances = np.abs(x[:, None] - x[None]).sum(2)
        rr, rs, ss = distances[:6, :6], distances[:6, 6:], distances[6:, 6:]
        tensors = [torch.from_numpy(part) for part in (rr, ss, rs)]
        found = (
            minimum_matching_distance(tensors[2]),
            coverage(tensors[2]),
            nearest_neighbour_accuracy(*tensors),
        )
        assert found == pytest.approx(published_scores(rr, rs, ss), abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_pointflow(weighted):
    """Chamfer by brute force; EMD by the exact distance of all pairs. Weights do not enter."""
    real, fake = shapes(7), shapes(7, stretch=0.8)
    matrix = {}
    for name, (a, b) in {"rr": (real, real), "rs": (real, fake), "ss": (fake, fake)}.items():
        x, y = (side.pos.view(7, 16, 3) for side in (a, b))
        square = (x[:, None, :, None] - y[None, :, None]).square().sum(-1)
        matrix[name] = square.min(3).values.mean(2) + square.min(2).values.mean(2)
    chamfer = published_scores(*(matrix[name].numpy() for name in ("rr", "rs", "ss")))
    pairs = ((real, real), (real, fake), (fake, fake))
    mover = published_scores(*(pairwise(earth_mover_distance(), *p).numpy() for p in pairs))
    if weighted:
        real, fake = (pc.replace(side, weight=torch.rand(112).double()) for side in (real, fake))
    found = shape_scores(real, fake)
    assert next(iter(found)) == "JSD"
    for name, values in (("CD", chamfer), ("EMD", mover)):
        keys = (f"MMD-{name}", f"COV-{name}", f"1-NNA-{name}")
        assert [found[key] for key in keys] == pytest.approx(list(values), rel=1e-9)


def test_scores_of_old_tables():
    """PointFlow's matching, ordered pair by ordered pair: it is not symmetric."""
    real, fake = shapes(5), shapes(5, stretch=0.8)
    ptr = torch.tensor([0, 16])

    def matrix(a, b):
        clouds = [side.pos.view(5, 16, 3) for side in (a, b)]
        rows = [[approxmatch(x, y, ptr, ptr).item() for y in clouds[1]] for x in clouds[0]]
        return np.array(rows)

    expected = published_scores(matrix(real, real), matrix(real, fake), matrix(fake, fake))
    found = shape_scores(real, fake, earth_mover=approxmatch_distance())
    keys = ("MMD-EMD", "COV-EMD", "1-NNA-EMD")
    assert [found[key] for key in keys] == pytest.approx(list(expected), rel=1e-9)
    assert found["MMD-EMD"] > 1.05 * shape_scores(real, fake)["MMD-EMD"]


def test_disjoint_sets_and_halves_of_one_set():
    real, other = shapes(60), shapes(60)
    thin = pc.replace(other, pos=0.05 * other.pos + 0.25)
    apart = shape_scores(real, thin, resolution=8)
    assert apart["1-NNA-CD"] == apart["1-NNA-EMD"] == 1.0
    assert apart["JSD"] > 0.9
    halves = shape_scores(real, other, resolution=8)
    for key in ("1-NNA-CD", "1-NNA-EMD"):
        # Each of 120 answers is right with probability 1/2; neighbours are often mutual, which
        # makes the spread up to √2 times that of independent answers.
        assert abs(halves[key] - 0.5) < 2 * 2**0.5 * 0.5 / 120**0.5
    assert halves["JSD"] < 0.3


def test_copies_and_collapse():
    real = shapes(12)
    copies = shape_scores(real, real)
    assert copies["JSD"] == copies["MMD-CD"] == copies["1-NNA-CD"] == 0
    assert copies["MMD-EMD"] == pytest.approx(0, abs=1e-12)
    assert copies["COV-CD"] == copies["COV-EMD"] == 1
    collapsed = shape_scores(real, pc.select(real, [3] * 12))
    assert collapsed["COV-CD"] == collapsed["COV-EMD"] == 1 / 12


def test_global_normalisation():
    """One scale for all axes and clouds, about one mean of all coordinates, as PointFlow's."""
    train, test = shapes(20), shapes(4)
    train = pc.replace(train, pos=train.pos + torch.tensor([0.0, 0.1, 3.0]))
    points = train.pos.numpy()
    moved = normalize_globally(test, train)
    np.testing.assert_allclose(
        moved.pos.numpy(), (test.pos.numpy() - points.mean(0)) / points.reshape(-1).std()
    )
    with pytest.raises(ArgumentError, match="reference: got no points"):
        normalize_globally(test, pc.make(torch.zeros(0, 3), []))


def test_boxes():
    clouds = pc.make(torch.tensor([[0.0, 0, 0], [4, 2, 0], [1, 1, 1], [5, 5, 5]]), [2, 0, 1, 1])
    expected = torch.tensor([[-1, -0.5, 0], [1, 0.5, 0], [0, 0, 0], [0, 0, 0]])
    torch.testing.assert_close(normalize_boxes(clouds).pos, expected)
    assert normalize_boxes(clouds).ptr.tolist() == clouds.ptr.tolist()


def test_empty_clouds_are_refused():
    with pytest.raises(DataError, match="generated: got 1 empty clouds"):
        shape_scores(shapes(2), pc.make(torch.zeros(1, 3).double(), [1, 0]))
