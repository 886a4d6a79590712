"""Tables of points, flat or jagged, read as clouds: CSV, Parquet, ROOT, HDF5, NumPy and HepMC.

A table is *flat* where a row is a point and a column has the event's number, *jagged* where a row
is an event and columns have lists. Options of ``pcgen convert`` state what the columns are
(``--pos x,y,z:mm --weight energy:GeV``), or a preset does, a few lines of YAML; both become
:class:`~pcgen.io.tables.mapping.Columns`.
"""

from pcgen.io.tables.mapping import Columns, from_words
from pcgen.io.tables.reader import TableFile

__all__ = ["Columns", "TableFile", "from_words"]
