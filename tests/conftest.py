"""Shared by all tests: hypothesis without a clock, and a seeded torch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

settings.register_profile("pcgen", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("pcgen")


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    torch.manual_seed(0)
    yield
