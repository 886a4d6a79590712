"""The page of sparse images: its snippets run one after the other, and its names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pcgen.nn

PAGE = (Path(__file__).parent.parent / "docs" / "sparsity.md").read_text(encoding="utf-8")


def test_snippets_run_one_after_the_other() -> None:
    namespace: dict[str, object] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        exec(snippet, namespace)
    assert namespace["scores"].shape == (4, 64)
    assert namespace["known"].x.shape == (4, 8, 8, 8)
    assert namespace["logits"].shape == (4, 1)
    assert namespace["nats"].shape == (2,)
    assert namespace["images"].shape == (2, 1, 25, 25)
    assert namespace["drawn"].num_graphs == 2


def test_every_layer_named_is_there() -> None:
    names = set(re.findall(r"^\| `(\w+)", PAGE, re.MULTILINE))
    assert len(names) > 15
    assert names - {"active", "observed"} <= set(pcgen.nn.__all__)
