"""The monitor in the training loops of other frameworks, one file each. A framework is imported only on use.

A plain loop needs no integration: call the `GapMonitor` with the features of each step.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Public name -> module of this package that defines it.
_MODULES = {
    "evaluator": "sentence_transformers",
    "lightning_callback": "lightning",
    "metric": "torchmetrics",
    "trainer_callback": "transformers",
}

__all__ = ["evaluator", "lightning_callback", "metric", "trainer_callback"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'isthmus.integrations' has no attribute {name!r}")
    return getattr(importlib.import_module(f"isthmus.integrations.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
