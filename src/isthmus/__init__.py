"""isthmus measures, explains and closes the modality gap of multimodal embeddings.

>>> import isthmus
>>> pairs = isthmus.demo.load("plain")
>>> result = isthmus.measure(pairs)
>>> result["centroid_angle"].unit
'degrees'

Every public name is loaded on first use, so that `import isthmus` costs almost nothing and never imports
torch, matplotlib or scikit-learn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: public name -> module that defines it
_NAMES: dict[str, str] = {}
_MODULES = ("demo", "theory")

__all__ = sorted([*_NAMES, *_MODULES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"isthmus.{name}")
    else:
        raise AttributeError(f"module 'isthmus' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from isthmus import demo as demo
    from isthmus import theory as theory
