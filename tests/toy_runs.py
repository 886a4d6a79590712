"""Runs of toy models, and what they left behind: shared by the tests of training."""

from __future__ import annotations

import csv
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import toy_gan
from torch import nn
from toy_models import Numbers, Toy

from pcgen.models.base import Phase
from pcgen.training import Machine, Optimiser, Reports, checkpoint, train

CPU = Machine("cpu")
QUIET = Reports(progress=False)
STEPS = 12  # of the toy GAN; 6 batches each


def plain(lr: float = 0.1, **options: Any) -> Optimiser:
    """A constant rate and nothing else, so that a step can be followed by hand."""
    return Optimiser(**{"lr": lr, "schedule": "constant", "warmup": 0, "clip": None, **options})


def fit(model: nn.Module, folder: Path, steps: int, **options) -> nn.Module:
    chosen = {"machine": CPU, "reports": QUIET, "optimiser": plain(), **options}
    return train(model, chosen.pop("batches", Numbers()), folder=folder, steps=steps, **chosen)


def last(folder: Path, name: str = "last") -> checkpoint.Checkpoint:
    return checkpoint.read(folder / "checkpoints" / f"{name}.ckpt")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def differences(a: object, b: object, path: str = "") -> Iterator[str]:
    """Where two trees of plain values and tensors differ in any bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if not torch.equal(a, b):
            yield path
    elif isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            yield from differences(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        for number, pair in enumerate(zip(a, b, strict=True)):
            yield from differences(*pair, f"{path}/{number}")
    elif a != b:
        yield path


def assert_same_run(a: Path, b: Path) -> None:
    for name in ("last", "best", "step-00000010"):
        left, right = dataclasses.asdict(last(a, name)), dataclasses.asdict(last(b, name))
        assert list(differences(left, right)) == ["/seconds"], name
    strip = [[{**row, "seconds": ""} for row in rows(folder)] for folder in (a, b)]
    assert strip[0] == strip[1]
    assert [int(row["step"]) for row in strip[0]] == [3, 4, 6, 8, 9, 12]


def script(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, toy_gan.__file__, str(folder), "--steps", str(STEPS), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def two_stages(toy: Toy) -> list[Phase]:
    return [
        Phase("first", (toy.mean,), toy.loss, end=0.5),
        Phase("between", (), None, begin=0.5, prepare=toy.find),
        Phase("second", (toy.spread,), toy.loss, begin=0.5, repeat=2),
    ]


def averages(values: np.ndarray, decay: float) -> np.ndarray:
    """The formula of the learner, in double precision."""
    result = [values[0]]
    for k, value in enumerate(values[1:], start=1):
        d = min(decay, (1 + k) / (10 + k))
        result.append(d * result[-1] + (1 - d) * value)
    return np.array(result)
