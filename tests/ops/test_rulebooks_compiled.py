"""The compiled loops of rulebooks, as Python too, against torch's."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sparse_lattices import lattices

from pcgen.ops._kernels import rulebooks_compiled
from pcgen.ops._kernels.rulebooks_compiled import collect, find
from pcgen.ops.rulebooks import search_mirrored, submanifold
from pcgen.ops.rules import lay_out


@pytest.mark.parametrize(("loop", "gather"), [(find, collect), (find.py_func, collect.py_func)])
@given(
    keys=st.sets(st.integers(0, 40), max_size=15),
    shifts=st.lists(st.integers(-3, 20), max_size=4),
    cut=st.floats(0, 1),
)
def test_finds_what_a_dictionary_finds(loop, gather, keys, shifts, cut):
    key = sorted(keys)
    row = {value: place for place, value in enumerate(key)}
    found = torch.full((len(shifts), len(key)), -7)
    arrays = torch.tensor(key, dtype=torch.long).numpy(), torch.tensor(shifts).long().numpy()
    middle = round(cut * len(key))
    for first, last in ((0, middle), (middle, len(key))):
        loop(*arrays, first, last, found.numpy())
    assert found.tolist() == [[row.get(value + shift, -1) for value in key] for shift in shifts]
    *rules, number = map(torch.from_numpy, gather(found.numpy()))
    *others, counts = search_mirrored(*map(torch.from_numpy, arrays))
    assert counts == (found >= 0).sum(1).tolist() == number.tolist()
    assert all(map(torch.equal, rules, others))


@pytest.mark.parametrize("loop", [rulebooks_compiled.lay_out, rulebooks_compiled.lay_out.py_func])
@given(case=lattices((1, 3)), even=st.booleans(), first=st.integers(0, 3))
def test_lays_out_what_torch_lays_out(loop, case, even, first):
    rules = submanifold(case.sites, 3)
    counts, target = list(rules.counts), rules.target + first
    rows = [max(counts)] * len(counts) if even else counts
    begins = list(accumulate(rows, initial=0))
    expected = lay_out(rules.source, target, counts, begins, first, first + rules.outputs)
    got = [torch.full_like(one, -7) for one in expected]
    given = rules.source.numpy(), target.numpy(), np.array(counts), np.array(begins)
    loop(*given, first, *(one.numpy() for one in got))
    assert all(map(torch.equal, got, expected))
    assert len(got[2]) == begins[-1] - len(target)
