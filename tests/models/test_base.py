"""Phases: what they accept and whom they train."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, Phase


def loss(clouds: Batch) -> dict[str, Tensor]:
    return {}


def test_parameters_are_listed_once() -> None:
    shared = nn.Linear(2, 2)
    phase = Phase("both", (nn.Sequential(shared, nn.Linear(2, 1)), shared), loss)
    assert len(phase.parameters()) == 4
    assert phase.parameters()[0] is shared.weight


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeat": 0}, "repeat of phase 'a': got 0"),
        ({"begin": 0.5, "end": 0.5}, "phase 'a': got begin 0.5 and end 0.5"),
        ({"begin": -0.1}, "got begin -0.1"),
        ({"end": 1.5}, "end 1.5"),
        ({"loss": None}, "phase 'a': got no loss"),
    ],
)
def test_phases_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Phase("a", (), **{"loss": loss, **options})


def test_a_model_must_say_its_phases_and_generate() -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (GenerativeModel,), {})()
