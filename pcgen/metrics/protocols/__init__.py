"""What fixes a table of scores: published protocols under their names, and pcgen's own."""

from pcgen.metrics.protocols.own import pcgen
from pcgen.metrics.protocols.protocol import Drawing, Part, Protocol
from pcgen.metrics.protocols.shapes import pointflow

__all__ = ["Drawing", "Part", "Protocol", "pcgen", "pointflow"]
