"""The XML in which the CaloChallenge describes its calorimeters.

    <Bins> <Bin pid="22" name="photon"> <Layer id="0" r_edges="0,5,10" n_bin_alpha="10"/> ...

Radii are in mm; the sectors of a layer divide the full turn from -π into equal angles. A layer with
fewer than two edges has no voxels. Krause et al., CaloChallenge 2022, arXiv:2410.21611.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from pcgen.bounds import EDGES, VOXELS, regular_file, whole_number
from pcgen.errors import FileError, PcgenError

_BYTES = 2**24  # of a file; those of the CaloChallenge have some thousand


class Rings(NamedTuple):
    """One layer of a cylindrical calorimeter.

    Attributes:
        number: Its number in the file (``id``).
        edges: Radii between the rings, rising [R+1].
        sectors: Number of equal angles of each ring.
    """

    number: int
    edges: tuple[float, ...]
    sectors: int


def read_binning(path: str | Path, particle: str | None = None) -> list[Rings]:
    """The layers that have voxels, in the order of the file.

    Args:
        path: File.
        particle: Name of the particle whose calorimeter is wanted; None: the only one of the file.

    Raises:
        FileError: the file is missing, is no such XML or holds no such particle; names the line,
            the attribute, its value and what was expected. Document types, and with them entities,
            are refused.
    """
    file = regular_file(path)
    if file.stat().st_size > _BYTES:
        raise FileError(f"{path}: has {file.stat().st_size} bytes, expected at most {_BYTES}")
    reader = _Reader(file)
    try:
        reader.parser.Parse(file.read_bytes(), True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter: unknown encodings
        if isinstance(error, PcgenError):
            raise
        raise FileError(f"{path}: is no XML ({error}), expected <Bins> of the layers") from error
    return _chosen(reader.bins, particle, path)


class _Reader:
    """Collects the layers of each particle, element after element."""

    def __init__(self, path: Path) -> None:
        self.path, self.open, self.voxels = path, 0, 0
        self.bins: list[tuple[str, list[Rings]]] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.StartDoctypeDeclHandler = self.refuse

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        expected = ("Bins", "Bin", "Layer")[min(self.open, 2)]
        if tag != expected or self.open > 2:
            raise self._error(f"got <{tag}>, expected <{expected}>")
        if tag == "Bin":
            self.bins.append((self._value(attributes, "name"), []))
        elif tag == "Layer":
            self._layer(attributes)
        self.open += 1

    def end(self, tag: str) -> None:
        self.open -= 1

    def refuse(self, name: str, *_: object) -> None:
        raise self._error(f"got a document type {name!r}, expected none: it can define entities")

    def _layer(self, attributes: dict[str, str]) -> None:
        layers = self.bins[-1][1]
        last = layers[-1].number if layers else -1
        number = self._integer(attributes, "id", last + 1)
        sectors = self._integer(attributes, "n_bin_alpha", 1)
        text = self._value(attributes, "r_edges")
        try:
            edges = tuple(float(word) for word in text.split(","))
        except ValueError:
            edges = (math.nan,)
        rising = all(low < high for low, high in pairwise(edges))
        if not rising or not all(0 <= edge < math.inf for edge in edges):
            raise self._error(
                f"r_edges: got {text[:60]!r}, expected rising numbers ≥ 0 between commas"
            )
        EDGES.check(sectors, self._place("n_bin_alpha"))
        self.voxels += sectors * (len(edges) - 1)
        VOXELS.check(self.voxels, self._place("Layer"))
        layers.append(Rings(number, edges, sectors))

    def _integer(self, attributes: dict[str, str], name: str, least: int) -> int:
        text = self._value(attributes, name)
        value = whole_number(text)
        if value is None or not least <= value < 2**31:
            shown = text if len(text) < 40 else f"{text[:20]}... of {len(text)} letters"
            raise self._error(
                f"{name}: got {shown!r}, expected an integer of at least {least} and below 2^31"
            )
        return value

    def _value(self, attributes: dict[str, str], name: str) -> str:
        if name not in attributes:
            known = ", ".join(attributes) or "none"
            raise self._error(f"got the attributes {known}, expected {name} among them")
        return attributes[name]

    def _error(self, message: str) -> FileError:
        return FileError(self._place(message))

    def _place(self, what: str) -> str:
        return f"{self.path}, line {self.parser.CurrentLineNumber}: {what}"


def _chosen(
    bins: list[tuple[str, list[Rings]]], particle: str | None, path: str | Path
) -> list[Rings]:
    found = [layers for name, layers in bins if particle in (None, name)]
    names = ", ".join(name for name, _ in bins) or "none"
    if len(found) != 1:
        wanted = "one particle, or its name" if particle is None else f"{particle!r} once"
        raise FileError(f"{path}: got the particles {names}, expected {wanted}")
    layers = [layer for layer in found[0] if len(layer.edges) > 1]
    if not layers:
        raise FileError(f"{path}: got no layer of at least two r_edges, expected some")
    return layers
