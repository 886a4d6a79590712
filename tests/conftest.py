"""Shared by all tests: hypothesis without a clock, a seeded torch, and a run without the extras."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

if not torch.cuda.is_available():
    # Read when triton is imported: without a GPU its kernels are run by its interpreter.
    os.environ["TRITON_INTERPRET"] = "1"

_DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4"
    "//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)  # a PNG of one white pixel

settings.register_profile("pcgen", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("pcgen")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-kernels",
        action="store_true",
        help="run as where torch-scatter and torch-cluster are not installed",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--without-kernels"):
        # None in sys.modules makes every import of the name fail, in PyG as in pcgen.
        sys.modules.update(dict.fromkeys(["torch_scatter", "torch_cluster"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: a worker that begins one last is waited for."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True, scope="session")
def _small_curves() -> Iterator[None]:
    """The picture at the end of a training is a dot: it would take half of a small one's time.

    What it shows is tested in tests/plotting, and in tests/tools/test_train.py for a whole run.
    """
    from pcgen.tools import train

    def dot(folder: Path, labels: dict[str, str]) -> None:
        (folder / "figures" / "learning-curves.png").write_bytes(base64.b64decode(_DOT))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dot, "of_a_run", train._draw_curves, raising=False)
        patch.setattr(train, "_draw_curves", dot)
        yield


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
