"""The CaloChallenge's protocol, cut down to a few fabricated showers."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest
from fabricated_showers import CELLS, fabricated_showers

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.images import shower_to_cloud
from pcgen.metrics import evaluate, protocols
from pcgen.metrics.scores.frechet import frechet_physics
from pcgen.metrics.scores.kernel import kernel_physics
from pcgen.metrics.scores.learners import BoostedTrees
from pcgen.metrics.showers import CALOCHALLENGE
from pcgen.schema import Quantity

FACTS = CALOCHALLENGE["2"]


def clouds(number, seed, **settings):
    showers = fabricated_showers(CELLS, number, seed=seed, **settings)
    return shower_to_cloud(showers.voxels, CELLS, y=showers.incident[:, None])


@pytest.fixture
def protocol(monkeypatch):
    """Small sets, and trees in the place of two layers of 2048."""
    monkeypatch.setattr(protocols, "calochallenge_classifier", lambda device: BoostedTrees())
    for build in (frechet_physics, kernel_physics):
        small = partial(lambda features, build, **sizes: build(features), build=build)
        monkeypatch.setattr(protocols, build.__name__, small)
    whole = protocols.calochallenge(CELLS, FACTS)
    return dataclasses.replace(whole, need=50)


def test_small_sets_are_refused_naming_the_need():
    events, protocol = clouds(20, 0), protocols.calochallenge(CELLS, FACTS)
    with pytest.raises(DataError, match="expected at least 100000 and 50000 for protocol calo"):
        evaluate(events, events, CELLS.schema, protocol=protocol)


def test_wider_showers_are_distinguished_from_real_ones_and_equal_ones_are_not(protocol):
    real = clouds(240, 0)
    results = [
        evaluate(real, clouds(120, 1, **settings), CELLS.schema, protocol=protocol, permutations=99)
        for settings in ({}, {"radius": 9.0})
    ]
    same, wide = ({s.name: s for s in result.scores} for result in results)
    assert same.keys() == wide.keys()
    assert {"FPD", "KPD", "AUC high", "AUC low", "precision", "coverage"} <= same.keys()
    assert min(s.p for s in same.values() if s.p is not None) > 0.01 / len(same)
    for name in ("FPD", "KPD", "AUC high", "AUC low"):
        assert wide[name].p <= 0.01, name


def test_axes_are_found_by_name_and_units_are_those_of_the_calorimeter(protocol):
    parts = protocol.parts[:1]
    separation = dataclasses.replace(protocol, parts=parts)
    sides = clouds(120, 0), clouds(60, 1)
    x, y, z = CELLS.schema.axes
    turned = [pc.replace(side, pos=side.pos[:, [2, 0, 1]]) for side in sides]
    schema = dataclasses.replace(CELLS.schema, axes=(z, x, y))
    results = [
        evaluate(*each, s, protocol=separation, permutations=0)
        for each, s in ((sides, CELLS.schema), (turned, schema))
    ]
    assert results[0].scores == results[1].scores
    for field, value, message in (
        ("axes", (x, y, Quantity("depth", "mm")), "axes of grid: got 'z'"),
        ("axes", (Quantity("x", "cm"), y, z), "axis 'x' of grid: got unit 'mm'"),
        ("weight", Quantity("energy", "GeV"), "weight: got unit 'GeV', expected energies in MeV"),
    ):
        other = dataclasses.replace(CELLS.schema, **{field: value})
        with pytest.raises(ArgumentError, match=message):
            evaluate(*sides, other, protocol=separation)
