"""A small sound file of every layout that pcgen reads: what the fuzzer starts from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from pcgen import clouds, io
from pcgen.grids import Calorimeter, Grid
from pcgen.io import pcd, showerdata
from pcgen.io.points import to_table
from pcgen.recipes import RECIPES
from pcgen.schema import Quantity, Schema
from pcgen.training import checkpoint, weights

FILES = {
    "clouds": "input.h5",
    "jetnet": "input.hdf5",
    "images": "input.h5",
    "calochallenge": "input.hdf5",
    "showerdata": "input.h5",
    "hgcal": "input.h5",
    "calogan": "input.hdf5",
    "caloclouds": "input.hdf5",
    "cells": "input.npz",
    "npy": "input.npy",
    "shapenet": "input.npy",
    "off": "input.off",
    "npz": "input.npz",
    "arrays": "input.npz",
    "png": "input.png",
    "ply": "input.ply",
    "ply_text": "input.ply",
    "pcd": "input.pcd",
    "pcd_text": "input.pcd",
    "pcd_packed": "input.pcd",
    "xyz": "input.xyz",
    "xyz_commas": "input.xyz",
    "xml": "input.xml",
    "table_csv": "input.csv",
    "table_npz": "input.npz",
    "table_hdf5": "input.h5",
    "table_root": "input.root",
    "table_rntuple": "input.root",
    "table_parquet": "input.parquet",
    "hepmc": "input.hepmc",
    "preset": "input.yaml",
    "columns": "input.csv",
    "conditions_csv": "input.csv",
    "conditions_npy": "input.npy",
    "conditions_npz": "input.npz",
    "config": "input.yaml",
    "run": "config.json",
    "checkpoint": "input.ckpt",
    "weights": "input.safetensors",
}
"""Each reader, and the name of its file."""

HDF5 = (
    "clouds", "jetnet", "images", "calochallenge", "showerdata", "hgcal", "calogan", "caloclouds",
    "table_hdf5",
)  # fmt: skip
SCHEMA = Schema(
    (Quantity("x", "mm"), Quantity("phi", "rad", 6.5)),
    Quantity("E", "GeV"),
    (Quantity("t", "ns"),),
    (Quantity("beam", "GeV"),),
    ("e", "pi"),
)
GRID = Grid.regular({"x": (0, 1, 4), "y": (0, 1, 5)})
NAMES = tuple(showerdata.PARTICLES.values())
RECIPE, ARGUMENTS = "points-flow", {"encoder": "pointnet", "hidden": 4}
_TEXTS = {
    "xml": """<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,5,10" n_bin_alpha="3"/>
        <Layer id="1" r_edges="0" n_bin_alpha="1"/></Bin></Bins>""",
    "off": "OFF4 4 6\n0 0 0\n1 0 0\n0 1 0\n0 0 2\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3 9 9 9\n",
    "xyz_commas": '"x [mm]"; y; E [GeV]\n1,5; 2; 3,25\n-0,5; 1e2; 4\n0; 0; 1,0\n',
    "table_csv": "event,x,y,E,kind\n7,1.5,0,1,1\n7,2.5,-1,2,-1\n9,1e3,4,0.5,0\n12,0,0,3,1\n",
    "preset": """about: hits of a stack
collection: Hits
momentum: ["{collection}.px", "{collection}.py", "{collection}.pz*0.001:GeV"]
pos: [x, "phi:rad:2pi"]
x: ["q=charge:-1/0/1", kind: {photon: isPhoton, electron: isElectron}]
condition: [beam:GeV]
where: [x > 0, "pt >= 1"]
members: {jets: Jet_, owner: owner, index: index}
axis: [a, b]
either: [{label: kind, classes: [e, pi]}, {layer: "cell:3:5"}]
""",
    "columns": "energy,kind,number\n1.5,pi,3\n2.5,e,1\n1e3,pi,7\n",
    "conditions_csv": "beam,class,points\n1.5,pi,3\n2.5,e,0\n1e3,pi,7\n",
    "config": """source: a.h5
number: 5
share: 0.25
raw: true
kind: full
names: [e, "pi"]
cells: [1, 2, 3]
condition: {beam: 10.5}
phases:
  critic: &rates {lr: 0.5, betas: [0.1, 0.9]}
  other: *rates
