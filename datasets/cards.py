"""Cards: YAML files with the response of a detector to particles, in the manner of Delphes.

``datasets/detectors/cms.yaml`` explains the fields. Every field must be there and no other; lists
of bands are read up to the first ``|eta|`` that is not smaller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pcgen.bounds import EDGES, TEXT, regular_file
from pcgen.errors import ArgumentError, FileError
from pcgen.plain_yaml import parse_yaml

FOLDER = Path(__file__).parent / "detectors"
SHIPPED = ("cms", "atlas")


class Efficiency(NamedTuple):
    """Of tracks up to ``eta``: ``efficiency[i]`` for pT above ``above[i]`` GeV, both rising."""

    eta: float
    above: tuple[float, ...]
    efficiency: tuple[float, ...]


class TrackResolution(NamedTuple):
    """σ(pT)/pT up to ``eta``: the root of constant² + (slope pT)²."""

    eta: float
    constant: float
    slope: float


class Tracks(NamedTuple):
    """How tracks of one kind of particle are found and measured."""

    efficiency: tuple[Efficiency, ...]
    resolution: tuple[TrackResolution, ...]


class TowerResolution(NamedTuple):
    """σ(E) up to ``eta``: ``shape``, a polynomial in ``|η|``, times the root of
    noise² + stochastic² E + (constant E)²."""

    eta: float
    noise: float
    stochastic: float
    constant: float
    shape: tuple[float, ...] = (1.0,)


class Towers(NamedTuple):
    """A calorimeter of towers.

    Attributes:
        threshold: Least energy of a tower in GeV.
        significance: Least energy of a tower in units of its σ.
        edges: ``|η|`` of the edges of its K rings, from 0 [K+1].
        sectors: Number of towers in each ring [K].
        resolution: Of their energies.
    """

    threshold: float
    significance: float
    edges: tuple[float, ...]
    sectors: tuple[int, ...]
    resolution: tuple[TowerResolution, ...]


@dataclass(frozen=True)
class Card:
    """The response of a detector.

    Attributes:
        name: Of the card: ``"cms"``, or the file's.
        field: Magnetic field along the beam in T.
        radius: Of the tracker in m, where the calorimeters begin.
        half_length: Half of its length in m.
        hadron: Tracks of charged hadrons.
        electron: Tracks of electrons.
        muon: Tracks of muons.
        ecal: Electromagnetic calorimeter.
        hcal: Hadronic calorimeter.
        data: What the file states.
    """

    name: str
    field: float
    radius: float
    half_length: float
    hadron: Tracks
    electron: Tracks
    muon: Tracks
    ecal: Towers
    hcal: Towers
    data: Mapping[str, Any]


def read_card(name: str | Path) -> Card:
    """A card by its name, or from a file.

    Args:
        name: ``"cms"``, ``"atlas"``, or a file ending in .yaml or .yml.

    Raises:
        ArgumentError: there is no such name.
        FileError: the file is missing or no such card; names the field, the value and what was
            expected.

    >>> card = read_card("cms")
    >>> card.field, len(card.hcal.sectors), sum(card.ecal.sectors[:170])
    (3.8, 40, 61200)
    """
    path = FOLDER / f"{name}.yaml" if name in SHIPPED else Path(name)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise ArgumentError(
            f"detector: got {str(name)!r}, expected {', '.join(SHIPPED)} or a file .yaml"
        )
    file = regular_file(path)
    TEXT.check(file.stat().st_size, str(path))
    try:
        data = parse_yaml(file.read_text(encoding="utf-8"))
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path}: is no YAML ({reason}), expected a card of a detector") from error
    return _card(path.stem, _Place(str(path), data))


class _Place:
    """A value of a card, and where it stands."""

    def __init__(self, where: str, value: Any) -> None:
        self.where, self.value = where, value

    def refuse(self, expected: str) -> FileError:
        shown = str(self.value)
        shown = shown if len(shown) < 60 else f"{shown[:57]}..."
        return FileError(f"{self.where}: got {shown}, expected {expected}")

    def fields(self, *names: str, optional: Sequence[str] = ()) -> list[_Place]:
        """The values of exactly these fields; an optional one that is not there is None."""
        value = self.value
        if not isinstance(value, dict) or not set(names) <= set(value) <= {*names, *optional}:
            got = ", ".join(map(str, value)) if isinstance(value, dict) else str(value)[:60]
            more = f" (and {', '.join(optional)})" if optional else ""
            raise FileError(f"{self.where}: got {got}, expected {', '.join(names)}{more}")
        colon = ": " if self.where.endswith((".yaml", ".yml")) else "."
        return [
            _Place(f"{self.where}{colon}{name}", value.get(name)) for name in (*names, *optional)
        ]

    def items(self) -> list[_Place]:
        """The values of a list that is not empty."""
        if not isinstance(self.value, list) or not self.value:
            raise self.refuse("a list")
        return [_Place(f"{self.where}[{k}]", value) for k, value in enumerate(self.value)]

    def number(self, low: float = 0.0, high: float = math.inf) -> float:
        """A finite number from ``low`` to ``high``."""
        value = self.value
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not low <= value <= high or not math.isfinite(value):
            most = "" if high == math.inf else f" to {high:g}"
            least = "a number" if low == -math.inf else f"a number from {low:g}"
            raise self.refuse(f"{least}{most}")
        return float(value)

    def whole(self) -> int:
        """A whole number from 1."""
        if type(self.value) is not int or self.value < 1:
            raise self.refuse("a whole number from 1")
        EDGES.check(self.value, self.where)
        return int(self.value)

    def numbers(self, low: float = 0.0, high: float = math.inf) -> tuple[float, ...]:
        """A list of numbers."""
        return tuple(item.number(low, high) for item in self.items())


def _card(name: str, place: _Place) -> Card:
    field, radius, half_length, tracks, towers = place.fields(
        "field", "radius", "half_length", "tracks", "towers"
    )
    hadron, electron, muon = map(_tracks, tracks.fields("hadron", "electron", "muon"))
    ecal, hcal = map(_towers, towers.fields("ECAL", "HCAL"))
    return Card(
        name,
        field.number(-100, 100),
        radius.number(1e-3),
        half_length.number(1e-3),
        hadron,
        electron,
        muon,
        ecal,
        hcal,
        place.value,
    )


def _tracks(place: _Place) -> Tracks:
    efficiencies, resolutions = place.fields("efficiency", "resolution")
    bands = []
    for item in efficiencies.items():
        eta, above, efficiency = item.fields("eta", "above", "efficiency")
        limits, values = above.numbers(), efficiency.numbers(0, 1)
        if len(limits) != len(values) or not _rising(limits):
            raise above.refuse(f"{len(values)} rising numbers, as many as efficiencies")
        bands.append(Efficiency(eta.number(), limits, values))
    widths = [
        TrackResolution(*(each.number() for each in item.fields("eta", "constant", "slope")))
        for item in resolutions.items()
    ]
    _check_bands(efficiencies, bands)
    _check_bands(resolutions, widths)
    return Tracks(tuple(bands), tuple(widths))


def _towers(place: _Place) -> Towers:
    threshold, significance, cells, resolutions = place.fields(
        "threshold", "significance", "cells", "resolution"
    )
    widths = []
    for item in resolutions.items():
        eta, noise, stochastic, constant, shape = item.fields(
            "eta", "noise", "stochastic", "constant", optional=("shape",)
        )
        polynomial = (1.0,) if shape.value is None else shape.numbers(-math.inf)
        terms = noise.number(), stochastic.number(), constant.number()
        widths.append(TowerResolution(eta.number(), *terms, polynomial))
    _check_bands(resolutions, widths)
    edges, sectors = _rings(cells)
    return Towers(threshold.number(), significance.number(), edges, sectors, tuple(widths))


def _rings(cells: _Place) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges of all rings, and how many towers each has."""
    edges, sectors = [0.0], []
    for item in cells.items():
        if isinstance(item.value, dict) and "edges" in item.value:
            given, towers = item.fields("edges", "sectors")
            new = given.numbers()
        else:
            eta, number, towers = item.fields("eta", "number", "sectors")
            low, high, count = edges[-1], eta.number(), number.whole()
            new = tuple(low + (high - low) * k / count for k in range(1, count + 1))
        edges += new
        sectors += [towers.whole()] * len(new)
        if not _rising(edges):
            raise item.refuse(f"rising |eta| beyond {edges[-len(new) - 1]:g}")
    return tuple(edges), tuple(sectors)


def _check_bands(place: _Place, bands: Sequence[Any]) -> None:
    etas = [band.eta for band in bands]
    if not _rising(etas):
        raise FileError(f"{place.where}: got eta {etas}, expected rising ones")


def _rising(values: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(values))
