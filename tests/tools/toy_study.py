"""Studies that take no time: recipes of a few numbers, a file that lists them, rows by hand."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.request import Request
from pcgen.schema import Schema
from pcgen.tools.comparison.results import Result


class Spray(GenerativeModel):
    """Points N(0, e^{2s}) around the axis, ``points`` of them, that share the jet's p_T equally."""

    def __init__(self, schema: dict[str, Any], points: int, explode: int, pause: float) -> None:
        super().__init__()
        self.schema = Schema.from_dict(schema)
        self.points, self.explode, self.pause, self.calls = points, explode, pause, 0
        self.encoder = torch.nn.Linear(3, 1)
        self.log_width = torch.nn.Parameter(torch.tensor(-4.0))

    def phases(self) -> list[Phase]:
        return [Phase("fit", (self,), self.loss)]

    def loss(self, clouds: Batch) -> dict[str, torch.Tensor]:
        """Negative log-likelihood of the positions, not finite from step ``explode`` on."""
        time.sleep(self.pause)
        self.calls += 1
        scaled = clouds.pos * (-self.log_width).exp()
        value = 0.5 * scaled.square().sum(1).mean() + 2 * self.log_width
        return {"nll": value / 0 if self.calls == self.explode else value}

    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        number = request.number * self.points
        pos = torch.randn(number, 2, generator=generator) * self.log_width.exp()
        weight = request.y[:, 0].repeat_interleave(self.points) / self.points
        sizes = [self.points] * request.number
        return pc.make(pos, sizes, weight=weight, y=request.y, label=request.label)


def spray(
    points: int = 20, explode: int = 0, pause: float = 0.0, schema: dict[str, Any] | None = None
) -> Spray:
    """A recipe."""
    return Spray(schema or {}, points, explode, pause)


def bad(schema: dict[str, Any] | None = None) -> Spray:
    """A recipe that cannot be made."""
    raise ValueError("no\nluck")


def dead(schema: dict[str, Any] | None = None) -> Spray:
    """A recipe that ends its process."""
    os._exit(3)


def written(folder: Path, file: Path, **changes: Any) -> Path:
    """A study of a toy file: its folder, with study.yaml and this module in it."""
    study = {
        "title": "Sprays",
        "data": {"files": [str(file)], "max_points": 6},
        "protocol": {"name": "pcgen", "repeats": 2, "subset": 0},
        "budget": {"steps": 12},
        "events": 12,
        "train": {"batch_size": 16, "validate_events": 12, "warmup": 0, "ema": None},
        "factors": ["name"],
        "rows": [{"name": "spray", "recipe": "toy_study:spray"}],
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy_study.py").write_text(Path(__file__).read_text())
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder


def result(
    *,
    seed: int = 0,
    status: str = "done",
    converged: bool = True,
    curve: tuple[tuple[int, float], ...] = ((25, 1.0), (50, 0.5)),
    steps: int | None = 50,
    numbers: dict[str, float] | None = None,
    **factors: Any,
) -> Result:
    """A row as its file holds it."""
    points = [{"step": s, "score": v, "cpu_seconds": s / 10, "w1_mass": v} for s, v in curve]
    values = {"status": status, "converged": converged, "curve": points, **(numbers or {})}
    return Result(factors, seed, values if steps is None else {**values, "steps": steps})
