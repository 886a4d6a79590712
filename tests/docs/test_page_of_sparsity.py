"""The page of sparse images: its names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pcgen.nn

PAGE = (Path(__file__).parents[2] / "docs" / "sparsity.md").read_text(encoding="utf-8")


def test_every_layer_named_is_there() -> None:
    names = set(re.findall(r"^\| `(\w+)", PAGE, re.MULTILINE))
    assert len(names) > 15
    assert names - {"active", "observed"} <= set(pcgen.nn.__all__)
