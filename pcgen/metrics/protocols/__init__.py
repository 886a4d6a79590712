"""What fixes a table of scores: published protocols under their names, and pcgen's own."""

from pcgen.metrics.protocols.jets import epic, fpcd, jetnet, mpgan2021
from pcgen.metrics.protocols.own import pcgen
from pcgen.metrics.protocols.protocol import Drawing, Part, Protocol
from pcgen.metrics.protocols.shapes import pointflow
from pcgen.metrics.protocols.showers import calochallenge

__all__ = [
    "Drawing",
    "Part",
    "Protocol",
    "calochallenge",
    "epic",
    "fpcd",
    "jetnet",
    "mpgan2021",
    "pcgen",
    "pointflow",
]
