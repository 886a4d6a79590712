"""Looking at events in three dimensions: an Open3D window, a picture, a page for the browser.

Points are spheres whose area is proportional to their weight and whose colour shows it; samples
(real and generated, say) stand side by side with the same axes and scales. Clouds of two
coordinates are lifted: their third is the layer where they have one, otherwise the logarithm of the
weight.

A page needs no figure and a picture no window: each is imported when it is looked up. Open3D is
imported only when something is drawn with it, and draws pictures in a process of its own:
where no rendering context can be had it may end the calling process.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcgen.viewing.pages import Page, in_notebook, page
    from pcgen.viewing.pictures import picture
    from pcgen.viewing.windows import has_display, window

__all__ = ["Page", "has_display", "in_notebook", "page", "picture", "window"]

_HOMES = {"picture": "pictures", "has_display": "windows", "window": "windows"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'pages')}"), name)


def __dir__() -> list[str]:
    return __all__
