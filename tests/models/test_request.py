"""What a user may ask for: handy forms become tensors that fit together, the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.models.request import Request, beyond, by_name, check_positive, in_turn, resolve
from pcgen.schema import Quantity, Schema

AXES = (Quantity("x", "mm"),)
SCHEMA = Schema(AXES, None, (), (Quantity("pt", "GeV"),), ("g", "q", "t"))
TWO = Schema(AXES, None, (), (Quantity("E", "GeV"), Quantity("angle", "rad")))
BARE = Schema(AXES)


def ask(schema: Schema = SCHEMA, **given: Any) -> Request:
    names = ("sizes", "y", "label", "number")
    return resolve(schema, *(given.get(name) for name in names), torch.device("cpu"))


def test_single_values_hold_for_all_clouds() -> None:
    request = ask(sizes=5, y=1000.0, label="t", number=3)
    assert request.sizes is not None
    assert request.sizes.tolist() == [5, 5, 5]
    assert request.y is not None
    assert request.y.tolist() == [[1000.0]] * 3
    assert request.label is not None
    assert request.label.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "given",
    [
        {"sizes": [1, 2]},
        {"y": [10.0, 20.0]},
        {"y": torch.tensor([[10.0], [20.0]])},
        {"label": ["g", "t"]},
        {"label": torch.tensor([0, 2]), "y": 10},
        {"sizes": torch.tensor([0, 0]), "number": 2},
    ],
)
def test_any_argument_may_say_how_many(given: dict[str, Any]) -> None:
    request = ask(**given)
    assert request.number == 2
    assert {n: v is not None for n, v in request._asdict().items() if n != "number"} == {
        n: n in given for n in ("sizes", "y", "label", "context")
    }


def test_conditions_of_several_columns() -> None:
    one = ask(TWO, y=[50.0, 0.1], number=2)
    assert one.y is not None
    assert one.y.shape == (2, 2)
    assert ask(TWO, y=[[50.0, 0.1], [60.0, 0.2], [70.0, 0.3]]).number == 3


def test_integers_are_good_conditions_and_no_clouds_a_good_number() -> None:
    request = ask(y=[1000, 2000])
    assert request.y is not None
    assert request.y.dtype == torch.get_default_dtype()
    empty = ask(sizes=[], label=[])
    assert empty.number == 0
    assert empty.label is not None
    assert empty.label.shape == (0,)


@pytest.mark.parametrize(
    ("schema", "given", "message"),
    [
        (SCHEMA, {}, "no number of clouds, expected number=1000"),
        (SCHEMA, {"number": -1}, "got -1 by number"),
        (SCHEMA, {"sizes": [1, 2], "y": [1.0, 2.0, 3.0]}, "got 2 by sizes, 3 by y"),
        (SCHEMA, {"sizes": [1, 2], "number": 1}, "got 2 by sizes, 1 by number"),
        (SCHEMA, {"sizes": [3, -1]}, "sizes: got -1"),
        (SCHEMA, {"sizes": [1.5]}, r"sizes: got torch.float32 \(1,\), expected integers"),
        (SCHEMA, {"sizes": "many"}, "sizes: got 'many', expected integers"),
        (SCHEMA, {"y": [float("nan")]}, "y: got [^ ]+ nan, expected a finite number"),
        (SCHEMA, {"y": "hot"}, "y: got 'hot', expected numbers"),
        (TWO, {"y": [1.0, 2.0, 3.0]}, r"y: got \(1, 3\), expected \[B, 2\] \(E, angle\)"),
        (SCHEMA, {"label": "b"}, "label: got 'b', expected one of g, q, t"),
        (SCHEMA, {"label": [0, 3]}, r"label: got values from 0 to 3, expected 0 to 2 \(g, q, t\)"),
        (BARE, {"label": 0}, "label: got a class, expected none"),
        (BARE, {"y": 1.0}, "y: got a condition, expected none"),
    ],
)
def test_what_cannot_be_requested_is_refused(
    schema: Schema, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        ask(schema, **given)


def test_words_of_the_command_mean_what_tensors_do() -> None:
    assert in_turn(SCHEMA, ["t", "g"], 5).tolist() == [2, 0, 2, 0, 2]
    assert in_turn(SCHEMA, ["t", "g"], None).tolist() == [2, 0]
    assert by_name(TWO, {"angle": 0.5, "E": 3}).tolist() == [[3.0, 0.5]]
    for bad, message in (
        (lambda: in_turn(SCHEMA, ["b"], 3), "classes: got b, expected some of g, q, t"),
        (lambda: in_turn(SCHEMA, "gq", 3), "classes: got 'gq', expected a list"),
        (lambda: in_turn(SCHEMA, ["g"], 3, label="t"), r"classes: got \['g'\] beside label"),
        (lambda: in_turn(BARE, ["g"], 3), "this model has no classes"),
        (lambda: by_name(TWO, {"E": 3}), r"condition: got E, expected .* E \[GeV\], angle \[rad\]"),
        (lambda: by_name(SCHEMA, {"pt": float("nan")}), "condition: got pt nan, expected a finite"),
        (lambda: by_name(SCHEMA, {"pt": 1.0}, y=2.0), "got both condition and y"),
    ):
        with pytest.raises(ArgumentError, match=message):
            bad()


def test_conditions_are_held_against_the_training_split() -> None:
    """Energies were positive in training and must be; angles had both signs and may be anything."""
    seen = torch.tensor([10.0, -1.0]), torch.tensor([20.0, 1.0])
    for energy in (0.0, -5.0):
        with pytest.raises(ArgumentError, match=f"E: got {energy:g} GeV, expected a positive"):
            check_positive(TWO, torch.tensor([[15.0, 0.0], [energy, 0.0]]), seen)
    check_positive(TWO, torch.tensor([[1e9, -3.0]]), seen)
    check_positive(TWO, torch.zeros(0, 2), seen)
    check_positive(TWO, torch.zeros(1, 2), None)
    assert beyond(TWO, torch.tensor([[10.0, -1.0], [20.0, 1.0]]), seen) == ""
    assert beyond(TWO, None, seen) == ""
    assert "angle: 3 rad is outside the -1 to 1 rad" in beyond(TWO, torch.tensor([[15.0, 3]]), seen)
    bare = Schema((), condition=(Quantity("eta"),))
    line = beyond(bare, torch.tensor([[3.0]]), (torch.tensor([-1.0]), torch.tensor([1.0])))
    assert line.startswith("eta: 3 is outside the -1 to 1 of the training split")
