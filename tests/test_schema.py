from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import replace

import pytest

from pcgen.errors import ArgumentError, DataError
from pcgen.schema import FIELDS, Quantity, Schema

JETS = Schema(
    axes=(Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi, "$\\phi$")),
    weight=Quantity("pt", "GeV"),
    features=(Quantity("d0", "mm"), Quantity("charge", categories=("-1", "0", "1"))),
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


def test_the_fields_that_count_are_all_but_the_description():
    assert {*FIELDS, "description"} == {field.name for field in dataclasses.fields(Schema)}


def test_symbols_and_description_do_not_count():
    plain = replace(JETS, axes=(JETS.axes[0], replace(JETS.axes[1], symbol="")), description="")
    assert JETS.difference(plain) is None
    found = JETS.difference(plain, of=("description",))
    assert (found.field, found.expected, found.got) == ("description", "two classes", "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("axes", (JETS.axes[0], replace(JETS.axes[1], period=None))),
        ("axes", (JETS.axes[0], replace(JETS.axes[1], unit="deg"))),
        ("axes", JETS.axes[::-1]),
        ("weight", None),
        ("weight", Quantity("pt", "MeV")),
        ("features", ()),
        ("features", (JETS.features[0], Quantity("charge"))),
        ("features", (JETS.features[0], Quantity("charge", categories=("0", "-1", "1")))),
        ("condition", (Quantity("jet_pt", "GeV"), Quantity("jet_eta"))),
        ("labels", ("q", "g")),
        ("layers", ("ecal",)),
    ],
)
def test_the_first_field_that_differs_is_named_with_both_values(field, value):
    other = replace(JETS, **{field: value})
    found = JETS.difference(other)
    assert (found.field, found.expected, found.got) == (field, getattr(JETS, field), value)
    assert str(found).startswith(f"got {field} ")
    assert str(found).count("got ") == str(found).count("expected ") == 1
    others = [name for name in FIELDS if name != field]
    assert JETS.difference(other, of=others) is None


def test_a_message_states_what_differs():
    straight = replace(JETS, axes=(JETS.axes[0], replace(JETS.axes[1], period=None)))
    assert str(JETS.difference(straight)) == (
        "got axes eta_rel, phi_rel [rad], expected eta_rel, phi_rel [rad] with period 2pi"
    )
    assert str(JETS.difference(replace(JETS, weight=None))) == "got weight none, expected pt [GeV]"


def test_a_field_that_a_schema_does_not_have_is_refused():
    with pytest.raises(ArgumentError, match="of: got axis, expected some of"):
        JETS.difference(JETS, of=("axis",))


def test_categories_belong_to_features_have_different_names_and_are_stored_where_there_are_some():
    charge = JETS.features[1]
    for field in ("axes", "condition"):
        with pytest.raises(DataError, match="categories: got some for 'charge', expected"):
            replace(JETS, **{field: (charge,)})
    with pytest.raises(DataError, match="categories: got some for 'charge'"):
        replace(JETS, weight=charge)
    with pytest.raises(DataError, match=r"categories of 'c': got 0, 0, expected different"):
        Quantity("c", categories=("0", "0"))
    with pytest.raises(DataError, match="categories are 'abc', no list of names"):
        Schema.from_dict({"axes": [], "features": [{"name": "c", "categories": "abc"}]})
    stored = [set(each) for each in JETS.to_dict()["features"]]
    assert stored[1] - stored[0] == {"categories"}
    # Earlier versions of pcgen know no categories, and read what has none.
    assert "categories" not in json.dumps(replace(JETS, features=JETS.features[:1]).to_dict())
    found = JETS.difference(replace(JETS, features=(JETS.features[0], Quantity("charge"))))
    assert str(found) == "got features d0 [mm], charge, expected d0 [mm], charge of -1/0/1"
