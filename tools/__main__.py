"""``python -m pcgen.tools`` is the command ``pcgen``."""

import sys

from pcgen.tools.cli import main

sys.exit(main())
