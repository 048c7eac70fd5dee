"""The monitor inside the training loops of others: one file each, and a framework is imported only when asked for.

A plain loop needs none: call the `GapMonitor` with the features of each step.
"""

from __future__ import annotations

import importlib
from typing import Any

from isthmus.utils.errors import InputError

#: adapter -> (module, the package that it needs)
_ADAPTERS = {
    "lightning_callback": ("lightning", "lightning"),
    "trainer_callback": ("transformers", "transformers"),
    "evaluator": ("sentence_transformers", "sentence-transformers"),
    "metric": ("torchmetrics", "torchmetrics"),
}
__all__ = list(_ADAPTERS)


def needed(package: str, adapter: str) -> Any:
    """The imported package, or an `InputError` that says how to install it."""
    try:
        return importlib.import_module(package.replace("-", "_"))
    except ModuleNotFoundError as error:
        if error.name != package.replace("-", "_"):
            raise
        raise InputError(f"{adapter} needs {package}, which is not installed: pip install {package}") from None


def __getattr__(name: str) -> Any:
    if name not in _ADAPTERS:
        raise AttributeError(f"module 'isthmus.integrations' has no attribute {name!r}")
    return getattr(importlib.import_module(f"isthmus.integrations.{_ADAPTERS[name][0]}"), name)


def __dir__() -> list[str]:
    return __all__
