"""Which options play a part in which conversion; one that would do nothing is refused."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcgen.errors import ArgumentError
from pcgen.formats import FORMATS, Kind

_WITHOUT = {
    "threshold": 0.0,
    "nan": "error",
    "jitter": False,
    "outside": "error",
    "missing": "error",
    "condition": [],
}
"""Options that are there without being given, and what they then are; all others are None."""

_PARTS = {
    "threshold": "unless images become clouds",
    "nan": "unless images become clouds",
    "jitter": "unless images become clouds",
    "outside": "unless clouds become images",
    "grid": "where clouds stay clouds, or where --geometry has the cells",
    "particles": "unless jets are written in JetNet's layout",
    "missing": "unless clouds are read",
    "dtype": "where images are written",
    "max_points": "where images are written",
    "geometry": "unless the source holds the CaloChallenge's showers",
    "particle": "without --geometry",
    "condition": "in .npy, which keeps the images alone",
    "labels": "in .npy, which keeps the images alone",
}


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("source", "target"), ((str, Path), "the path of a file")),
    **dict.fromkeys(
        ("grid", "weight", "labels", "geometry", "particle", "label"), ((str,), "text")
    ),
    **dict.fromkeys(
        ("max_points", "event", "particles", "block", "seed"),
        ((numbers.Integral,), "a whole number"),
    ),
    "threshold": ((numbers.Real,), "a number"),
    "jitter": ((bool,), "True or False"),
    **dict.fromkeys(("condition", "classes"), ((list, tuple), "a list of texts")),
}
_CHOICES = {
    "outside": ("error", "drop", "clip"),
    "nan": ("error", "unobserved"),
    "missing": ("error", "drop"),
    "dtype": ("float32", "float64"),
}


def check_kinds(given: Mapping[str, Any]) -> None:
    """Refuse values that are of another kind than an option takes; None is one that is not given.

    Raises:
        ArgumentError: naming the first such option, its value and what was expected.
    """
    needed = ("source", "target", "threshold", "jitter", "block", "seed", *list(_CHOICES)[:3])
    for name, value in given.items():
        if value is None and name not in needed:
            continue
        if name in _CHOICES and not (isinstance(value, str) and value in _CHOICES[name]):
            raise ArgumentError(f"{name}: got {value!r}, expected {' or '.join(_CHOICES[name])}")
        kinds, words = _KINDS.get(name, ((object,), ""))
        flag = isinstance(value, bool) and bool not in kinds and object not in kinds
        if flag or not isinstance(value, kinds) or value == "":
            raise ArgumentError(f"{name}: got {value!r}, expected {words}")
        if isinstance(value, list | tuple) and not all(isinstance(each, str) for each in value):
            raise ArgumentError(f"{name}: got {value!r}, expected {words}")


def check_options(source: Kind, target: str, **given: Any) -> None:
    """Refuse options that were given and would do nothing.

    Args:
        source: What is read.
        target: Format of what is written.
        given: Values of the options by name, of all that do not always play a part.

    Raises:
        ArgumentError: naming the first such option, and when it plays a part.
    """
    drawn = FORMATS[target].kind == "images"
    filling, showers = source != "clouds" and not drawn, source == "showers"
    plays = {
        "threshold": filling,
        "nan": filling,
        "jitter": filling and not showers,
        "outside": drawn and source == "clouds",
        "grid": (drawn or filling) and not showers,
        "particles": target == "jetnet",
        "missing": source == "clouds",
        "dtype": not drawn,
        "max_points": not drawn,
        "geometry": showers,
        "particle": showers and given["geometry"] is not None,
        "condition": target != "npy",
        "labels": target != "npy",
    }
    for name, used in plays.items():
        if not used and given[name] != _WITHOUT.get(name):
            raise ArgumentError(f"{name}: was given, but plays no part {_PARTS[name]}")
