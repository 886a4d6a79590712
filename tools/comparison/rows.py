"""A row of the comparison: what is trained once, as plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from pcgen.errors import ArgumentError

_WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Row:
    """One network, trained once on one objective.

    Attributes:
        spine: The question that it belongs to.
        network: Name of the network and its representation.
        objective: What it is trained on.
        resolution: Cells along each axis of the grid that events are judged on.
        seed: Of everything random.

    Raises:
        ArgumentError: a name is no plain word, or a number is out of range.

    >>> Row("representations", "image-gated", "gan", 32, 0).name
    'representations_image-gated_gan_r32_s0'
    """

    spine: str
    network: str
    objective: str
    resolution: int
    seed: int

    def __post_init__(self) -> None:
        for key in ("spine", "network", "objective"):
            if not _WORD.fullmatch(getattr(self, key)):
                raise ArgumentError(
                    f"{key}: got {getattr(self, key)!r}, expected small letters, digits, hyphens"
                )
        if self.resolution < 1 or self.seed < 0:
            raise ArgumentError(
                f"resolution, seed: got {self.resolution}, {self.seed}, expected >= 1 and >= 0"
            )

    @property
    def name(self) -> str:
        """Unique, and fit for a file."""
        return f"{self.spine}_{self.network}_{self.objective}_r{self.resolution:02d}_s{self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """The fields, plain values."""
        return asdict(self)


def grid_of(
    spine: str,
    table: Mapping[str, Mapping[str, object]],
    *,
    networks: Sequence[str],
    objectives: Sequence[str],
    resolutions: Sequence[int],
    axis: Sequence[str],
    seeds: int,
) -> list[Row]:
    """The rows of a table: every seed of the first resolution first.

    Args:
        spine: Name of the question.
        table: Objectives of each network; combinations that it does not have are left out.
        networks: Those that take part.
        objectives: Those that take part.
        resolutions: All networks are trained at the first, those of ``axis`` at all.
        axis: Networks that are trained at every resolution.
        seeds: Seeds 0, 1, ... of each.

    Raises:
        ArgumentError: a network or objective is unknown, a list is empty or repeats itself.
    """
    known = list(dict.fromkeys(name for row in table.values() for name in row))
    for key, given, there in (
        ("networks", networks, list(table)),
        ("objectives", objectives, known),
    ):
        unknown = [name for name in given if name not in there]
        if unknown or not given:
            got = ", ".join(unknown) or "none"
            raise ArgumentError(f"{key}: got {got}, expected some of {', '.join(there)}")
    if not resolutions or len(set(resolutions)) < len(resolutions) or seeds < 1:
        raise ArgumentError(
            f"resolutions, seeds: got {list(resolutions)}, {seeds}, "
            "expected different numbers and at least one seed"
        )
    return [
        Row(spine, network, objective, resolution, seed)
        for resolution, seed, network, objective in product(
            resolutions, range(seeds), networks, objectives
        )
        if objective in table[network] and (resolution == resolutions[0] or network in axis)
    ]
