"""Import name of `isthmus.data.sources`: `import isthmus.sources` gives that module."""

from __future__ import annotations

import sys

# The package has the lazy name, and its table of modules knows where the file is.
sys.modules[__name__] = sys.modules["isthmus"].sources
