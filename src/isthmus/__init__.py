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
_NAMES: dict[str, str] = {
    "Estimate": "isthmus.result",
    "InputError": "isthmus.checks",
    "IsthmusWarning": "isthmus.checks",
    "Modalities": "isthmus.modalities",
    "Moments": "isthmus.moments",
    "Pairs": "isthmus.pairs",
    "Result": "isthmus.result",
    "calibrate": "isthmus.diagnosis",
    "compare": "isthmus.comparison",
    "explain": "isthmus.diagnosis",
    "load": "isthmus.align",
    "measure": "isthmus.metrics",
    "open_pairs": "isthmus.pairs",
    "report": "isthmus.reporting",
    "using": "isthmus.resources",
}
_MODULES = ("align", "demo", "encode", "metrics", "sources", "tasks", "theory", "train")

__all__ = [
    "Estimate",
    "InputError",
    "IsthmusWarning",
    "Modalities",
    "Moments",
    "Pairs",
    "Result",
    "__version__",
    "align",
    "calibrate",
    "compare",
    "demo",
    "encode",
    "explain",
    "load",
    "measure",
    "metrics",
    "open_pairs",
    "report",
    "sources",
    "tasks",
    "theory",
    "train",
    "using",
]


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
    from isthmus import align, demo, encode, metrics, sources, tasks, theory, train
    from isthmus.align import load
    from isthmus.checks import InputError, IsthmusWarning
    from isthmus.comparison import compare
    from isthmus.diagnosis import calibrate, explain
    from isthmus.metrics import measure
    from isthmus.modalities import Modalities
    from isthmus.moments import Moments
    from isthmus.pairs import Pairs, open_pairs
    from isthmus.reporting import report
    from isthmus.resources import using
    from isthmus.result import Estimate, Result
