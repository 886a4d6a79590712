"""Weights to give away: one safetensors file with what ``sample`` needs of a run, and no more.

=========== ======================================================================================
tensors     the state of the model, its parameters replaced by their running averages; whole
            numbers in the narrowest type that holds all of them, nothing is rounded
``pcgen``   metadata, JSON: version of the layout, recipe, arguments and schema (as in a
            checkpoint), step, best validation score, hours, the run's configuration, and a digest
            of all these and the tensors (in version 1 of the tensors alone)
=========== ======================================================================================

Reading one runs no code and builds nothing. The format knows no pickle and no packing, and tensors
are as large as their bytes in the file; what the metadata say is bounded, and built as from a
checkpoint, see :mod:`pcgen.loading`. Optimisers, random states and the parameters behind the
averages are left out: a run cannot go on from weights, but another one can start from them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pcgen.bounds import TEXT, VALUES, leaves, parse_json, regular_file
from pcgen.errors import ArgumentError, CheckpointError, FileError
from pcgen.io.atomic import atomic
from pcgen.models.base import GenerativeModel
from pcgen.training import checkpoint
from pcgen.training.checkpoint import Checkpoint

ENDING = ".safetensors"
VERSION = 2
_KEY = "pcgen"
_KINDS: dict[str, tuple[type, ...]] = {
    "recipe": (str, type(None)),
    "arguments": (dict,),
    "schema": (dict,),
    "step": (int,),
    "best": (float, type(None)),
    "seconds": (float,),
    "config": (dict,),
    "digest": (str,),
}
_WHOLE = (torch.uint8, torch.int16, torch.int32, torch.int64)  # narrowest first
_TYPES = (*_WHOLE, torch.float16, torch.float32, torch.float64)


def write(path: str | Path, model: GenerativeModel, state: Checkpoint) -> None:
    """Write the weights of a model; they appear complete under their name or not at all.

    Args:
        path: File to write, ending in ``.safetensors``.
        model: Trained and ready to sample, as :func:`pcgen.load` gives it.
        state: The checkpoint that it was loaded from: recipe, arguments and configuration.

    Raises:
        ArgumentError: the name has another ending, or an argument of the recipe is no plain value.
        FileError: the file cannot be written.
    """
    if Path(path).suffix != ENDING:
        raise ArgumentError(f"{path}: got {Path(path).suffix!r}, expected the ending {ENDING!r}")
    tensors = {name: _narrow(value) for name, value in model.state_dict().items()}
    facts = {name: getattr(state, name) for name in _KINDS if name != "digest"}
    try:
        digest = _digest(tensors, facts)
        text = json.dumps({"version": VERSION, **facts, "digest": digest}, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{path}: got an argument that JSON does not hold ({error})") from error
    with atomic(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors, {_KEY: text}))


def read_model(path: str | Path) -> Checkpoint:
    """A checkpoint, or weights where the name ends in ``.safetensors``.

    Raises:
        CheckpointError: the file is missing, damaged, foreign or of another version.
    """
    return read(path) if Path(path).suffix == ENDING else checkpoint.read(path)


def read(path: str | Path) -> Checkpoint:
    """Weights as a checkpoint that can be sampled from, and that no run can go on from.

    Raises:
        CheckpointError: the file is missing, damaged, foreign or of another version.
    """
    metadata, tensors = _load(path)
    facts = _facts(path, metadata)
    version, digest = facts.pop("version"), facts.pop("digest")
    if _digest(tensors, facts if version > 1 else None) != digest:
        raise CheckpointError(f"{path}: is damaged (a value changed), expected intact weights")
    return Checkpoint(
        **facts, model=tensors, phases={}, draws=0, prepared=[], means={}, scaler={}, random=[]
    )


def _load(path: str | Path) -> tuple[Mapping[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a file."""
    try:
        file = regular_file(path)
        with file.open("rb") as opened:
            # The library reads a header of up to 100 MB.
            size = int.from_bytes(opened.read(8), "little")
        TEXT.check(size, f"{path}: header", CheckpointError)
        with safetensors.safe_open(file, framework="pt") as source:
            names = list(source.keys())
            VALUES.check(len(names), f"{path}: tensors", CheckpointError)
            tensors = {name: source.get_tensor(name) for name in names}
            metadata = source.metadata() or {}
    except CheckpointError:
        raise
    except FileError as error:
        raise CheckpointError(str(error)) from error
    except Exception as error:
        # What a foreign file makes of the library is open-ended.
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise CheckpointError(
            f"{path}: is damaged or is no safetensors file ({reason}), expected weights that "
            "pcgen wrote"
        ) from error
    for name, value in tensors.items():
        if value.dtype not in _TYPES:
            raise CheckpointError(
                f"{path}: got {value.dtype} for {name!r}, expected whole numbers or floats of 16 "
                "to 64 bits"
            )
    return metadata, tensors


def _facts(path: str | Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the metadata say, by the names of a checkpoint's fields, version and digest."""
    if _KEY not in metadata:
        raise CheckpointError(f"{path}: is by another program, expected weights that pcgen wrote")
    try:
        content = parse_json(metadata[_KEY])
    except ValueError as error:
        raise CheckpointError(f"{path}: is damaged ({error}), expected intact weights") from error
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is not int or not 1 <= version <= VERSION:
        found = version if isinstance(version, int) else type(version).__name__
        raise CheckpointError(
            f"{path}: got weights of version {found}, expected 1 to {VERSION}; read them with the "
            "pcgen that wrote them"
        )
    for _ in leaves(content, str(path), CheckpointError):
        pass  # counted, and refused where they are too many
    for name, kinds in _KINDS.items():
        if not isinstance(content.get(name, ...), kinds):
            found = type(content[name]).__name__ if name in content else "nothing"
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise CheckpointError(f"{path}: got {found} as {name!r}, expected {wanted}")
    return {"version": version, **{name: content[name] for name in _KINDS}}


def _narrow(value: Tensor) -> Tensor:
    """The same numbers on the CPU; whole ones in the narrowest type that holds them."""
    value = value.detach().cpu().contiguous().clone()
    if value.is_floating_point() or not value.numel():
        return value
    low, high = int(value.min()), int(value.max())
    limits = ((kind, torch.iinfo(kind)) for kind in _WHOLE)
    return value.to(next(kind for kind, limit in limits if limit.min <= low <= high <= limit.max))


def _digest(tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> str:
    """Of names, types, shapes and numbers, and of what the metadata say besides.

    Raises:
        TypeError, ValueError: JSON does not hold the facts.
    """
    text = "" if facts is None else json.dumps(facts, sort_keys=True)
    found = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.contiguous().numpy().tobytes())
    return found.hexdigest()[:32]
