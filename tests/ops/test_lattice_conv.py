"""Convolution by rules against dense convolution, in 1 to 4 dimensions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from sparse_lattices import (
    Lattice,
    dense_conv,
    dense_transpose,
    gather,
    lattice,
    lattices,
    random_lattice,
)
from torch import Tensor
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.ops import rules as rules_module
from pcgen.ops.lattice import active_sites
from pcgen.ops.rulebooks import strided, submanifold, transposed
from pcgen.ops.sparse_conv import convolve
from pcgen.ops.sparse_pool import reduce_windows

EXACT = {"rtol": 0, "atol": 1e-12}


def rows(case: Lattice, channels: int = 3) -> Tensor:
    return torch.randn(len(case.sites), channels, dtype=torch.float64)


def kernel(*shape: int) -> tuple[Tensor, Tensor]:
    """Weights [C', C, *kernel], and the matrices of their taps [K, C, C']."""
    weight = torch.randn(*shape, dtype=torch.float64)
    return weight, weight.flatten(2).permute(2, 1, 0)


def numbers(dimensions: int, low: int, high: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=dimensions, max_size=dimensions)


@given(lattices(), st.data())
def test_submanifold_is_the_dense_layer_at_the_active_sites(case, data):
    sizes = [2 * n - 1 for n in data.draw(numbers(len(case.sites.shape), 1, 3))]
    weight, taps = kernel(2, 3, *sizes)
    x = rows(case)
    padding = [n // 2 for n in sizes]
    expected = dense_conv(case.scatter(x), weight, [1] * len(sizes), padding)
    got = convolve(x, taps, submanifold(case.sites, sizes))
    torch.testing.assert_close(got, gather(expected, case.sites), **EXACT)


@given(lattices(), st.data())
def test_strided_is_the_dense_layer_where_a_window_holds_something(case, data):
    shape, dimensions = case.sites.shape, len(case.sites.shape)
    sizes, stride, padding = (
        data.draw(numbers(dimensions, low, high)) for low, high in ((1, 3), (1, 3), (0, 2))
    )
    rooms = zip(shape, sizes, padding, strict=True)
    assume(all(n + 2 * p >= k for n, k, p in rooms))
    weight, taps = kernel(2, 3, *sizes)
    x = rows(case)
    sites, rules = strided(case.sites, sizes, stride, padding)
    expected = dense_conv(case.scatter(x), weight, stride, padding)
    assert sites.shape == expected.shape[2:]
    torch.testing.assert_close(convolve(x, taps, rules), gather(expected, sites), **EXACT)
    # The output sites are those whose window holds an active site, no more and no fewer.
    ones = torch.ones(1, 1, *sizes, dtype=torch.float64)
    held = dense_conv(case.active[:, None].double(), ones, stride, padding)[:, 0] > 0
    assert torch.equal(torch.cat([sites.owner[:, None], sites.cell], 1), held.nonzero())
    assert torch.equal(sites.ptr, lattice(held).sites.ptr)


@given(lattices(), st.data())
def test_transposed_is_the_dense_layer_where_an_active_site_reaches(case, data):
    shape, dimensions = case.sites.shape, len(case.sites.shape)
    sizes, stride, padding = (
        data.draw(numbers(dimensions, low, high)) for low, high in ((1, 3), (1, 3), (0, 1))
    )
    extra = [data.draw(st.integers(0, s - 1)) for s in stride]
    rooms = zip(shape, sizes, stride, padding, extra, strict=True)
    assume(all((n - 1) * s - 2 * p + k + e >= 1 for n, k, s, p, e in rooms))
    weight = torch.randn(3, 2, *sizes, dtype=torch.float64)
    x = rows(case)
    sites, rules = transposed(case.sites, sizes, stride, padding, extra)
    image = case.scatter(x)
    how = stride, padding, extra
    got = convolve(x, weight.flatten(2).permute(2, 0, 1), rules)
    expected = dense_transpose(image, weight, *how)
    assert sites.shape == expected.shape[2:]
    torch.testing.assert_close(got, gather(expected, sites), **EXACT)
    ones = torch.ones(1, 1, *sizes, dtype=torch.float64)
    reached = dense_transpose(case.active[:, None].double(), ones, *how)[:, 0] > 0
    assert torch.equal(torch.cat([sites.owner[:, None], sites.cell], 1), reached.nonzero())


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_brute_force_is_torch(dimensions):
    case = random_lattice((5, 4, 6)[:dimensions], 0.5)
    image = case.scatter(rows(case))
    how = [2, 1, 3][:dimensions], [1, 0, 1][:dimensions]
    weight, _ = kernel(2, 3, *(3, 2, 3)[:dimensions])
    conv = getattr(F, f"conv{dimensions}d")
    torch.testing.assert_close(dense_conv(image, weight, *how), conv(image, weight, None, *how))
    extra = [1, 0, 2][:dimensions]
    conv = getattr(F, f"conv_transpose{dimensions}d")
    weight = weight.transpose(0, 1)
    expected = conv(image, weight, None, *how, output_padding=extra)
    torch.testing.assert_close(dense_transpose(image, weight, *how, extra), expected)


@given(lattices(), st.data())
def test_back_along_the_rules_of_a_strided_layer_is_its_adjoint(case, data):
    sizes, stride = (data.draw(numbers(len(case.sites.shape), 1, 3)) for _ in range(2))
    assume(all(n >= k for n, k in zip(case.sites.shape, sizes, strict=True)))
    sites, rules = strided(case.sites, sizes, stride)
    taps = torch.randn(math.prod(sizes), 3, 2, dtype=torch.float64)
    x, y = rows(case), torch.randn(len(sites), 2, dtype=torch.float64)
    back = convolve(y, taps.transpose(1, 2), rules.reverse)
    torch.testing.assert_close((convolve(x, taps, rules) * y).sum(), (x * back).sum())


@pytest.mark.parametrize("shape", [(6,), (4, 3), (3, 2, 3), (2, 2, 2, 2)])
def test_first_and_second_derivatives(shape):
    case = random_lattice(shape, 0.5)
    x = rows(case, 2).requires_grad_()
    sizes = [3] + [1] * (len(shape) - 1)
    books = [
        submanifold(case.sites, 3),
        strided(case.sites, sizes, 2, 1).rules,
        transposed(case.sites, sizes, 2).rules,
    ]
    for rules in books:
        taps = torch.randn(len(rules.counts), 2, 2, dtype=torch.float64, requires_grad=True)

        def value(x: Tensor, taps: Tensor, rules=rules) -> Tensor:
            return convolve(x, taps, rules)

        assert torch.autograd.gradcheck(value, (x, taps))
        assert torch.autograd.gradgradcheck(value, (x, taps))


@given(lattices(), st.data())
def test_gradients_are_the_same_where_they_are_differentiated_again(case, data):
    sizes, stride = (data.draw(numbers(len(case.sites.shape), 1, 3)) for _ in range(2))
    books = [submanifold(case.sites, 3), transposed(case.sites, sizes, stride).rules]
    for rules in books:
        taps = torch.randn(len(rules.counts), 3, 2, dtype=torch.float64, requires_grad=True)
        leaves = rows(case).requires_grad_(), taps
        value = convolve(*leaves, rules).square().sum()
        once = torch.autograd.grad(value, leaves, retain_graph=True)
        again = torch.autograd.grad(value, leaves, create_graph=True)
        for one, other in zip(once, again, strict=True):
            torch.testing.assert_close(one, other)


def test_only_the_requested_gradients_are_computed():
    case = random_lattice((4, 4), 0.5)
    rules = submanifold(case.sites, 3)
    taps = torch.randn(9, 3, 2, dtype=torch.float64, requires_grad=True)
    convolve(rows(case), taps, rules).sum().backward()
    assert "reverse" not in vars(rules)


def test_rules_are_built_once_and_shared():
    case = random_lattice((6, 6), 0.3)
    assert submanifold(case.sites, 3) is submanifold(case.sites, (3, 3))
    step = strided(case.sites, 2, 2)
    assert strided(case.sites, (2, 2), [2, 2], 0) is step
    assert submanifold(step.sites, 3) is submanifold(strided(case.sites, 2, 2).sites, 3)
    assert strided(case.sites, 2, 2, 1) is not step
    assert transposed(case.sites, 2, 2) is transposed(case.sites, 2, (2, 2))
    assert len(case.sites.rulebooks) == 4


@given(lattices(dimensions=(1, 3)), st.integers(1, 40), st.sampled_from([0, 1, 100]))
def test_blocks_and_spare_rows_do_not_change_the_result(case, size, spare):
    x, taps = rows(case), torch.randn(3 ** len(case.sites.shape), 3, 2, dtype=torch.float64)

    def results() -> list[Tensor]:
        case.sites.rulebooks.clear()
        inputs = x.clone().requires_grad_(), taps.clone().requires_grad_()
        value = convolve(*inputs, submanifold(case.sites, 3))
        return [value, *torch.autograd.grad(value.square().sum(), inputs)]

    whole = results()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules_module, "RULES", size)
        patch.setattr(rules_module, "SPARE", spare)
        parts = results()
        number = len(submanifold(case.sites, 3).source)
        assert len(submanifold(case.sites, 3).blocks) == number // size + 1
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other)


@given(lattices(), st.data())
def test_translated_events_have_translated_results(case, data):
    shape = case.sites.shape
    shift = torch.tensor([data.draw(st.integers(0, 4)) for _ in shape])
    room = [s + 4 for s in shape]
    here = active_sites(case.sites.cell, case.sites.ptr, room)
    there = active_sites(case.sites.cell + shift, case.sites.ptr, room)
    x, taps = rows(case), torch.randn(3 ** len(shape), 3, 2, dtype=torch.float64)
    one, other = (convolve(x, taps, submanifold(sites, 3)) for sites in (here, there))
    assert torch.equal(one, other)


def test_events_do_not_see_each_other():
    """The last cells of one event and the first of the next have neighbouring keys."""
    active = torch.ones(4, 3, 3, dtype=torch.bool)
    active[1] = False
    case = lattice(active)
    x, taps = rows(case), torch.randn(25, 3, 2, dtype=torch.float64)
    both = convolve(x, taps, submanifold(case.sites, 5))
    alone = [
        convolve(part, taps, submanifold(lattice(one[None]).sites, 5))
        for part, one in zip(x.split(case.sites.ptr.diff().tolist()), active, strict=True)
    ]
    torch.testing.assert_close(both, torch.cat(alone), **EXACT)


@pytest.mark.parametrize("reduce", ["max", "mean", "sum"])
@given(case=lattices(dimensions=(1, 3)), stride=st.integers(1, 3), padding=st.integers(0, 1))
def test_pooling_is_over_the_active_sites_of_the_window(reduce, case, stride, padding):
    assume(min(case.sites.shape) >= 2)
    x = rows(case, 2)
    sites, rules = strided(case.sites, 2, stride, padding)
    got = reduce_windows(x, rules, reduce)
    dimensions = len(case.sites.shape)
    image = case.scatter(x)
    if reduce == "max":
        image = torch.where(case.active[:, None], image, -math.inf)
        pooled = getattr(F, f"max_pool{dimensions}d")(image, 2, stride, padding)
    else:
        ones = torch.ones(1, 1, *[2] * dimensions, dtype=torch.float64)
        how = [stride] * dimensions, [padding] * dimensions
        channels = image.flatten(0, 1)[:, None]
        pooled = dense_conv(channels, ones, *how).view(*image.shape[:2], *sites.shape)
        if reduce == "mean":
            pooled = pooled / dense_conv(case.active[:, None].double(), ones, *how)
    torch.testing.assert_close(got, gather(pooled, sites), **EXACT)


def test_nothing_at_all():
    sites = active_sites(torch.zeros(0, 2, dtype=torch.long), torch.tensor([0, 0]), (4, 4))
    x = torch.zeros(0, 3, requires_grad=True)
    taps = torch.randn(4, 3, 2, requires_grad=True)
    step = strided(sites, 2, 2)
    y = convolve(x, taps, step.rules)
    assert y.shape == (0, 2)
    y.sum().backward()
    assert taps.grad.abs().max() == 0
    assert convolve(x, torch.randn(9, 3, 2), submanifold(sites, 3)).shape == (0, 2)
    assert reduce_windows(x, step.rules, "max").shape == (0, 3)
    assert step.sites.ptr.tolist() == [0, 0]


def test_one_site_is_its_own_neighbour():
    sites = active_sites(torch.tensor([[2]]), torch.tensor([0, 0, 1]), (5,))
    x, taps = torch.randn(1, 3), torch.randn(3, 3, 2)
    assert torch.equal(convolve(x, taps, submanifold(sites, 3)), x @ taps[1])


def test_mixed_types_are_computed_in_the_wider_one():
    case = random_lattice((5, 5), 0.5)
    x, taps = rows(case).bfloat16(), torch.randn(9, 3, 2)
    got = convolve(x, taps, submanifold(case.sites, 3))
    assert got.dtype == torch.float32
    assert torch.equal(got, convolve(x.float(), taps, submanifold(case.sites, 3)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: submanifold(s, 2), r"kernel: got \(2, 2\), expected odd sizes"),
        (lambda s: submanifold(s, (3,)), r"kernel: got \(3,\), .* or 2 of them"),
        (lambda s: strided(s, 3, 0), "stride: got 0, expected a number >= 1"),
        (lambda s: strided(s, 3, 1, -1), "padding: got -1, expected a number >= 0"),
        (lambda s: strided(s, 9), r"kernel: got \(9, 9\), which leaves \(-3, -3\) cells"),
        (lambda s: transposed(s, 1, 1, 3), r"kernel: got \(1, 1\), which leaves"),
        (lambda s: convolve(torch.zeros(1, 2), torch.zeros(9, 2, 2), submanifold(s, 3)), "x, wei"),
        (lambda s: convolve(torch.zeros(9, 2), torch.zeros(8, 2, 2), submanifold(s, 3)), "x, wei"),
        (
            lambda s: reduce_windows(torch.zeros(9, 2), strided(s, 2, 2).rules, "median"),
            "reduce: got 'median', expected one of max, mean, sum",
        ),
        (
            lambda s: reduce_windows(torch.zeros(8, 2), strided(s, 2, 2).rules, "max"),
            r"x: got \(8, 2\), expected \[9, C\]",
        ),
    ],
)
def test_refuses_what_does_not_fit(call, message):
    diagonal = torch.eye(5, dtype=torch.bool)[None].repeat(2, 1, 1)
    diagonal[0, 0, 0] = False
    sites = lattice(diagonal).sites
    assert len(sites) == 9
    with pytest.raises(ArgumentError, match=message):
        call(sites)
