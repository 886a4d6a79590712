"""From file to file: images to clouds and back, from one format to another, in blocks.

:func:`convert` is ``pcgen convert``, without its printout. It loads neither torch nor a file
library before it is called: the help of the command is its docstring.
"""

from pcgen.conversion.file_to_file import Converted, convert

__all__ = ["Converted", "convert"]
