"""The page of the metrics: its names exist, its table is the protocols'."""

from __future__ import annotations

import inspect
import re
from operator import attrgetter
from pathlib import Path
from typing import get_args

import pytest

import pcgen
from pcgen.grids import Calorimeter, Grid
from pcgen.io import JETS
from pcgen.metrics import protocols
from pcgen.metrics.showers import CALOCHALLENGE
from pcgen.tools.evaluate import FIXED, ProtocolName

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_function_named_is_there():
    names = set(re.findall(r"`(metrics\.[\w.]+)`", PAGE))
    assert len(names) > 50
    for name in names:
        found = attrgetter(name)(pcgen)
        known = callable(found) or inspect.ismodule(found) or found is CALOCHALLENGE
        assert known, name


def test_answers_to_inputs_have_their_row():
    assert re.search(r"^\| `conditional` \|.*\| 2 inputs, 1 answer to each \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", [n for n in get_args(ProtocolName) if n != "conditional"])
def test_every_protocol_has_its_row_with_its_needs(name):
    cell = Calorimeter.cylindrical([(0, 2, 4)], [1])
    made = {
        **FIXED,
        "pcgen": lambda: protocols.pcgen(JETS),
        "image": lambda: protocols.image(Grid.parse("eta_rel:-1:1:4,phi_rel:-1:1:4", JETS.axes)),
        "calochallenge": lambda: protocols.calochallenge(cell, CALOCHALLENGE["2"]),
    }
    protocol = made[name]()
    (row,) = re.findall(rf"^\| `{re.escape(name)}` \|.*$", PAGE, re.MULTILINE)
    *_, scores, _, needs, _ = (cell.strip() for cell in row.split("|"))
    assert needs == f"{2 * protocol.need:,} + {protocol.need:,}"
    for part in protocol.parts:
        size = f"{part.events:,} " if part.events else ""
        assert f"{size}× {part.batches}" in scores
    assert protocol.source in row
