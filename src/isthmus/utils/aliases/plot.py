"""Import name of `isthmus.reporting.plot`: `import isthmus.plot` gives that module."""

from __future__ import annotations

import sys

# The package has the lazy name, and its table of modules knows where the file is.
sys.modules[__name__] = sys.modules["isthmus"].plot
