"""Pictures for talks and papers, with matplotlib: histograms, event displays, images, curves.

Every function returns a :class:`matplotlib.figure.Figure` of its own and touches no global state,
so that it works in threads, in notebooks and without a display; :func:`save` writes it. Axes and
colour bars name what they show, with the unit, as in the :class:`~pcgen.schema.Schema`.
"""

from __future__ import annotations

from pcgen.plotting.curves import learning_curves
from pcgen.plotting.figures import save
from pcgen.plotting.histograms import histograms
from pcgen.plotting.images import mean_images
from pcgen.plotting.ranks import answers
from pcgen.plotting.scatter import event_displays

__all__ = ["answers", "event_displays", "histograms", "learning_curves", "mean_images", "save"]