""",
}


def sample(reader: str, folder: Path) -> bytes:
    """A sound file of the layout."""
    path = folder / f"sound-{FILES[reader]}"
    if reader in _TEXTS:
        return _TEXTS[reader].encode()
    if reader.startswith("table") or reader == "hepmc":
        return _table(reader, path)
    if reader in ("clouds", "arrays", "ply_text", "ply", "pcd", "pcd_text", "pcd_packed", "xyz"):
        return _points(reader, path)
    if reader in ("npz", "images", "png"):
        _pictures(reader, path)
    elif reader == "showerdata":
        _hits(path)
    elif reader == "calochallenge":
        rings = Calorimeter.cylindrical([(0, 1, 2), (0, 5)], [4, 1])
        with io.ShowerWriter(path, rings, {"seed": 1}) as writer:
            writer.append(io.Images(torch.ones(3, 9), torch.ones(3, 1)))
    elif reader == "cells":
        np.savez(path, **CELLS, unit=np.array("cm"))
    elif reader in HDF5:
        _others(reader, path)
    elif reader == "shapenet":
        np.save(path, np.ones((6, 3), np.float32))
    elif reader == "npy":
        np.save(path, np.ones((3, 4, 5), np.float32))
    elif reader == "conditions_npy":
        np.save(path, np.array([(1.5, "e", 3), (2.5, "pi", 0)], _ROW))
    elif reader == "conditions_npz":
        rows = np.array([(1.5, "e", 3), (2.5, "pi", 0)], _ROW)
        np.savez(path, **{name: rows[name] for name in ("beam", "class", "points")})
    elif reader == "run":
        path.write_text(json.dumps(_run()))
    else:
        model = RECIPES[RECIPE](**ARGUMENTS)
        state = checkpoint_of(model.state_dict(), model.schema)
        if reader == "weights":
            weights.write(path, model, state)
        else:
            checkpoint.write(path, state)
    return path.read_bytes()


_ROW = [("beam", "f8"), ("class", "U2"), ("points", "i4")]


def checkpoint_of(state: dict[str, torch.Tensor], schema: Schema) -> checkpoint.Checkpoint:
    """A checkpoint of a model that was not trained; its config knows what the state holds."""
    phase = {"optimiser": {"state": {0: {"step": torch.tensor(3.0)}}}, "average": None}
    random = {"torch": torch.arange(20, dtype=torch.uint8), "python": (3, (1, 2), None)}
    return checkpoint.Checkpoint(
        RECIPE, dict(ARGUMENTS), schema.to_dict(), state, {"fit": phase}, 3, 18, ["standardize"],
        None, {"fit/loss": [1.5, 3]}, 0.25, {}, [random], {"total": total(state), "data": ["a.h5"]},
    )  # fmt: skip


def total(state: dict[str, torch.Tensor]) -> str:
    """All numbers of a state, in one."""
    return str([(name, value.double().sum().item()) for name, value in sorted(state.items())])


def _run() -> dict[str, Any]:
    machine = {"accelerator": "cpu", "devices": 1}
    return {
        "recipe": RECIPE, "arguments": dict(ARGUMENTS), "data": ["a.h5", "b.h5"], "events": 10,
        "batch_size": 5, "steps": 100, "seed": 1, "phases": {"critic": {"lr": 0.5}}, "ema": 0.5,
        "optimiser": {"lr": 0.1, "betas": [0.5, 0.9]}, "machine": machine,
        "reports": {"log_every": 10, "keep": 0}, "samples": 10,
    }  # fmt: skip


def _points(reader: str, path: Path) -> bytes:
    several = reader in ("clouds", "arrays")
    points = 3 if several else 6
    batch = clouds.make(
        torch.rand(points, 2).double().float(),
        [2, 1] if several else [6],
        weight=torch.rand(points),
        x=torch.rand(points, 1),
        y=torch.ones(2 if several else 1, 1),
        label=torch.tensor([1, 0] if several else [1]),
    )
    io.write_clouds(path, batch, SCHEMA, format="arrays" if reader == "arrays" else None)
    text = to_table(batch, SCHEMA) if reader.endswith("_text") else None
    if reader == "ply_text" and text is not None:
        return _ply_text(text)
    if reader == "pcd_text" and text is not None:
        wide = {name: column.astype("f8") for name, column in text.columns.items()}
        pcd.write(path, text._replace(columns=wide))
    return _packed(path) if reader == "pcd_packed" else path.read_bytes()


def _pictures(reader: str, path: Path) -> None:
    schema = Schema(GRID.axes, Quantity("E"), condition=(Quantity("T"),), labels=("e", "pi"))
    count = 1 if reader == "png" else 3
    with io.image_writer(path, count, GRID, schema, format=reader) as sink:
        label = torch.arange(count) % 2
        sink.append(io.Images(torch.ones(count, 4, 5), torch.ones(count, 1), label))


CELLS = {
    "x": np.array([[0, 1, 2], [0, 5, 0]], np.float32),
    "y": np.array([[0, 0, 1], [0, 0, 0]], np.float32),
    "ncells": np.array([3, 2], np.int32),
    "type": np.array([[0, 1, 12], [20, 1, -1]], np.int16),
}
SHOWERS: dict[str, dict[str, Any]] = {
    "hgcal": {"showers": np.ones((3, 2, 4), np.float32), "gen_info": np.ones((3, 3), np.float32)},
    "calogan": {
        "energy": np.ones((3, 1)),
        "layer_0": np.ones((3, 3, 96)),
        "layer_1": np.ones((3, 12, 12)),
        "layer_2": np.ones((3, 12, 6)),
    },
    "caloclouds": {"events": np.eye(3, 5)[:, :, None] * np.ones(4), "energy": np.ones((3, 1))},
}
"""Data sets of the layouts of showers."""


def _others(reader: str, path: Path) -> None:
    with h5py.File(path, "w") as file:
        if reader in SHOWERS:
            file.update(SHOWERS[reader])
        else:
            particles = np.zeros((3, 4, 4), np.float32)
            particles[:, :2] = 1
            file["particle_features"] = particles
            file["jet_features"] = np.full((3, 4), 2, np.float32)
            file["label"] = [0, 1, 4]


def _hits(path: Path) -> None:
    batch = clouds.make(
        torch.tensor([[1.0, 2.0, 0.5], [3.0, -4.0, 2.5], [0.0, 1.0, 1.5]]),
        [2, 0, 1],
        weight=torch.ones(3),
        y=torch.ones(3, 4),
        label=torch.tensor([2, 0, 2]),
    )
    io.write_clouds(
        path, batch, dataclasses.replace(showerdata.HITS, labels=NAMES), format="showerdata"
    )


def _table(reader: str, path: Path) -> bytes:
    """Three events of two, none and one point, with a number for each event."""
    sizes = [2, 0, 1]
    lists = {"x": np.arange(3.0), "y": np.ones(3, "f4"), "E": np.full(3, 0.5), "kind": [1, -1, 0]}
    values = {name: np.array(each) for name, each in lists.items()}
    beam = np.array([1.5, 2.5, 3.5])
    if reader == "hepmc":
        batch = clouds.make(torch.rand(3, 2), sizes, weight=torch.rand(3) + 0.1)
        io.write_clouds(path, clouds.replace(batch, y=torch.ones(3, 1)), io.JETS)
    elif reader == "table_npz":
        np.savez(path, **values, beam=beam, offsets=[0, 2, 2, 3])
    elif reader == "table_hdf5":
        with h5py.File(path, "w") as file:
            for name, each in values.items():
                file.create_dataset(name, data=each, compression="gzip", chunks=(2,))
            file["beam"], file["offsets"] = beam, [0, 2, 2, 3]
    else:
        _jagged(reader, path, values, sizes, beam)
    return path.read_bytes()


def _jagged(reader: str, path: Path, values: dict[str, Any], sizes: list[int], beam: Any) -> None:
    import awkward
    import uproot
    from pyarrow import parquet as arrow_parquet
    from pyarrow import table

    lists = {name: awkward.unflatten(each, sizes) for name, each in values.items()}
    if reader == "table_parquet":
        columns = {name: each.tolist() for name, each in lists.items()}
        arrow_parquet.write_table(table({**columns, "beam": beam}), path, row_group_size=2)
        return
    with uproot.recreate(path) as file:
        if reader == "table_rntuple":
            file.mkrntuple("events", {**lists, "beam": beam})
            return
        kinds = {name: f"var * {each.dtype}" for name, each in values.items()}
        file.mktree("events", {**kinds, "beam": beam.dtype}).extend({**lists, "beam": beam})


def _ply_text(table: Any) -> bytes:
    lines = ["ply", "format ascii 1.0", *(f"comment {each}" for each in table.comments)]
    lines += [f"element vertex {table.rows}", *(f"property float {name}" for name in table.columns)]
    rows = zip(*(column.tolist() for column in table.columns.values()), strict=True)
    return "\n".join(
        [*lines, "end_header", *(" ".join(map(str, row)) for row in rows), ""]
    ).encode()


def _packed(path: Path) -> bytes:
    """The binary file as one of LZF literals, field by field."""
    data = path.read_bytes()
    head, _, body = data.partition(b"DATA binary\n")
    columns = np.frombuffer(body, "<f4").reshape(6, -1).T.tobytes()
    runs = [columns[place : place + 32] for place in range(0, len(columns), 32)]
    packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
    sizes = np.array([len(packed), len(columns)], "<u4").tobytes()
    return head + b"DATA binary_compressed\n" + sizes + packed
