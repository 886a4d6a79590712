"""The compiled loop that numbers cells, as Python too, against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sparse_lattices import lattices

from pcgen.ops._kernels.lattice_compiled import number as compiled
from pcgen.ops.lattice import number


@pytest.mark.parametrize("loop", [compiled, compiled.py_func])
@given(case=lattices(), gap=st.integers(0, 2), data=st.data())
def test_numbers_cells_as_torch_does(loop, case, gap, data):
    sites = case.sites
    cell = sites.cell.clone()
    if len(cell):
        row = data.draw(st.integers(0, len(cell) - 1))
        cell[row] += data.draw(st.integers(-2, 2))
    width = [size + gap for size in sites.shape]
    owner, key, fine = number(cell, sites.ptr, sites.shape, width)
    got = [torch.full_like(owner, -7) for _ in range(2)]
    given = cell.numpy(), sites.ptr.numpy(), np.array(sites.shape), np.array(width)
    assert loop(*given, *(each.numpy() for each in got)) == fine
    assert all(map(torch.equal, got, (owner, key)))
