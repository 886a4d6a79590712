"""Shape scores against a transcription of the published definitions, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics import pairwise
from pcgen.metrics.distances import approxmatch_distance, earth_mover_distance
from pcgen.metrics.scores import neighbour_scores_of_distances
from pcgen.metrics.shapes import normalize_boxes, normalize_globally, shape_scores
from pcgen.ops.legacy import approxmatch


def shapes(number: int, points: int = 16, stretch: float = 1.0) -> pc.Batch:
    """Random ellipsoids within the sphere of radius 1/2."""
    pos = torch.randn(number, points, 3).double()
    pos = 0.3 * pos / pos.norm(dim=2, keepdim=True) * (0.5 + torch.rand(number, 1, 3))
    pos[..., 0] *= stretch
    return pc.make(pos.view(-1, 3), [points] * number)


def published_scores(rr: np.ndarray, rs: np.ndarray, ss: np.ndarray) -> tuple[float, float, float]:
    """lgan_mmd_cov(M_rs.t()) and knn(M_rr, M_rs, M_ss, 1) of PointFlow."""
    n, m = rs.shape
    mmd, cov = rs.T.min(0).mean(), len(np.unique(rs.T.argmin(1))) / n
    union = np.block([[rr, rs], [rs.T, ss]]) + np.diag([np.inf] * (n + m))
    label = np.r_[np.ones(n), np.zeros(m)]
    predicted = label[union.argmin(0)] >= 0.5
    return mmd, cov, (predicted == label).mean()


@pytest.mark.parametrize("ties", [False, True])
def test_neighbour_scores_against_the_published_code_on_fixed_matrices(ties):
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(13, 2))
        x = np.round(x) if ties else x
        distances = np.abs(x[:, None] - x[None]).sum(2)
        rr, rs, ss = distances[:6, :6], distances[:6, 6:], distances[6:, 6:]
        found = neighbour_scores_of_distances(*map(torch.from_numpy, (rs, rr, ss)))
        assert (found.mmd, found.coverage, found.accuracy) == pytest.approx(
            published_scores(rr, rs, ss), abs=1e-12
        )


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
