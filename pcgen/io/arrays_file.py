"""Clouds as flat arrays of NumPy (.npz), for programs that read nothing else.

======== ================ ========================================================
array    shape            meaning (see :mod:`pcgen.clouds`)
======== ================ ========================================================
pos      [N, D]           coordinates of all points, cloud after cloud
ptr      [B+1]            first row of each cloud, and N
weight   [N]              what a point carries, where there is something
x        [N, F]           further point features, where there are any
layer    [N]              detector layer, where the geometry has several
cell     [N, D]           cell indices, on lattice clouds
y        [B, C] or [B]    condition of the cloud
label    [B]              class of the cloud, a whole number from 0 or a name
schema   text             JSON of :class:`pcgen.schema.Schema`; may be missing
attrs    text             JSON, whatever the writer wants remembered; may be missing
======== ================ ========================================================

Event b has the rows ``ptr[b]`` to ``ptr[b + 1]``. A file without a schema is read too: its axes are
x, y, z, its weight is called weight. The arrays are held in memory as a whole, in both directions;
pcgen's own file (.h5) and the point files are read and written in blocks.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.bounds import parse_json
from pcgen.errors import DataError, FileError, PcgenError
from pcgen.io.atomic import atomic
from pcgen.io.beside import beside
from pcgen.io.clouds_file import check_shape, checked_ptr
from pcgen.io.columns import archived, array_names, npz
from pcgen.io.image_source import floats
from pcgen.io.source import Array, CloudSink, CloudSource, arrays, existing_file
from pcgen.schema import Quantity, Schema

_TEXTS = ("schema", "attrs")
_OF_POINTS = convention.POINT_ATTRIBUTES
_WHOLE = ("layer", "cell")
_AXES = ("x", "y", "z")


class ArraysFile(CloudSource):
    """Clouds in an .npz file of flat arrays.

    Raises:
        FileError: the file is missing, damaged or lacks an array, or a shape does not fit.
        DataError: the pointers do not fit the points, or a condition or class cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        known = (*_OF_POINTS, *convention.CLOUD_ATTRIBUTES, "ptr", *_TEXTS)
        with npz(existing_file(path)) as archive:
            names = array_names(archive)
            self.passed_over = tuple(name for name in names if name not in known)
            values = {
                n: archived(archive, n, self.path) for n in dict.fromkeys(names) if n in known
            }
        for name in ("pos", "ptr"):
            if name not in values:
                raise FileError(
                    f"{path}: got the arrays {', '.join(names) or 'none'}, expected {name} among "
                    "them"
                )
        pos = values["pos"]
        if pos.ndim != 2 or not pos.shape[1]:
            raise FileError(f"{path}: pos has shape {pos.shape}, expected [N, D]")
        for name in (n for n in _OF_POINTS if n in values):
            check_shape(name, values[name], len(pos), pos.shape[1], self.path)
        self._ptr = checked_ptr(values["ptr"], len(pos), self.path)
        schema, self.attrs = _texts(values, self.path)
        found = beside(values, len(self), schema or _plain(values), self.path)
        assert found.schema is not None
        self.schema = found.schema
        self._values = {n: self._points(n, values[n]) for n in _OF_POINTS if n in values}
        clouds = {"y": found.y, "label": found.label}
        self._values |= {name: value for name, value in clouds.items() if value is not None}

    def __len__(self) -> int:
        return len(self._ptr) - 1

    def sizes(self) -> Tensor:
        """Number of points of each cloud [B]."""
        return torch.from_numpy(np.diff(self._ptr))

    def labels(self) -> Tensor | None:
        """Class of each cloud [B], None where they have none."""
        return self._values.get("label")

    def _points(self, name: str, value: Array) -> Tensor:
        if name in _WHOLE:
            return torch.from_numpy(value.astype(np.int64))
        return floats(value, self.path)

    def _read(self, start: int, stop: int) -> Batch:
        points = slice(int(self._ptr[start]), int(self._ptr[stop]))
        rows = {n: points if n in _OF_POINTS else slice(start, stop) for n in self._values}
        values = {name: value[rows[name]] for name, value in self._values.items()}
        sizes = torch.from_numpy(np.diff(self._ptr[start : stop + 1]))
        return convention.make(values.pop("pos"), sizes, **values)


class ArraysWriter(CloudSink):
    """Writes clouds as an .npz file of flat arrays; use it in a ``with`` statement.

    Args:
        path: File.
        schema: What the numbers mean.
        attrs: Further facts to store, anything that JSON can say.
    """

    def __init__(
        self, path: str | Path, schema: Schema, attrs: Mapping[str, Any] | None = None
    ) -> None:
        self.path, self.schema, self._attrs = Path(path), schema, dict(attrs or {})
        self._blocks: list[dict[str, Array]] = []

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary:
            yield
            if not self._blocks:
                self._append(convention.make(torch.zeros(0, len(self.schema.axes)), []))
            names = self._blocks[0]
            values = {n: np.concatenate([block[n] for block in self._blocks]) for n in names}
            sizes = values.pop("sizes")
            values["ptr"] = np.concatenate([np.zeros(1, np.int64), sizes.cumsum()])
            texts = {"schema": self.schema.to_dict(), "attrs": self._attrs}
            values |= {name: np.array(json.dumps(text)) for name, text in texts.items() if text}
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, value in values.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                        np.lib.format.write_array(file, value, allow_pickle=False)

    def _append(self, block: Batch) -> int:
        values = {**arrays(block), "sizes": convention.sizes(block).cpu().numpy()}
        if self._blocks and values.keys() != self._blocks[0].keys():
            raise DataError(
                f"{self.path}: got clouds with {', '.join(values)} behind clouds with "
                f"{', '.join(self._blocks[0])}, expected the same attributes in all"
            )
        self._blocks.append(values)
        return block.num_graphs


def _texts(values: Mapping[str, Array], path: Path) -> tuple[Schema | None, dict[str, Any]]:
    """The schema, None where there is none, and the facts."""
    try:
        found = {n: parse_json(str(values[n].item())) for n in _TEXTS if n in values}
        schema = Schema.from_dict(found["schema"]) if "schema" in found else None
        attrs = found.get("attrs", {})
        if not isinstance(attrs, dict):
            raise ValueError(f"attrs is {type(attrs).__name__}, not a dictionary")
    except (KeyError, TypeError, ValueError, PcgenError) as error:
        raise FileError(
            f"{path}: its schema cannot be read ({error}), expected what pcgen wrote, or none"
        ) from error
    return schema, attrs


def _plain(values: Mapping[str, Array]) -> Schema:
    """What arrays without a schema mean, as far as their shapes say it."""
    columns = values["pos"].shape[1]
    names = _AXES[:columns] + tuple(f"axis_{k}" for k in range(len(_AXES), columns))
    features = values["x"].shape[1] if "x" in values else 0
    layers = int(values["layer"].max(initial=-1)) + 1 if "layer" in values else 0
    return Schema(
        tuple(Quantity(name) for name in names),
        Quantity("weight") if "weight" in values else None,
        tuple(Quantity(f"x_{k}") for k in range(features)),
        layers=tuple(str(k) for k in range(layers)),
    )
