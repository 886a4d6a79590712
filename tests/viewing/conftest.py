"""Whether Open3D can draw here."""

from __future__ import annotations

import pytest
from events_to_view import SHOWER, built, showers

from pcgen.viewing import pictures
from pcgen.viewing.shapes import Camera


@pytest.fixture(scope="session")
def context() -> None:
    """Skips where there is no rendering context, which another process may die of."""
    frame, scene = built(showers(), SHOWER)
    if pictures.render([scene], frame, Camera.towards(frame, 40, 30)) is None:
        pytest.skip("Open3D has no rendering context here")
