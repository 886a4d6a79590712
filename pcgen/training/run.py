"""The folder of a run: plain files that say what was run, where, and how it went.

===================================== ==========================================================
config.json                           the resolved configuration, with paths of this machine
environment.json                      versions, machine and git commit, one entry for each start
metrics.csv, tensorboard/             the log
checkpoints/last.ckpt, step-*.ckpt    where the run can go on
checkpoints/best.ckpt                 the best on the validation split
samples/, figures/                    what the commands make of it
===================================== ==========================================================
"""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pcgen.bounds import TEXT, parse_json, regular_file
from pcgen.errors import DISTRIBUTION, ArgumentError, CheckpointError, FileError, PcgenError
from pcgen.io.atomic import LOCK, atomic, is_own, output_folder, writable
from pcgen.io.lock import locked
from pcgen.training import checkpoint
from pcgen.training.checkpoint import Checkpoint
from pcgen.training.log import set_aside

# What may change when a run is taken up again: none of it changes what a step learns.
_FREE = ("steps", "reports")
_LONG = 60  # characters of a change that an error still gives in full
_PACKAGES = ("torch", "torch-geometric", "lightning-fabric", "numpy", "scipy", "h5py")


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

    def check_place(self) -> bool:
        """Whether there is a run, begun or not; where there is none there may be one.

        Raises:
            FileError: the path is a file, or a folder that holds something else.
        """
        with writable(self.path):
            run = (self.path / "config.json").exists()
            occupied = self.path.exists() and not self._empty()
        if not run and occupied:
            raise FileError(f"{self.path}: exists and is not a run, expected a new folder or a run")
        return run

    def check(self, config: Mapping[str, Any], free: Collection[str] = ()) -> None:
        """Refuse to go on with another configuration than the run was started with.

        A run that has no checkpoint yet has nothing to lose and may be started anew, with any.

        Args:
            config: Of now.
            free: Names that may differ, besides the number of steps and what is reported.

        Raises:
            ArgumentError: naming what differs.
            FileError: the path is a file, or a folder that holds something else.
        """
        if not self.check_place():
            return
        stored = self.config()
        if not self.begun:
            return
        now = json.loads(json.dumps(config))
        changes = [
            _change(key, stored.get(key), now.get(key))
            for key in dict.fromkeys([*stored, *now])
            if key not in (*_FREE, *free) and stored.get(key) != now.get(key)
        ]
        if changes:
            raise ArgumentError(
                f"{self.path}: was started with another configuration ({', '.join(changes)}), "
                "expected the same (pcgen resume takes it from the run), or another folder"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer of the run, whose folder is made where it is missing.

        Raises:
            FileError: another process writes it, or the folder cannot be made.
        """
        with writable(self.path):
            empty = not self.path.exists() or self._empty()
        with output_folder(self.path), locked(self.path / f".run{LOCK}", self.path):
            try:
                yield
            except BaseException:
                if empty and not self.begun:
                    self._clear()
                raise

    def _clear(self) -> None:
        """Remove what was written before anything was trained that could go on."""
        with suppress(OSError):
            for each in self.path.iterdir():
                if each.is_dir():
                    shutil.rmtree(each)
                elif not is_own(each.name):  # the lock is held
                    each.unlink()

    def _empty(self) -> bool:
        return self.path.is_dir() and all(is_own(file.name) for file in self.path.iterdir())

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return self.last.exists() or bool(self._others())

    def config(self) -> dict[str, Any]:
        """The configuration that the run was started with.

        Raises:
            FileError: the folder holds none, or it cannot be read.
        """
        file = self.path / "config.json"
        if not file.is_file():
            raise FileError(f"{self.path}: holds no config.json, expected the folder of a run")
        stored = _read_json(file)
        if not isinstance(stored, dict):
            raise FileError(f"{file}: got a {type(stored).__name__}, expected a run's config")
        return stored

    def newest(self) -> tuple[Path, Checkpoint] | None:
        """The checkpoint from which the run goes on, and what is in it; None where there is none.

        It is the last one. Where that file was lost it is the newest of the others (the best and
        the numbered ones, which hold all that the last one does) that is whole.

        Raises:
            CheckpointError: the last one cannot be read, or it was lost and no other one can.
        """
        if not self.last.exists():
            return self._newest_of_others()
        try:
            return self.last, checkpoint.read(self.last)
        except CheckpointError as error:
            try:
                found = self._newest_of_others()
            except CheckpointError:
                found = None
            if found is None:
                raise
            file, state = found
            raise CheckpointError(
                f"{error}; move it away to go on from {file.name} (step {state.step})"
            ) from error

    def _others(self) -> list[Path]:
        """Checkpoints besides the last one."""
        best = [self.best] if self.best.exists() else []
        return [*best, *sorted(self.checkpoints.glob("step-*.ckpt"))]

    def _newest_of_others(self) -> tuple[Path, Checkpoint] | None:
        whole, broken = [], []
        for file in self._others():
            try:
                whole.append((file, checkpoint.read(file)))
            except CheckpointError as error:
                broken.append(error)
        if broken and not whole:
            raise CheckpointError(
                f"{self.checkpoints}: holds no {self.last.name}, and no other one can be read "
                f"({broken[-1]}), expected a whole checkpoint, or another folder"
            )
        return max(whole, key=lambda found: found[1].step, default=None)

    def amend(self, config: Mapping[str, Any]) -> None:
        """Replace the recorded configuration, by one in which data have another place say.

        Raises:
            FileError: it cannot be written, or another process writes the run.
        """
        with self.writing():
            _write_json(self.path / "config.json", config)

    def create(self, config: Mapping[str, Any], device: torch.device) -> None:
        """Make the folder where it is missing; write configuration and environment.

        Raises:
            FileError: the folder cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # It comes first: by it the folder is known to be a run, wherever this is interrupted.
            _write_json(self.path / "config.json", config)
            for folder in (self.checkpoints, self.path / "samples", self.path / "figures"):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(
                f"{self.path}: cannot be made ({error.strerror}), expected a writable place"
            ) from error
        file = self.path / "environment.json"
        _write_json(file, [*self._starts(file), environment(device)])

    def _starts(self, file: Path) -> list[Any]:
        """The earlier starts; none where the file is damaged, on which nothing depends."""
        if not os.path.lexists(file):
            return []
        try:
            if not file.is_file():
                raise FileError(f"{file}: is no file, expected a list of starts")
            before = _read_json(file)
            if not isinstance(before, list):
                raise FileError(f"{file}: got a {type(before).__name__}, expected a list of starts")
        except FileError as error:
            set_aside(file, str(error).removeprefix(f"{file}: "))
            return []
        return before

    def restore(self, file: Path) -> None:
        """Let another checkpoint be the last one, in place of one that was lost."""
        _copy(file, self.last)

    def save(self, state: Checkpoint, *, best: bool, keep: int) -> None:
        """Write the last checkpoint, and the numbered and best ones beside it.

        The last one is written when all else is done: a run that is killed before that goes on from
        the one before it, and comes here again.

        Args:
            state: What to write.
            best: Whether it is the best so far on the validation split.
            keep: How many numbered checkpoints stay, the newest.
        """
        files = [self.checkpoints / f"step-{state.step:08d}.ckpt"] if keep else []
        files += [self.best] if best else []
        first = files[0] if files else self.last
        checkpoint.write(first, state)
        for copy in files[1:]:
            _copy(first, copy)
        self._thin(keep)
        if first != self.last:
            _copy(first, self.last)

    def _thin(self, keep: int) -> None:
        """Remove all numbered checkpoints but the newest ``keep``."""
        numbered = sorted(self.checkpoints.glob("step-*.ckpt"))
        with writable(self.checkpoints):
            for old in numbered[: max(len(numbered) - keep, 0)]:
                old.unlink()


def _copy(source: Path, target: Path) -> None:
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)


def _change(name: str, before: Any, after: Any) -> str:
    """What differs, by the names of the options; their values where they are short."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [k for k in {**before, **after} if before.get(k) != after.get(k)]
        return ", ".join(_change(f"{name}.{k}", before.get(k), after.get(k)) for k in keys)
    text = f"{name} {before!r} -> {after!r}"
    return text if len(text) <= _LONG else name


def environment(device: torch.device) -> dict[str, Any]:
    """What a result may depend on besides the configuration."""
    versions = {"pcgen": version(DISTRIBUTION)} | {name: version(name) for name in _PACKAGES}
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


def version(package: str) -> str | None:
    """Version of an installed package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def made_by() -> dict[str, Any]:
    """The pcgen that runs, as checkpoints and samples record it: version and commit."""
    return {"pcgen": version(DISTRIBUTION), "commit": _commit()}


@functools.cache
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


def _read_json(path: Path) -> Any:
    try:
        TEXT.check(regular_file(path).stat().st_size, str(path))
        return parse_json(path.read_text(encoding="utf-8"))
    except PcgenError:
        raise
    except ValueError as error:
        raise FileError(f"{path}: is not JSON ({error}), expected what a run wrote") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from error


def _write_json(path: Path, value: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")
