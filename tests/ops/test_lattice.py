"""Active sites: what is accepted, their order, and their keys."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from sparse_lattices import lattice, lattices, random_lattice

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.lattice import active_sites, sites_of_keys


@given(lattices())
def test_order_of_rows_within_an_event_does_not_matter(case):
    sites = case.sites
    assert sites.order is None
    sizes = sites.ptr.diff().tolist()
    shuffle = [torch.randperm(n) + p for n, p in zip(sizes, sites.ptr.tolist(), strict=False)]
    order = torch.cat(shuffle) if shuffle else torch.zeros(0, dtype=torch.long)
    other = active_sites(sites.cell[order], sites.ptr, sites.shape)
    assert torch.equal(other.cell, sites.cell)
    assert torch.equal(other.owner, sites.owner)
    value = torch.randn(len(sites), 2)
    assert torch.equal(other.sort(value[order]), value)
    assert torch.equal(other.unsort(value), value[order])


@given(lattices())
def test_keys_ascend_with_any_gap_and_name_their_sites(case):
    sites, none = case.sites, [0] * len(case.sites.shape)
    for gap in (none, [2] * len(none)):
        assert (sites.keys(gap).diff() > 0).all()
    back = sites_of_keys(sites.keys(none), sites.events, sites.shape)
    for name in ("cell", "owner", "ptr"):
        assert torch.equal(getattr(back, name), getattr(sites, name))


def test_no_sites_and_no_events():
    empty = torch.zeros(0, 2, dtype=torch.long)
    assert len(active_sites(empty, torch.tensor([0, 0, 0]), (3, 3))) == 0
    sites = active_sites(empty, torch.tensor([0]), (3, 3))
    assert sites.events == 0
    assert sites.sort(torch.zeros(0, 4)).shape == (0, 4)


def test_what_is_twice_or_outside_is_refused_by_row():
    ptr = torch.tensor([0, 1, 4])
    cell = torch.tensor([[1, 2], [1, 2], [0, 0], [1, 2]])
    with pytest.raises(DataError, match=r"cell: rows 1 and 3 \(event 1\) are both \(1, 2\)"):
        active_sites(cell, ptr, (2, 3))
    with pytest.raises(DataError, match=r"cell: row 0 \(event 0\) is \(1, 2\), .* below \(2, 2\)"):
        active_sites(cell, ptr, (2, 2))
    cell = torch.tensor([[0, 0], [1, 1], [0, -1], [0, 0]])
    with pytest.raises(DataError, match=r"cell: row 2 \(event 1\) is \(0, -1\)"):
        active_sites(cell, ptr, (2, 2))


@pytest.mark.parametrize(
    ("cell", "ptr", "shape", "message"),
    [
        (torch.zeros(1, 2), torch.tensor([0, 1]), (3, 3), "cell: got torch.float32"),
        (torch.zeros(1, 2).long(), torch.tensor([0, 1]), (3,), r"expected int64 \[N, 1\]"),
        (torch.zeros(1, 2).long(), torch.tensor([0, 2]), (3, 3), "ptr: got a pointer"),
        (torch.zeros(1, 1).long(), torch.tensor([0.0, 1]), (3,), "ptr: got torch.float32"),
        (torch.zeros(1, 1).long(), torch.tensor([0, 1]), (0,), r"shape: got \(0,\)"),
        (torch.zeros(1, 5).long(), torch.tensor([0, 1]), (2,) * 5, "expected 1 to 4"),
        (torch.zeros(1, 2).long(), torch.tensor([0, 1]), (2**31, 2**31), "shape: got 1 events"),
    ],
)
def test_refuses_what_does_not_fit(cell, ptr, shape, message):
    with pytest.raises(ArgumentError, match=message):
        active_sites(cell, ptr, shape)


def test_helpers_agree_with_each_other():
    case = random_lattice((3, 4), 0.5)
    assert torch.equal(case.scatter(torch.ones(len(case.sites), 1))[:, 0].bool(), case.active)
    assert lattice(case.active).sites.ptr[1] == 0
