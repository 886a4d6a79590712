"""Rows of the comparison that take no time, and models that learn at once."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.datasets.jets import SAMPLE
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.request import Request
from pcgen.schema import Schema
from pcgen.tools.comparison import trial
from pcgen.tools.comparison.results import Result
from pcgen.tools.comparison.rows import Row
from pcgen.tools.comparison.spine import Entry
from pcgen.tools.comparison.study import Study


class Spray(GenerativeModel):
    """Points N(0, e^{2s}) around the axis, ``points`` of them, that share the jet's p_T equally."""

    def __init__(self, schema: dict[str, Any], points: int, explode: int = 0) -> None:
        super().__init__()
        self.schema = Schema.from_dict(schema)
        self.points, self.explode, self.calls = points, explode, 0
        self.encoder = torch.nn.Linear(3, 1)
        self.log_width = torch.nn.Parameter(torch.tensor(-4.0))

    def phases(self) -> list[Phase]:
        return [Phase("fit", (self,), self.loss)]

    def loss(self, clouds: Batch) -> dict[str, torch.Tensor]:
        """Negative log-likelihood of the positions, not finite from step ``explode`` on."""
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


def spray(schema: dict[str, Any], points: int = 20, explode: int = 0) -> Spray:
    """A recipe."""
    return Spray(schema, points, explode)


RECIPES = {"spray": spray}
SPINE = {
    "epic": {"vae": Entry("spray", {}), "gan": Entry("spray", {"explode": 3})},
    "list": {"gan": Entry("spray", {"explode": 8}), "vae": Entry("spray", {"points": 0})},
}


def quick(row: Row, study: Study, folder: Path) -> dict[str, Any]:
    """Does what the network's name stands for."""
    if row.network == "bad":
        raise ValueError("no\nluck")
    if row.network == "dead":
        os._exit(3)
    return {"status": "done", "converged": True, "score": 0.5, "process": os.getpid()}


def result(
    network: str,
    objective: str = "gan",
    resolution: int = 32,
    seed: int = 0,
    *,
    spine: str = "representations",
    status: str = "done",
    converged: bool = True,
    curve: tuple[tuple[int, float], ...] = ((25, 1.0), (50, 0.5)),
    **numbers: float,
) -> Result:
    """A row as its file would give it."""
    points = [
        {"step": step, "score": score, "cpu_seconds": step / 10, "w1_mass": score}
        for step, score in curve
    ]
    values = {"status": status, "converged": converged, "curve": points, **numbers}
    return Result(Row(spine, network, objective, resolution, seed), values)


STUDY = Study((str(SAMPLE),), 30, None, 12, 32, 60, 30, 20)
run = partial(trial.run, spine=SPINE, recipes=RECIPES)
