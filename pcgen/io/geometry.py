"""Files that describe a calorimeter: the CaloChallenge's XML, lists of cells, and JSON.

A list of cells is an .npz file of numbers, L layers of up to n cells:

================= ========== =======================================================================
array             shape      values
================= ========== =======================================================================
x, y              [L, n]     centres
ncells            [L] whole  cells of each layer, its first ones; the rest of a row is padding
size              [L, n]     distances between opposite sides; without it there is ``type``
type              [L, n]     of the cells of the CMS HGCal challenge: 0 or 10 are hexagons of
                             0.806 cm, 1, 2, 11 and 12 of 1.209 cm; the size of others is the
                             distance to the nearest cell
unit              text       of x, y, size and depth; where it is missing cm, as in that challenge
depth             [L+1]      edges of the layers along z; where it is missing z counts layers
numbers           [L] whole  what the layers are called; where it is missing 0 to L - 1
================= ========== =======================================================================

The challenge's own geometry is a pickle, which is a program and not read here; its arrays ``xmap``,
``ymap``, ``ncells`` and ``type_map`` are those above.

Amram, Pedro et al., CMS HGCal calorimeter challenge, https://github.com/OzAmram/HGCalShowers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcgen.bounds import BYTES, TEXT, VOXELS, parse_json
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.grids import Calorimeter
from pcgen.io.atomic import atomic
from pcgen.io.columns import archived, array_names, npz
from pcgen.io.source import Array, existing_file
from pcgen.ops.neighbors import nearest_neighbors
from pcgen.units import factor

ENDINGS = (".xml", ".npz", ".json")
_ARRAYS = ("x", "y", "ncells", "size", "type", "unit", "depth", "numbers")
_PITCH = {0: 0.806, 1: 1.209, 2: 1.209}
"""Sizes of hexagons in cm, by the last digit of their type."""


def read_calorimeter(path: str | Path, particle: str | None = None) -> Calorimeter:
    """The calorimeter that a file describes, by its ending.

    Args:
        path: XML of the CaloChallenge (.xml), a list of cells (.npz), or JSON of
            :meth:`Calorimeter.to_dict` (.json).
        particle: Name of the particle in an XML file; None: the only one.

    Raises:
        ArgumentError: the ending is another one, or a particle is chosen where there is none.
        FileError: the file is missing, damaged, or describes no calorimeter.
    """
    ending = Path(path).suffix.lower()
    if ending == ".xml":
        return Calorimeter.from_xml(path, particle)
    if ending not in ENDINGS:
        raise ArgumentError(
            f"geometry: got {path}, expected one of the endings {', '.join(ENDINGS)}"
        )
    if particle is not None:
        raise ArgumentError(f"particle: got {particle!r}, but {path} describes no particles")
    return _of_json(path) if ending == ".json" else _of_cells(path)


def is_geometry(path: str | Path) -> bool:
    """Whether a file describes a calorimeter: by its ending, and of an .npz file by its arrays."""
    ending = Path(path).suffix.lower()
    if ending == ".npz":
        with npz(existing_file(path)) as archive:
            return {"x", "y", "ncells"} <= set(array_names(archive))
    return ending in ENDINGS


def write_calorimeter(
    path: str | Path, calorimeter: Calorimeter, particle: str | None = None
) -> None:
    """Describe a calorimeter in a file: XML of the CaloChallenge (.xml), or JSON (.json).

    Args:
        path: File.
        calorimeter: Of rings with equal angles, for XML; the depths are not part of it.
        particle: Name of the particle, for XML; None: ``"electron"``.

    Raises:
        ArgumentError: the ending is another one, or XML has no words for such cells.
        FileError: the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending not in (".xml", ".json"):
        raise ArgumentError(f"{path}: got the ending {ending!r}, expected .xml or .json")
    known = calorimeter.to_dict()
    if ending == ".json":
        text = json.dumps(known) + "\n"
    else:
        text = _as_xml(known, particle or "electron", path)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _as_xml(known: Mapping[str, Any], particle: str, path: str | Path) -> str:
    """The text of the XML file."""
    from xml.sax.saxutils import quoteattr  # no parser: it only writes

    if known["kind"] != "cylindrical" or not all(isinstance(n, int) for n in known["sectors"]):
        raise ArgumentError(f"{path}: got {known['kind']} cells, expected rings of equal angles")
    layers, last = [], -1
    for number, edges, sectors in zip(
        known["numbers"], known["r_edges"], known["sectors"], strict=True
    ):
        # The challenge's code counts layers by their place: those without voxels have an entry too.
        layers += [
            f'    <Layer id="{k}" r_edges="0" n_bin_alpha="1"/>' for k in range(last + 1, number)
        ]
        radii, last = ",".join(map(repr, edges)), number
        layers.append(f'    <Layer id="{number}" r_edges="{radii}" n_bin_alpha="{sectors}"/>')
    head = f"<Bins>\n  <Bin name={quoteattr(particle)}>"
    return "\n".join([head, *layers, "  </Bin>\n</Bins>\n"])


