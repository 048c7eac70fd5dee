"""Contract suites for what extends the package: metrics, aligners, formats, tasks and stores.

Each `check_*` function raises AssertionError with the broken promise, and returns None if the object keeps its
contract. The tests of the package call them for every registered object, and plug-ins call them for theirs.
"""

from __future__ import annotations

import importlib
from typing import Any

from isthmus.utils.errors import unknown_attribute

#: public name -> module of this package that defines it
_NAMES: dict[str, str] = {
    "ALIGNER_CHECKS": "aligners",
    "METRIC_CHECKS": "metrics",
    "check_aligner": "aligners",
    "check_format": "formats",
    "check_metric": "metrics",
    "check_store": "stores",
    "check_task": "tasks",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise unknown_attribute("isthmus.testing", name, __all__)
    value = getattr(importlib.import_module(f"isthmus.testing.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
