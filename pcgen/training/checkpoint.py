"""Checkpoints: one file, written atomically, versioned, that cannot run foreign code when read.

A checkpoint is a dictionary of tensors and plain values in torch's zip format, read with
``weights_only=True``. It names the recipe that builds the model and its arguments, so loading one
can build nothing but a recipe of pcgen's own, or the function that the user hands over.
"""

from __future__ import annotations

import dataclasses
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pcgen.bounds import VALUES, leaves
from pcgen.errors import CheckpointError
from pcgen.io.atomic import atomic

FORMAT = "pcgen-checkpoint"
VERSION = 2
_READABLE = (1, 2)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on, and a user to sample.

    Attributes:
        recipe: Name of the recipe that builds the model, None for a model of the user's own.
        arguments: Its arguments, plain values.
        schema: What the clouds mean, as :meth:`pcgen.schema.Schema.to_dict`.
        model: State of the model.
        phases: Optimiser and running average of each phase that has a loss.
        step: Steps done.
        draws: Batches that each process has drawn: the position in the data.
        prepared: Names of the phases that were prepared.
        best: Best score on the validation split so far.
        means: Sum and number of each quantity of the log since its last row.
        seconds: Time spent.
        scaler: State of the loss scaling of ``16-mixed``.
        random: Random state of each process.
        config: The run's resolved configuration.
    """

    recipe: str | None
    arguments: dict[str, Any]
    schema: dict[str, Any]
    model: dict[str, Tensor]
    phases: dict[str, dict[str, Any]]
    step: int
    draws: int
    prepared: list[str]
    best: float | None
    means: dict[str, list[float]]
    seconds: float
    scaler: dict[str, Any]
    random: list[dict[str, Any]]
    config: dict[str, Any]


_KINDS: dict[str, tuple[type, ...]] = {
    "recipe": (str, type(None)),
    "arguments": (dict,),
    "schema": (dict,),
    "model": (dict,),
    "phases": (dict,),
    "step": (int,),
    "draws": (int,),
    "prepared": (list,),
    "best": (float, type(None)),
    "means": (dict,),
    "seconds": (float,),
    "scaler": (dict,),
    "random": (list,),
    "config": (dict,),
}


def write(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; it appears complete under its name or not at all.

    Raises:
        FileError: the file cannot be written.
    """
    fields = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(Checkpoint)}
    content = _to_cpu({"format": FORMAT, "version": VERSION, **fields})
    with atomic(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # A full disk: torch raises an error of its own over that of the system.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def read(path: str | Path) -> Checkpoint:
    """Read a checkpoint, its tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, foreign or of another version.
    """
    content = _load(Path(path))
    format = content.get("format") if isinstance(content, dict) else None
    if not isinstance(format, str) or format != FORMAT:
        raise CheckpointError(f"{path}: is not a checkpoint of pcgen, expected one that it wrote")
    version = content.get("version")
    if type(version) is not int or version not in _READABLE:
        found = version if isinstance(version, int) else type(version).__name__
        raise CheckpointError(
            f"{path}: got a checkpoint of version {found}, expected {VERSION}; "
            "read it with the pcgen that wrote it"
        )
    for name, kinds in _KINDS.items():
        if name not in content or not isinstance(content[name], kinds):
            found = type(content[name]).__name__ if name in content else "nothing"
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise CheckpointError(f"{path}: got {found} as {name!r}, expected {wanted}")
    _check_plain(path, content)
    if version == 1:
        content["model"] = {_moved(name): value for name, value in content["model"].items()}
    return Checkpoint(**{name: content[name] for name in _KINDS})


def _check_plain(path: str | Path, content: Mapping[str, Any]) -> None:
    """Refuse values without end, tensors that are more than their bytes, and a state of no tensors.

    Raises:
        CheckpointError: naming what was found.
    """
    for value in leaves(content, str(path), CheckpointError):
        if isinstance(value, Tensor) and not _is_plain(value):
            raise CheckpointError(
                f"{path}: got a tensor {tuple(value.shape)} that is not as large as its bytes in "
                "the file, expected plain ones"
            )
    for name, kind in (("model", Tensor), ("phases", dict)):
        for key, value in content[name].items():
            if not isinstance(key, str) or not isinstance(value, kind):
                raise CheckpointError(
                    f"{path}: got a {type(value).__name__} as {str(key)[:80]!r} of {name!r}, "
                    f"expected a {kind.__name__} with a name"
                )


def _is_plain(value: Tensor) -> bool:
    """Dense, on the CPU, and with bytes of its own for each number."""
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _moved(name: str) -> str:
    """Present name of a tensor of version 1, in which autoencoders held the representation's parts.

    >>> _moved("autoencoder.standardize.pos.mean"), _moved("decoder.standardize.pos.mean")
    ('autoencoder.representation.standardize.pos.mean', 'decoder.standardize.pos.mean')
    """
    return re.sub(r"^(autoencoder\.)?(standardize|cardinality)\.", r"\1representation.\2.", name)


def fit(path: str | Path, module: nn.Module, state: Mapping[str, Any]) -> None:
    """Put the stored state into a module.

    Raises:
        CheckpointError: names or shapes differ, naming the first of them.
    """
    check_fit(path, module, state)
    guarded(path, partial(module.load_state_dict, present(module, state)))


def present(module: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state under the present names of the tensors of a module.

    Networks whose tensors had other names in earlier versions rename them; see
    :class:`~pcgen.nn.network.Network`.
    """
    renamed = dict(state)
    for name, part in module.named_modules():
        if callable(rename := getattr(part, "rename_former", None)):
            rename(renamed, f"{name}." if name else "")
    return renamed


def check_fit(path: str | Path, module: nn.Module, state: Mapping[str, Any]) -> None:
    """Refuse a state that is not that of the module, which may be on the device "meta".

    Buffers that grow with the training split may have any number of rows, the same in all buffers
    of their module.

    Raises:
        CheckpointError: names, shapes or kinds of number differ, naming the first of them.
    """
    here, there = dict(module.state_dict()), present(module, state)
    for name, rows in _growing(module, state):
        here[name] = here[name].new_empty(rows, *here[name].shape[1:], device="meta")
    for name in dict.fromkeys([*here, *there]):
        if name not in there or name not in here:
            side = "lacks" if name not in there else "has"
            raise CheckpointError(
                f"{path}: {side} {name!r}, expected the state of {type(module).__name__}"
            )
        if not isinstance(there[name], Tensor) or there[name].shape != here[name].shape:
            found = tuple(there[name].shape) if isinstance(there[name], Tensor) else there[name]
            raise CheckpointError(
                f"{path}: got {found} for {name!r}, expected shape {tuple(here[name].shape)}"
            )
        if there[name].is_floating_point() != here[name].is_floating_point():
            raise CheckpointError(
                f"{path}: got {there[name].dtype} for {name!r}, expected {here[name].dtype}"
            )


def _growing(module: nn.Module, state: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Names of the buffers of a module that grow, and the rows that a state has for them."""
    for name, part in module.named_modules():
        names = [f"{name}.{own}" if name else own for own in getattr(part, "growing", ())]
        first = state.get(names[0]) if names else None
        if isinstance(first, Tensor) and first.dim():
            yield from ((each, len(first)) for each in names)


def guarded(path: str | Path, load: Callable[[], object]) -> None:
    """Run ``load`` and call whatever goes wrong in it a checkpoint that does not fit.

    Raises:
        CheckpointError: ``load`` raised anything.
    """
    try:
        load()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: its state does not fit this run ({type(error).__name__}: {reason}), "
            "expected a checkpoint of the same model and options"
        ) from error


def _load(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected a checkpoint")
    try:
        # torch does not compare the check sums of the zip archive; a flipped bit is found here.
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path}: is damaged ({damaged}), expected an intact checkpoint")
        return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except PermissionError as error:
        raise CheckpointError(f"{path}: cannot be read, expected a readable file") from error
    except Exception as error:
        # What a foreign file makes of zipfile and torch.load is open-ended.
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if foreign is not None:
            raise CheckpointError(
                f"{path}: names {foreign[1]}, a class or function outside pcgen; not loaded"
            ) from error
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise CheckpointError(
            f"{path}: is damaged or is no checkpoint ({reason}), expected one that pcgen wrote"
        ) from error


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive that would unpack to more than the file, or to members without number.

    Raises:
        CheckpointError: members are packed, lie over each other, or are too many.
    """
    members = archive.infolist()
    VALUES.check(len(members), f"{path}: members", CheckpointError)
    packed = [m.filename for m in members if m.compress_type != zipfile.ZIP_STORED]
    size = sum(member.file_size for member in members)
    if packed or size > path.stat().st_size:
        found = f"{packed[0]!r} packed" if packed else f"members of {size} bytes"
        raise CheckpointError(
            f"{path}: got {found} in a file of {path.stat().st_size} bytes, expected plain members "
            "side by side, as pcgen writes them"
        )


def _to_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, Mapping):
        return {key: _to_cpu(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_to_cpu(item) for item in value)
    return value
