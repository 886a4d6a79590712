"""Shared by all tests: hypothesis without a clock, a seeded torch, and a run without the extras."""

from __future__ import annotations

import os
import sys

import pytest
import torch
from hypothesis import settings

if not torch.cuda.is_available():
    # Read when triton is imported: without a GPU its kernels are run by its interpreter.
    os.environ["TRITON_INTERPRET"] = "1"

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


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
