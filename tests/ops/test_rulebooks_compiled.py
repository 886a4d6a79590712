"""The compiled search of rulebooks, as Python too, against torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.ops.rulebooks import search
from pcgen.ops.rulebooks_compiled import find


@pytest.mark.parametrize("loop", [find, find.py_func])
@given(
    keys=st.sets(st.integers(0, 40), max_size=15),
    shifts=st.lists(st.integers(-3, 20), max_size=4),
    cut=st.floats(0, 1),
)
def test_finds_what_a_dictionary_finds(loop, keys, shifts, cut):
    key = sorted(keys)
    row = {value: place for place, value in enumerate(key)}
    found = torch.full((len(shifts), len(key)), -7)
    arrays = torch.tensor(key, dtype=torch.long).numpy(), torch.tensor(shifts).long().numpy()
    middle = round(cut * len(key))
    for first, last in ((0, middle), (middle, len(key))):
        loop(*arrays, first, last, found.numpy())
    assert found.tolist() == [[row.get(value + shift, -1) for value in key] for shift in shifts]
    assert torch.equal(search(*map(torch.from_numpy, arrays)), found)
