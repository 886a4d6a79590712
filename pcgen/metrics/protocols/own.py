"""pcgen's own protocol: every score that the events' schema gives a meaning to."""

from __future__ import annotations

from pcgen.errors import ArgumentError
from pcgen.metrics.comparisons.marginals import marginals
from pcgen.metrics.comparisons.neighbourhood import chamfer_neighbourhood, earth_mover_neighbourhood
from pcgen.metrics.protocols.protocol import Part, Protocol


def pcgen(*, repeats: int = 10, subset: int = 100) -> Protocol:
    """pcgen's own: all that the events' schema gives a meaning to, at the size of the sets.

    Args:
        repeats: Random halvings of the real events.
        subset: Events on each side of the scores over all pairs; 0 leaves those out.

    Raises:
        ArgumentError: fewer than 2 repeats, or a negative subset.
    """
    if repeats < 2 or subset < 0:
        raise ArgumentError(
            f"repeats, subset: got {repeats} and {subset}, expected at least 2 (for an "
            "uncertainty) and at least 0"
        )
    parts = [Part(marginals, batches=repeats)]
    if subset:
        halves = max(repeats // 2, 2)
        pairs = (chamfer_neighbourhood, earth_mover_neighbourhood)
        parts += [Part(b, events=subset, batches=halves, tested=subset) for b in pairs]
    return Protocol("pcgen", tuple(parts))