def _of_json(path: str | Path) -> Calorimeter:
    file = existing_file(path)
    TEXT.check(file.stat().st_size, str(path))
    try:
        data = parse_json(file.read_bytes())
        if not isinstance(data, dict):
            raise DataError(f"calorimeter: got a {type(data).__name__}, expected a dictionary")
        return Calorimeter.from_dict(data)
    except ValueError as error:  # DataError is one
        raise FileError(f"{path}: {error}") from error


def _of_cells(path: str | Path) -> Calorimeter:
    file = existing_file(path)
    with npz(file) as archive:
        names = array_names(archive)
        values = {name: archived(archive, name, file) for name in _ARRAYS if name in names}
    for name in ("x", "y", "ncells"):
        if name not in values:
            raise FileError(
                f"{path}: got the arrays {', '.join(names) or 'none'}, expected x, y and ncells "
                "among them"
            )
    rows, counts = values["x"], values["ncells"]
    if rows.ndim != 2 or counts.shape != rows.shape[:1] or counts.dtype.kind not in "iu":
        raise FileError(
            f"{path}: x has shape {rows.shape} and ncells {counts.shape} of {counts.dtype}, "
            "expected [L, n] and whole numbers [L]"
        )
    if len(counts) and not 0 < int(counts.min()) <= int(counts.max()) <= rows.shape[1]:
        raise FileError(
            f"{path}: ncells is {int(counts.min())} to {int(counts.max())}, expected 1 "
            f"to {rows.shape[1]}"
        )
    VOXELS.check(int(counts.sum()), str(path))
    for name in ("y", "size", "type"):
        if name in values and values[name].shape != rows.shape:
            raise FileError(f"{path}: {name} has shape {values[name].shape}, expected {rows.shape}")
    BYTES.check(8 * rows.size, str(path))
    unit = str(values["unit"].item()) if "unit" in values and values["unit"].size == 1 else "cm"
    try:
        scale = factor(unit, "mm", f"{path}: unit")
        return Calorimeter.cells(
            _cut(values["x"], counts, scale),
            _cut(values["y"], counts, scale),
            _sizes(values, counts, scale, path),
            numbers=values["numbers"].tolist() if "numbers" in values else (),
            depth=(values["depth"] * scale).tolist() if "depth" in values else (),
        )
    except (TypeError, ValueError) as error:
        raise FileError(f"{path}: {error}") from error


def _cut(values: Array, counts: Array, scale: float) -> list[list[float]]:
    """The cells of each layer in mm, without padding."""
    # Of a float32 the shortest decimal is kept, which takes a third of the letters in JSON.
    exact = values.dtype == np.float64
    wide = (values if exact else values.astype(np.str_).astype(np.float64)) * scale
    return [row[:count].tolist() for row, count in zip(wide, counts.tolist(), strict=True)]


def _sizes(
    values: Mapping[str, Array], counts: Array, scale: float, path: str | Path
) -> list[list[float]]:
    """Distances between opposite sides of the cells of each layer, in mm."""
    if "size" in values:
        return _cut(values["size"], counts, scale)
    if "type" not in values:
        raise FileError(f"{path}: got neither size nor type, expected one of the two")
    found = []
    for x, y, kinds, count in zip(
        values["x"], values["y"], values["type"], counts.tolist(), strict=True
    ):
        if kinds[:count].dtype.kind not in "iu":
            raise FileError(f"{path}: type is {kinds.dtype}, expected whole numbers")
        centres = torch.from_numpy(np.stack([x[:count], y[:count]], 1).astype(np.float64)) * scale
        near = nearest_neighbors(centres, centres, min(2, count)).squared[:, -1].sqrt().tolist()
        pitch = [
            10 * _PITCH.get(kind % 10, 0.0) * (0 <= kind < 20) for kind in kinds[:count].tolist()
        ]
        found.append([known or other for known, other in zip(pitch, near, strict=True)])
    return found
