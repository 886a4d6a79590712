"""Changes within the structure of a file: HDF5, zip archives, JSON, pictures, checkpoints."""

from __future__ import annotations

import dataclasses
import io as bytes_io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import mutations
import numpy as np
import safetensors.torch
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pcgen.recipes import RECIPES
from pcgen.training import checkpoint, weights

VALUES = (None, True, -1, 0, 0.5, 2**31, 2**63, 2**70, 1e300, float("nan"), "", "x", [], [[]], {})


def json_within(data: bytes, dice: random.Random) -> bytes:
    """A file with a line of JSON in it."""
    start = data.index(b'{"')
    stop = data.find(b"\n", start) if b"\n" in data[start:] else len(data)
    return data[:start] + json_of(data[start:stop].decode(), dice).encode() + data[stop:]


def json_of(text: str, dice: random.Random) -> str:
    """JSON with one value replaced, missing or buried."""
    value = json.loads(text)
    chance = dice.random()
    place, key = _somewhere(value, dice)
    if chance < 0.2:
        del place[key]
    else:
        place[key] = dice.choice(VALUES)
    deep = dice.choice(("[" * 40_000, "[" * 500 + "]" * 500, "9" * 5000, text[:-5]))
    return deep if chance > 0.9 else json.dumps(value)


def _somewhere(value: Any, dice: random.Random) -> tuple[Any, Any]:
    """A list or dictionary within a value, and a place in it."""
    place = value
    while True:
        key = dice.choice(list(place) if isinstance(place, dict) else list(range(len(place))))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or dice.random() < 0.3:
            return place, key
        place = inner


def _picture(data: bytes, dice: random.Random) -> bytes:
    """A picture of another kind, or with another text."""
    with Image.open(bytes_io.BytesIO(data)) as picture:
        grey, text = np.array(picture), picture.text["pcgen"]
    info = PngInfo()
    info.add_text("pcgen", json_of(text, dice))
    kind = dice.choice(("L", "I;16", "I;16", "RGB", "1"))
    image = Image.fromarray(grey) if kind == "I;16" else Image.new(kind, (4, 5))
    target = bytes_io.BytesIO()
    image.save(target, format="PNG", pnginfo=info)
    return target.getvalue()


def _archive(data: bytes, dice: random.Random) -> bytes:
    """A zip with one member renamed, damaged, doubled or packed otherwise."""
    target = bytes_io.BytesIO()
    with zipfile.ZipFile(bytes_io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        chosen = dice.choice(old.namelist())
        method = old.infolist()[0].compress_type
        for name in old.namelist():
            value, way = old.read(name), method
            if name == chosen:
                action = dice.randrange(5)
                if action == 0:
                    name = dice.choice(("image", "../image.npy", "y.npy.npy", "ÿ.npy", "a\nb.npy"))
                elif action == 1:
                    way = dice.choice((zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED))
                elif action == 2:
                    value = bytes(10**6)
                else:
                    value = dice.choice(mutations.BYTES)(value, dice)
            new.writestr(name, value, way)
    return target.getvalue()


def _checkpoint(data: bytes, dice: random.Random) -> bytes:
    """A checkpoint whose archive is sound and whose values are others."""
    content = torch.load(bytes_io.BytesIO(data), weights_only=True)
    packed = dice.random() < 0.15
    if not packed:
        change = dice.choice((_other_arguments, _other_arguments, _other_tensor, _other_value))
        change(content, dice)
    if isinstance(content.get("config"), dict) and isinstance(content.get("model"), dict):
        content["config"]["total"] = None  # what was changed on purpose is no silent change
    target = bytes_io.BytesIO()
    torch.save(content, target)
    return _archive(target.getvalue(), dice) if packed else target.getvalue()


def _weights(data: bytes, dice: random.Random) -> bytes:
    """Weights with their tensors, whose header states something else."""
    stop = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:stop])
    content = json.loads(header["__metadata__"]["pcgen"])
    del content["config"]["total"]  # what is changed on purpose is no silent change
    # Of version 1, whose digest is that of the tensors alone.
    content |= {"version": 1, "digest": weights._digest(safetensors.torch.load(data))}
    action = dice.randrange(3)
    if action == 0:
        _other_arguments(content, dice)
    described = json.dumps(content)
    header["__metadata__"]["pcgen"] = json_of(described, dice) if action == 1 else described
    text = json_of(json.dumps(header), dice) if action == 2 else json.dumps(header)
    return len(text.encode()).to_bytes(8, "little") + text.encode() + data[stop:]


def _other_arguments(content: dict[str, Any], dice: random.Random) -> None:
    """Another recipe, or one of its arguments: more layers than can be built, say."""
    if dice.random() < 0.3:
        content["recipe"] = dice.choice(
            (*RECIPES, "os.system", "json:loads", None, "", "x" * 10**5)
        )
    names = ("hidden", "layers", "latent_dim", "encoder", "neighbours", "pooling", "list_length",
             "schema", "grid", "channels", "components", "width", "beta", "integration_steps",
             "reconstruction", "network", "no such")  # fmt: skip
    large = (10**4, 10**6, 10**9, 2**40, 2**70, -(10**9), 1e9, [10**9], "9" * 5000)
    texts = ("list", "edgeconv", "pointnet", "attention", "eta_rel:0:1:1000000,phi_rel:0:1:1000000",
             ["max"] * 10**4, content["schema"], {"axes": [{"name": "x"}] * 5000})  # fmt: skip
    for _ in range(dice.choice((1, 1, 2, 3))):
        content["arguments"][dice.choice(names)] = dice.choice((*large, *texts, *VALUES))


