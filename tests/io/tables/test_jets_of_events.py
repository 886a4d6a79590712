"""Jets of events, whose members are chosen by indices, beside a loop over them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_tables import InMemory, ragged

from pcgen.errors import ArgumentError, DataError
from pcgen.io.tables import from_words
from pcgen.io.tables.grouping import Jets
from pcgen.io.tables.table import Values
from pcgen.io.tables.terms import Cut

COLUMNS = from_words(
    {
        "pos": ["Cand_x"],
        "condition": ["Jet_pt:GeV", "run"],
        "members": {"jets": "Jet_", "owner": "Link_jet", "index": "Link_cand"},
    }
)


@st.composite
def rows(draw):
    """Events: points, momenta of jets, and links of both, some of which lead nowhere."""
    found = []
    for _ in range(draw(st.integers(1, 9))):
        points = draw(st.lists(st.integers(-50, 50), max_size=5))
        jets = draw(st.lists(st.integers(0, 9), max_size=3))
        jet = st.integers(-1, len(jets) - 1)
        point = st.integers(-1, len(points) - 1)
        links = draw(st.lists(st.tuples(jet, point), max_size=8))
        found.append((points, jets, links))
    return found


def table(events, chunk):
    return InMemory(
        {
            "Cand_x": ragged([points for points, _, _ in events]),
            "Jet_pt": ragged([jets for _, jets, _ in events], "i4"),
            "Link_jet": ragged([[jet for jet, _ in links] for *_, links in events], "i4"),
            "Link_cand": ragged([[point for _, point in links] for *_, links in events], "i4"),
            "run": Values(np.arange(len(events))),
        },
        chunk,
    )


def by_loops(events, least):
    """Momentum, run and points of each jet of at least that momentum."""
    found = []
    for run, (points, jets, links) in enumerate(events):
        for number, pt in enumerate(jets):
            members = [points[point] for jet, point in links if jet == number and point >= 0]
            if pt >= least:
                found.append((pt, run, members))
    return found


@given(events=rows(), chunk=st.integers(1, 4), block=st.integers(1, 5), least=st.integers(0, 10))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_members_of_jets_are_what_the_indices_choose(events, chunk, block, least):
    cuts = (Cut("Jet_pt", ">=", least),) if least else ()
    columns = dataclasses.replace(COLUMNS, where=cuts)
    jets = Jets(table(events, chunk), columns, columns.members)
    expected = by_loops(events, least)
    assert len(jets) == len(expected)
    found = []
    for start in range(0, len(jets), block):
        part = jets.read(start, min(start + block, len(jets)))
        x = part.points["Cand_x"]
        members = np.split(x.content, x.offsets[1:-1])
        rows = zip(part.clouds["Jet_pt"], part.clouds["run"], members, strict=True)
        found += [(int(pt), int(run), each.tolist()) for pt, run, each in rows]
    assert found == expected
    runs = jets.only("run").read(0, len(jets)).clouds["run"]
    assert runs.tolist() == [run for _, run, _ in expected]


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ([(0, 2)], "Link_cand of row 1 is 2, expected less than 2, the number of what it counts"),
        ([(0, 1), (1, 0)], "Link_jet of row 1 is 1, expected less than 1"),
    ],
)
def test_an_index_beyond_what_it_counts_names_the_row(links, message):
    events = [([], [], []), ([5, 6], [100], links)]
    jets = Jets(table(events, 3), COLUMNS, COLUMNS.members)
    with pytest.raises(DataError, match=message):
        jets.read(0, 1)


def test_lists_that_belong_to_nothing_are_refused():
    events = [([1, 2], [100], [(0, 1)])]
    members = COLUMNS.members
    columns = dataclasses.replace(
        COLUMNS, condition=from_words({"pos": ["a"], "condition": ["Cand_x"]}).condition
    )
    with pytest.raises(ArgumentError, match=r"column Cand_x is a list .*of the jets Jet_\.\.\."):
        Jets(table(events, 3), columns, members).read(0, 1)
    with pytest.raises(ArgumentError, match=r"got no column Tau_\.\.\., expected one of jets"):
        Jets(table(events, 3), COLUMNS, dataclasses.replace(members, jets="Tau_"))
    spoilt = InMemory({**table(events, 3)._values, "Link_jet": ragged([[0, 0]], "i4")})
    with pytest.raises(
        DataError, match="Link_cand of event 0 has 1 values, expected 2 as Link_jet"
    ):
        Jets(spoilt, COLUMNS, members).read(0, 1)
