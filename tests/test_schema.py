from __future__ import annotations

import json
import math

import pytest

from pcgen.errors import DataError
from pcgen.schema import Quantity, Schema

JETS = Schema(
    axes=(Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi, "$\\phi$")),
    weight=Quantity("pt", "GeV"),
    features=(Quantity("charge"),),
    condition=(Quantity("jet_pt", "GeV"),),
    labels=("g", "q"),
    layers=("ecal", "hcal"),
    description="two classes",
)


def test_survives_json():
    assert Schema.from_dict(json.loads(json.dumps(JETS.to_dict()))) == JETS
    bare = Schema((Quantity("x"),))
    assert Schema.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare


def test_periods_follow_the_axes():
    assert JETS.periods == (None, 2 * math.pi)


def test_labels_state_units():
    assert JETS.axes[1].label == "$\\phi$ [rad]"
    assert Quantity("charge").label == "charge"


@pytest.mark.parametrize("data", [{}, {"axes": [{"nom": "x"}]}, {"axes": [], "colour": 1}])
def test_a_foreign_dictionary_is_refused(data):
    with pytest.raises(DataError, match="expected the fields of Schema"):
        Schema.from_dict(data)


@pytest.mark.parametrize("period", [0.0, -1.0, math.inf, math.nan])
def test_a_period_is_positive(period):
    with pytest.raises(DataError, match="expected a positive number"):
        Quantity("phi", period=period)
