"""Columns as words: what each form is, and what is refused by name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pcgen.errors import ArgumentError
from pcgen.io.tables.terms import Cut, Layer, parse_terms, places
from pcgen.schema import Quantity


def term(word):
    (found,) = parse_terms("x", [word])
    return found.quantity, found.column, found.factor


@pytest.mark.parametrize(
    ("word", "quantity", "column", "factor"),
    [
        ("energy", Quantity("energy"), "energy", 1),
        ("energy:GeV", Quantity("energy", "GeV"), "energy", 1),
        ("energy [GeV]", Quantity("energy", "GeV"), "energy", 1),
        ("pt = part_pt : GeV", Quantity("pt", "GeV"), "part_pt", 1),
        ("pt=part_pt*0.001:GeV", Quantity("pt", "GeV"), "part_pt", 0.001),
        ("E=E * 1e-3 [GeV]", Quantity("E", "GeV"), "E", 0.001),
        ("phi:rad:2pi", Quantity("phi", "rad", 2 * math.pi), "phi", 1),
        ("phi:deg:360", Quantity("phi", "deg", 360), "phi", 1),
        ("charge:-1/0/1", Quantity("charge", categories=("-1", "0", "1")), "charge", 1),
        ("pdg=id:22/other", Quantity("pdg", categories=("22", "other")), "id", 1),
        ("curvature:1/mm", Quantity("curvature", "1/mm"), "curvature", 1),
        ("v:m/s", Quantity("v", "m/s"), "v", 1),
        ("pid=22", Quantity("pid"), "", 22),
        ("px=b[1:800:4]:GeV", Quantity("px", "GeV"), "b[1:800:4]", 1),
        ("C.position.x:mm", Quantity("C.position.x", "mm"), "C.position.x", 1),
        ("Muon#0.index", Quantity("Muon#0.index"), "Muon#0.index", 1),
    ],
)
def test_a_word_is_a_quantity_and_its_column(word, quantity, column, factor):
    assert term(word) == (quantity, column, factor)


def units(*words):
    return [each.quantity.unit for each in parse_terms("pos", words, shared=True)]


def test_a_unit_is_that_of_the_columns_before_it_unless_it_has_a_period():
    assert units("x,y,z:mm") == units("x", "y", "z:mm") == ["mm", "mm", "mm"]
    assert units("x,y:mm,t:ns") == ["mm", "mm", "ns"]
    assert units("x:mm,layer") == ["mm", ""]
    assert units("eta,phi:rad:2pi") == ["", "rad"]
    assert units("eta:,phi:rad") == ["", "rad"]
    assert [each.quantity.unit for each in parse_terms("x", ["n,t:ns"])] == ["", "ns"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a:b:c:d"], "x: got 'a:b:c:d', expected a column"),
        ([""], "x: got '', expected a column"),
        (["a=b=c"], "x: got 'a=b=c', expected a column"),
        (["22"], "x: got '22', expected a name for the number: pid=22"),
        (["phi:rad:never"], "expected a positive period"),
        (["phi:rad:-1"], "expected a positive period"),
        (["q:1/1"], "expected different kinds"),
        (["a", "a:mm"], "x: got the names a, a, expected different ones"),
    ],
)
def test_what_is_no_column_is_refused_with_the_option(words, message):
    with pytest.raises(ArgumentError, match=message):
        parse_terms("x", words)


@pytest.mark.parametrize("relation", ["<", "<=", "==", "!=", ">=", ">"])
def test_a_cut_keeps_what_compares_so_and_never_nan(relation):
    values = np.array([1.0, 2.0, np.nan, 3.0])
    cut = Cut.parse("where", f"E {relation} 2")
    expected = [bool(eval(f"{v} {relation} 2")) if v == v else False for v in values.tolist()]
    assert cut.kept(values).tolist() == expected


@pytest.mark.parametrize("text", ["E", "E > ", "E = 2", "> 2", "E > GeV", "E => 2"])
def test_what_is_no_cut_is_refused(text):
    with pytest.raises(ArgumentError, match=r"where: got .*expected a column, one of <, <=, =="):
        Cut.parse("where", text)


def test_a_layer_is_a_column_or_bits_of_one():
    assert Layer.parse("layer", "layer_id") == Layer("layer_id")
    assert Layer.parse("layer", "C.cellID:19:9") == Layer("C.cellID", 19, 9)
    for text in ("c:1", "c:1:0", "c:60:9", "c:a:b", ":1:2", "c:-1:2"):
        with pytest.raises(ArgumentError, match=r"layer: got .*expected a column of whole numbers"):
            Layer.parse("layer", text)


def test_places_of_a_column_are_those_of_python():
    assert places("b[3]") == ("b", 3)
    assert places("b[-1]") == ("b", -1)
    assert places("b[1:800:4]") == ("b", slice(1, 800, 4))
    assert places("b[:2]") == ("b", slice(None, 2))
    assert places("Tower.Edges") == ("Tower.Edges", None)
