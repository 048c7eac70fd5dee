"""Other libraries: vector stores, and the monitor in training loops, one file each. They are imported only on use.

A plain loop needs no integration: call the `GapMonitor` with the features of each step.
"""

from __future__ import annotations

import importlib
from typing import Any

from isthmus.utils.errors import unknown_attribute

#: Public name -> module of this package that defines it.
_MODULES = {
    "chroma_embedding": "stores.chroma",
    "evaluator": "sentence_transformers",
    "lancedb_embedding": "stores.lancedb",
    "lightning_callback": "lightning",
    "metric": "torchmetrics",
    "to_atlas": "atlas",
    "to_faiss": "faiss",
    "to_folder": "folder",
    "to_onnx": "onnx",
    "trainer_callback": "transformers",
    "with_correction": "sentence_transformers",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise unknown_attribute("isthmus.integrations", name, __all__)
    return getattr(importlib.import_module(f"isthmus.integrations.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
