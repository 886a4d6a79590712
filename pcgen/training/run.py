"""The folder of a run: plain files that say what was run, where, and how it went.

===================================== ==========================================================
config.json                           the resolved configuration
environment.json                      versions, machine and git commit, one entry for each start
metrics.csv, tensorboard/             the log
checkpoints/last.ckpt, step-*.ckpt    where the run can go on
checkpoints/best.ckpt                 the best on the validation split
samples/, figures/                    what the commands make of it
===================================== ==========================================================
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pcgen.errors import ArgumentError, FileError
from pcgen.io.atomic import atomic
from pcgen.training import checkpoint
from pcgen.training.checkpoint import Checkpoint

# What may change when a run is taken up again: none of it changes what a step learns.
_FREE = ("steps", "reports")
_LONG = 60  # characters of a change that an error still tells in full
_PACKAGES = ("pcgen", "torch", "torch-geometric", "lightning-fabric", "numpy", "scipy", "h5py")


class RunFolder:
    """Paths of a run, and what is written there besides the log.

    Attributes:
        path: The folder.
        last: The checkpoint from which the run goes on.
        best: The checkpoint with the best validation score.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"

    def check(self, config: Mapping[str, Any]) -> None:
        """Refuse to go on with another configuration than the run was started with.

        A run that has no checkpoint yet has nothing to lose and may be started anew, with any.

        Raises:
            ArgumentError: naming what differs.
            FileError: the path is a file, or a folder that holds something else.
        """
        file = self.path / "config.json"
        if not file.exists():
            occupied = not self.path.is_dir() or any(self.path.iterdir())
            if self.path.exists() and occupied:
                raise FileError(
                    f"{self.path}: exists and is not a run, expected a new folder or a run"
                )
            return
        try:
            stored = json.loads(file.read_text())
        except ValueError as error:
            raise FileError(f"{file}: is not JSON ({error}), expected a run's config") from error
        if not self.last.exists():
            return
        now = json.loads(json.dumps(config))
        changes = [
            _change(key, stored.get(key), now.get(key))
            for key in dict.fromkeys([*stored, *now])
            if key not in _FREE and stored.get(key) != now.get(key)
        ]
        if changes:
            raise ArgumentError(
                f"{self.path}: was started with another configuration ({', '.join(changes)}), "
                "expected the same, or another folder"
            )

    def create(self, config: Mapping[str, Any], device: torch.device) -> None:
        """Make the folder where it is missing; write configuration and environment.

        Raises:
            FileError: the folder cannot be made or written.
        """
        try:
            for folder in (self.checkpoints, self.path / "samples", self.path / "figures"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(
                f"{self.path}: cannot be made ({error.strerror}), expected a writable place"
            ) from error
        _write_json(self.path / "config.json", config)
        file = self.path / "environment.json"
        before = json.loads(file.read_text()) if file.exists() else []
        _write_json(file, [*before, environment(device)])

    def save(self, state: Checkpoint, *, best: bool, keep: int) -> None:
        """Write the last checkpoint, and the numbered and best ones beside it.

        Args:
            state: What to write.
            best: Whether it is the best so far on the validation split.
            keep: How many numbered checkpoints stay, the newest.
        """
        checkpoint.write(self.last, state)
        copies = [self.best] if best else []
        if keep:
            copies.append(self.checkpoints / f"step-{state.step:08d}.ckpt")
        for copy in copies:
            with atomic(copy) as temporary:
                shutil.copyfile(self.last, temporary)
        numbered = sorted(self.checkpoints.glob("step-*.ckpt"))
        for old in numbered[: max(len(numbered) - keep, 0)]:
            old.unlink()


def _change(name: str, before: Any, after: Any) -> str:
    """What differs, by the names of the options; their values where they are short."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [k for k in {**before, **after} if before.get(k) != after.get(k)]
        return ", ".join(_change(f"{name}.{k}", before.get(k), after.get(k)) for k in keys)
    told = f"{name} {before!r} -> {after!r}"
    return told if len(told) <= _LONG else name


def environment(device: torch.device) -> dict[str, Any]:
    """What a result may depend on besides the configuration."""
    versions = {name: _version(name) for name in _PACKAGES}
    cuda = device.type == "cuda"
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": versions,
        "platform": platform.platform(),
        "machine": platform.node(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the source tree that runs; None where pcgen is not run from one."""
    source = Path(__file__).resolve().parents[2]
    if not (source / ".git").exists():
        return None
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _write_json(path: Path, value: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")
