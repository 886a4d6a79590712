"""Events that a command cannot use: of another meaning than it expects, or all of them empty."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pcgen.errors import DataError
from pcgen.schema import FIELDS, Schema

if TYPE_CHECKING:
    from torch import Tensor


def check_meaning(
    expected: Schema, found: Schema, path: str, why: str, of: Collection[str] = FIELDS
) -> None:
    """Refuse events that mean something else.

    Args:
        expected: What they should mean.
        found: What they mean.
        path: Their file.
        why: Where the expectation comes from, for the message: "in the real events".
        of: Fields of the schemas that are compared.

    Raises:
        DataError: naming what differs.
    """
    difference = expected.difference(found, of=of)
    if difference is not None:
        raise DataError(f"{path}: {difference} as {why}")


def check_comparable(real: Schema, generated: Schema, path: str) -> None:
    """Refuse to compare numbers that mean different things.

    Conditions and layers may be missing; classes are compared by their names.

    Raises:
        DataError: naming what differs.
    """
    others = [name for name in ("condition", "layers") if getattr(generated, name)]
    check_meaning(
        real, generated, path, "in the real events", ["axes", "weight", "features", *others]
    )


def check_points(sizes: Tensor, path: str) -> None:
    """Refuse events without a point, of which no score says anything.

    Args:
        sizes: Points of each event [B].
        path: Their file.

    Raises:
        DataError: no event has one.
    """
    if not bool(sizes.any()):
        raise DataError(f"{path}: got {len(sizes)} events without a point, expected some with one")
