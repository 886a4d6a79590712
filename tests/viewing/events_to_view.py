"""Small events to look at, and what is drawn of them."""

from __future__ import annotations

import math
from typing import Any

import torch

from pcgen import clouds as cloud
from pcgen.schema import Quantity, Schema
from pcgen.viewing.scene import Frame, Scene, frame_of, scene_of

ENERGY = Quantity("energy", "GeV", symbol="$E$")
SHOWER = Schema(
    axes=(Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "mm")),
    weight=ENERGY,
    labels=("photon", "pion"),
)
JET = Schema(axes=(Quantity("eta"), Quantity("phi", "rad", 2 * math.pi, r"$\phi$")), weight=ENERGY)


def showers(points: int = 40) -> Any:
    pos = torch.rand(points, 3) * torch.tensor([10.0, 20.0, 40.0])
    sizes = [points // 2, 0, points - points // 2]
    weight = torch.rand(points).exp() ** 4
    return cloud.make(pos, sizes, weight=weight, label=torch.tensor([1, 0, 5]))


def jets(points: int = 20) -> Any:
    weight = torch.rand(points).exp() ** 4
    return cloud.make(torch.randn(points, 2), [points // 2, points - points // 2], weight=weight)


def built(batch: Any, schema: Schema, event: int = 0) -> tuple[Frame, Scene]:
    frame = frame_of({"real": batch}, schema, [event])
    return frame, scene_of("real", batch, schema, frame, event)
