"""Solvers of sparse problems: optimality conditions, scikit-learn's answers, exact recovery."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso, orthogonal_mp
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.sparse_recovery import (
    Matrix,
    fista,
    hard_threshold,
    iht,
    ista,
    omp,
    soft_threshold,
)


def problem(m: int, n: int, nonzeros: int, rows: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A matrix of unit columns [m, n], and sparse vectors [rows, n] of entries from 1 to 2."""
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.randn(m, n, generator=draw, dtype=torch.float64)
    place = torch.rand(rows, n, generator=draw).topk(nonzeros, 1).indices
    size = 1 + torch.rand(place.shape, generator=draw, dtype=torch.float64)
    sign = 2 * torch.randint(2, place.shape, generator=draw) - 1
    truth = torch.zeros(rows, n, dtype=torch.float64).scatter(1, place, sign * size)
    return matrix / matrix.norm(dim=0), truth


@pytest.mark.parametrize("solver", [ista, fista])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_the_fixed_point_is_the_optimum_of_the_lasso(solver, nonnegative) -> None:
    """Aᵀ(y - A x) is λ sign(x) where x is not zero, and within ±λ (at most λ) elsewhere."""
    matrix, truth = problem(20, 30, 3)
    y, strength = truth @ matrix.T, torch.tensor([0.05, 0.1, 0.2, 0.4], dtype=torch.float64)
    x = solver(Matrix(matrix), y, strength, steps=6000, nonnegative=nonnegative)
    slope, bound = (y - x @ matrix.T) @ matrix, strength[:, None].expand_as(x)
    on = x != 0
    assert on.any()
    assert (~on).any()
    torch.testing.assert_close(slope[on], (bound * x.sign())[on], rtol=1e-6, atol=1e-8)
    assert bool((slope[~on] <= bound[~on] + 1e-8).all())
    assert nonnegative or bool((slope[~on] >= -bound[~on] - 1e-8).all())
    assert not nonnegative or bool((x >= 0).all())


@pytest.mark.parametrize("nonnegative", [False, True])
def test_the_lasso_is_that_of_scikit_learn(nonnegative) -> None:
    matrix, truth = problem(15, 25, 3)
    y = truth @ matrix.T + 0.01
    ours = fista(Matrix(matrix), y, 0.1, steps=5000, nonnegative=nonnegative)
    theirs = Lasso(alpha=0.1 / 15, fit_intercept=False, tol=1e-12, max_iter=100_000,
                   positive=nonnegative)  # fmt: skip
    for row, found in zip(y.numpy(), ours.numpy(), strict=True):
        np.testing.assert_allclose(found, theirs.fit(matrix.numpy(), row).coef_, atol=1e-6)


def test_without_a_penalty_fista_is_the_least_squares_of_least_norm() -> None:
    matrix, truth = problem(6, 12, 3)
    y = truth @ matrix.T
    ours = fista(Matrix(matrix), y, 0.0, steps=5000)
    torch.testing.assert_close(ours, y @ torch.linalg.pinv(matrix).T, rtol=0, atol=1e-6)


@pytest.mark.parametrize("nonzeros", [1, 2, 4])
def test_pursuit_is_that_of_scikit_learn(nonzeros) -> None:
    matrix, truth = problem(15, 30, 4, rows=8, seed=nonzeros)
    y = truth @ matrix.T + 0.02
    theirs = orthogonal_mp(matrix.numpy(), y.numpy().T, n_nonzero_coefs=nonzeros)
    np.testing.assert_allclose(omp(matrix, y, nonzeros).numpy().T.reshape(theirs.shape), theirs,
                               atol=1e-9)  # fmt: skip


def test_incoherent_vectors_are_recovered_exactly() -> None:
    """Spikes and Walsh functions: the coherence of the two bases is 1 / 8."""
    walsh = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(6):
        walsh = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64), walsh)
    matrix = torch.cat([torch.eye(64, dtype=torch.float64), walsh / 8], 1)
    truth = problem(64, 128, 3, rows=20)[1]
    y = truth @ matrix.T
    torch.testing.assert_close(omp(matrix, y, 3), truth)
    torch.testing.assert_close(iht(Matrix(matrix), y, 3), truth, rtol=1e-6, atol=1e-6)
    lasso = fista(Matrix(matrix), y, 1e-3, steps=3000)
    torch.testing.assert_close(lasso, truth, rtol=0, atol=5e-3)


def test_the_end_of_hard_thresholding_is_a_fixed_point_with_a_flat_misfit_on_its_support() -> None:
    matrix, truth = problem(20, 40, 3)
    y = truth @ matrix.T + 0.05
    x = iht(Matrix(matrix), y, 3, steps=4000)
    step = 1 / Matrix(matrix).norm ** 2
    slope = (y - x @ matrix.T) @ matrix
    torch.testing.assert_close(hard_threshold(x + step * slope, 3), x, rtol=0, atol=1e-8)
    assert float(slope[x != 0].abs().max()) < 1e-7
    # No other entry would be among the largest after a step (Blumensath and Davies, eq. 2.7).
    smallest = torch.where(x != 0, x.abs(), torch.inf).amin(1, keepdim=True)
    assert bool((step * slope.abs() <= smallest + 1e-9).all())


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 5), n=st.integers(1, 6), m=st.integers(1, 6), seed=st.integers(0, 99))
def test_rows_do_not_depend_on_each_other(rows, n, m, seed) -> None:
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.randn(m, n, generator=draw, dtype=torch.float64)
    y = torch.randn(rows, m, generator=draw, dtype=torch.float64)
    solvers = [
        lambda each: ista(Matrix(matrix), each, 0.1, steps=5),
        lambda each: fista(Matrix(matrix), each, 0.1, steps=5),
        lambda each: iht(Matrix(matrix), each, 1, steps=5),
        lambda each: omp(matrix, each, min(m, n)),
    ]
    for solve in solvers:
        whole = solve(y)
        assert whole.shape == (rows, n)
        assert bool(whole.isfinite().all())
        for row in range(rows):
            torch.testing.assert_close(whole[row : row + 1], solve(y[row : row + 1]))


def test_columns_that_are_spanned_or_zero_and_measurements_of_zero_give_zeros() -> None:
    matrix = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    assert omp(matrix, y, 2).tolist() == [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert fista(Matrix(torch.zeros(2, 3)), torch.zeros(1, 2), 0.1, steps=2).tolist() == [[0, 0, 0]]


def test_thresholds_have_the_gradients_of_their_formulas() -> None:
    x = torch.tensor([[-2.0, 0.3, 1.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: soft_threshold(x, 0.5), x)
    assert torch.autograd.gradcheck(lambda x: hard_threshold(x, 2), x)


def test_refusals() -> None:
    matrix = Matrix(torch.eye(3))
    with pytest.raises(ArgumentError, match=r"strength: got -0\.5, expected numbers >= 0"):
        ista(matrix, torch.zeros(1, 3), -0.5)
    with pytest.raises(ArgumentError, match="steps: got 0, expected >= 1"):
        fista(matrix, torch.zeros(1, 3), 0.1, steps=0)
    with pytest.raises(ArgumentError, match="nonzeros: got 0, expected >= 1"):
        iht(matrix, torch.zeros(1, 3), 0)
    with pytest.raises(ArgumentError, match="nonzeros: got 4, expected 1 to 3"):
        omp(torch.eye(3), torch.zeros(1, 3), 4)
    with pytest.raises(ArgumentError, match=r"values: got torch.int64 \(3,\), expected a float"):
        Matrix(torch.arange(3))
