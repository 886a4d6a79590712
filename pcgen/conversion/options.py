"""Which options play a part in which conversion; one that would do nothing is refused."""

from __future__ import annotations

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
