"""Local dimension of sets and generators whose dimension is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError
from pcgen.metrics.trust.diagnosis import jacobian_dimension, local_dimension, participation_ratio


def ratio(values):
    return sum(values) ** 2 / sum(v * v for v in values)


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from([1e-150, 1.0, 1e150]))
def test_participation_ratio_from_singular_values(k, columns, scale):
    rows = torch.randn(2, k, columns).double()
    expected = [ratio((np.linalg.svd(r.numpy(), compute_uv=False) ** 2).tolist()) for r in rows]
    np.testing.assert_allclose(participation_ratio(scale * rows).numpy(), expected, rtol=1e-9)


def test_participation_ratio_of_equal_and_no_variances():
    rows = torch.zeros(2, 6, 5)
    rows[0, :3, :3] = 7 * torch.eye(3)
    assert participation_ratio(rows.double()).tolist() == pytest.approx([3.0, 0.0])


@pytest.mark.parametrize("d", [1, 2, 5])
def test_dimension_of_flat_sets_does_not_depend_on_their_embedding(d):
    frame = torch.linalg.qr(torch.randn(9, 9).double()).Q[:d]
    x = torch.rand(2000, d).double()
    found = local_dimension(x @ frame, neighbours=30)
    torch.testing.assert_close(found, local_dimension(x, neighbours=30), rtol=1e-6, atol=0)
    # k isotropic neighbours have about d k / (k + d).
    assert found.mean().item() == pytest.approx(d * 30 / (30 + d), rel=0.1)


def test_neighbours_by_brute_force():
    x = torch.randn(25, 3).double()
    order = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").argsort(1)[:, :6]
    expected = []
    for row in order:
        near = x[row] - x[row].mean(0)
        expected.append(ratio(torch.linalg.eigvalsh(near.T @ near).tolist()))
    assert local_dimension(x, neighbours=5).tolist() == pytest.approx(expected)


def test_a_curve_is_one_dimensional_and_noise_fills_space():
    angle = 2 * math.pi * torch.rand(2000).double()
    curve = torch.stack([angle.cos(), angle.sin(), (2 * angle).cos()], 1)
    assert local_dimension(curve).mean() < 1.05
    noisy = curve + 0.1 * torch.randn(2000, 3)
    assert local_dimension(noisy).mean() > 1.7


def test_events_at_one_place_have_no_dimension():
    assert local_dimension(torch.ones(20, 3)).tolist() == [0.0] * 20


def test_jacobian_of_linear_and_degenerate_generators():
    frame = torch.linalg.qr(torch.randn(6, 6).double()).Q[:3]
    codes = torch.randn(4, 3).double()
    assert jacobian_dimension(lambda z: z @ frame, codes).tolist() == pytest.approx([3.0] * 4)
    stretched = torch.tensor([1.0, 2.0, 0.0]).double()
    found = jacobian_dimension(lambda z: (z * stretched) @ frame, codes)
    assert found.tolist() == pytest.approx([25 / 17] * 4)
    collapsed = jacobian_dimension(lambda z: z.sum() * torch.ones(2, 3).double(), codes)
    assert collapsed.tolist() == pytest.approx([1.0] * 4)
    assert jacobian_dimension(lambda z: 0 * z, codes).tolist() == [0.0] * 4


def test_jacobian_depends_on_the_code():
    """(r, φ) to the plane: at radius r the two directions have lengths 1 and r."""

    def polar(code):
        return torch.stack([code[0] * code[1].cos(), code[0] * code[1].sin()])

    found = jacobian_dimension(polar, torch.tensor([[1.0, 0.3], [3.0, 2.0]]).double())
    assert found.tolist() == pytest.approx([2.0, ratio([1, 9])])


def test_what_has_no_dimension_is_refused():
    with pytest.raises(ArgumentError, match="neighbours: got 5, expected 2 to 4"):
        local_dimension(torch.zeros(5, 2), neighbours=5)
    with pytest.raises(ArgumentError, match="codes: got shape"):
        jacobian_dimension(lambda z: z, torch.zeros(3))
