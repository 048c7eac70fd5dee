"""Imports the packages with registries before pytest collects single modules of `src` for their examples.

Pytest would otherwise import such a module a second time, and its classes would not be those of the registries.
"""

import isthmus.align
import isthmus.data.sources
import isthmus.evaluation
import isthmus.metrics
import isthmus.tasks  # noqa: F401
