"""Units: factors between those of one kind, and nothing else."""

from __future__ import annotations

import pytest

from pcgen.errors import ArgumentError
from pcgen.units import factor, known


@pytest.mark.parametrize("kind", ["energy", "length", "time"])
def test_factors_there_and_back_and_in_two_steps(kind):
    for first in known(kind):
        assert factor(first, first) == 1
        for second in known(kind):
            assert factor(first, second) * factor(second, first) == pytest.approx(1)
            for third in known(kind):
                both = factor(first, second) * factor(second, third)
                assert both == pytest.approx(factor(first, third))


@pytest.mark.parametrize(
    ("unit", "to", "expected"),
    [
        ("GeV", "MeV", 1e3),
        ("MeV", "GeV", 1e-3),
        ("cm", "mm", 10),
        ("m", "cm", 100),
        ("ns", "ps", 1e3),
    ],
)
def test_known_factors(unit, to, expected):
    assert factor(unit, to) == expected


@pytest.mark.parametrize(("unit", "to"), [("", "MeV"), ("J", "GeV"), ("mm", "MeV"), ("GeV", "")])
def test_what_cannot_be_converted_is_refused(unit, to):
    with pytest.raises(ArgumentError, match=f"axis x: got unit '{unit}', expected"):
        factor(unit, to, "axis x")