def _other_tensor(content: dict[str, Any], dice: random.Random) -> None:
    """A tensor of another shape, type or layout, or with more numbers than bytes."""
    name = dice.choice(list(content["model"]))
    old = content["model"].pop(name)
    ways: tuple[Callable[[], Any], ...] = (
        lambda: torch.zeros(1).expand(10**12),
        lambda: torch.zeros(()).expand(old.shape),
        lambda: torch.empty(10**12, device="meta"),
        lambda: torch.zeros(0, *old.shape),
        lambda: torch.zeros(old.shape).to_sparse(),
        lambda: torch.sparse_coo_tensor([[0]], [1.0], (10**15,)),
        lambda: old.to(torch.complex64),
        lambda: old.to(torch.float16),
        lambda: torch.full(old.shape, float("nan")),
        lambda: old.long(),
        lambda: torch.nn.Parameter(old.double()),
        lambda: old.tolist(),
        lambda: None,
    )
    if dice.random() < 0.8:
        content["model"][dice.choice((name, name, name, "x.y", 3))] = dice.choice(ways)()


def _other_value(content: dict[str, Any], dice: random.Random) -> None:
    """Any value missing or replaced, by values within values and ones without end too."""
    many: Any = []
    for _ in range(60):
        many = [many, many]
    circle: list[Any] = []
    circle.append(circle)
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    values = (*VALUES, many, many, circle, deep, torch.ones(2), {1: 2}, {"x": torch.ones(1)}, b"x")
    names = [field.name for field in dataclasses.fields(checkpoint.Checkpoint)]
    place, key = _somewhere(content, dice)
    if dice.random() < 0.5:
        place, key = content, dice.choice((*names, "format", "version", "more"))
    if dice.random() < 0.1:
        place.pop(key) if isinstance(place, list) else place.pop(key, None)
    else:
        place[key] = dice.choice(values)


OTHERS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "npz": _archive,
    "arrays": _archive,
    "cells": _archive,
    "table_npz": _archive,
    "conditions_npz": _archive,
    "png": _picture,
    "checkpoint": _checkpoint,
    "weights": _weights,
    "run": json_within,
}
"""Readers of files with a structure, and how it is changed."""


def _name(file: h5py.File, dice: random.Random) -> str:
    return dice.choice(sorted(file))


def _outside(path: Path, dice: random.Random) -> bool:
    """An object that stands for other files."""
    with h5py.File(path, "r+") as file:
        name = _name(file, dice)
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        way = dice.randrange(4)
        if way == 0:
            file[name] = h5py.ExternalLink("other.h5", "/image")
        elif way == 1:
            file["way"], file[name] = h5py.ExternalLink("other.h5", "/"), h5py.SoftLink("/way/pos")
        elif way == 2:
            layout = h5py.VirtualLayout(shape, kind)
            layout[...] = h5py.VirtualSource("other.h5", name, shape)
            file.create_virtual_dataset(name, layout)
        else:
            file.create_dataset(name, shape, kind, external=[("/etc/hostname", 0, 2**40)])
    return True


def _object(path: Path, dice: random.Random) -> bool:
    """Something else in place of a data set."""
    with h5py.File(path, "r+") as file:
        name = _name(file, dice)
        values = file[name][()]
        del file[name]
        ways: tuple[Callable[[], Any], ...] = (
            lambda: file.create_group(name),
            lambda: file.create_group(f"{name}/{'g/' * 400}{name}"),
            lambda: file.__setitem__(name, np.dtype("f4")),
            lambda: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
            lambda: file.__setitem__(name, h5py.SoftLink("/nothing")),
            lambda: file.__setitem__(name, h5py.Empty("f4")),
            lambda: file.create_dataset(name, (10**12, *values.shape[1:]), "f8", chunks=True),
            lambda: file.create_dataset(name, data=values.astype(dice.choice((">f8", ">i2", "g")))),
            lambda: file.create_dataset(name, data=values.astype(dice.choice(("c16", "?", "S3")))),
            lambda: file.create_dataset(name, data=values.reshape(-1)[:1]),
            lambda: file.create_dataset(name, data=float(values.reshape(-1)[0])),
            lambda: file.create_dataset(name, data=np.full(values.shape, np.nan)),
            lambda: file.create_dataset(name, data=np.zeros(3, [("a", "f4"), ("b", "i4")])),
            lambda: file.create_dataset(name, (3,), h5py.ref_dtype),
            lambda: file.create_dataset(name, (3,), h5py.vlen_dtype("f4")),
            lambda: file.create_dataset(name, data=np.full(values.shape, 2**64 - 1, np.uint64)),
            lambda: None,
        )
        dice.choice(ways)()
    return False


def _attribute(path: Path, dice: random.Random) -> bool:
    """Another value of an attribute of the file."""
    with h5py.File(path, "r+") as file:
        names = sorted(file.attrs) or ["class"]
        name = dice.choice(names)
        old = file.attrs.get(name)
        chance = dice.random()
        if chance < 0.1 and old is not None:
            del file.attrs[name]
        elif isinstance(old, str) and old.startswith("{") and len(old) > 2 and chance < 0.8:
            file.attrs[name] = json_of(old, dice)
        else:
            file.attrs[name] = dice.choice((1, "x", [1, 2], 0.5, "[" * 30_000, h5py.Empty("f4")))
    return False


HDF5 = (_outside, _object, _object, _attribute)
"""Changes of an HDF5 file; true where it then stands for others."""
