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

from isthmus.utils.version import __version__

#: Folder of modules whose import name is not their path, such as `isthmus.sources`.
__path__.append(f"{__path__[0]}/utils/aliases")

#: public name -> module that defines it
_NAMES: dict[str, str] = {
    "Estimate": "isthmus.statistics.result",
    "InputError": "isthmus.utils.errors",
    "IsthmusWarning": "isthmus.utils.errors",
    "Modalities": "isthmus.diagnosis.modalities",
    "Moments": "isthmus.statistics.moments",
    "Pairs": "isthmus.data.pairs",
    "Result": "isthmus.statistics.result",
    "calibrate": "isthmus.diagnosis",
    "compare": "isthmus.evaluation",
    "compare_models": "isthmus.diagnosis",
    "explain": "isthmus.diagnosis",
    "load": "isthmus.reporting",
    "measure": "isthmus.metrics",
    "open_pairs": "isthmus.data.opening",
    "report": "isthmus.reporting",
    "config_context": "isthmus.compute.resources",
}
#: public module -> its path below this package
_MODULES: dict[str, str] = {
    "align": "align",
    "demo": "data.demo",
    "encode": "encode",
    "metrics": "metrics",
    "plot": "reporting.plot",
    "sources": "data.sources",
    "tasks": "tasks",
    "testing": "testing",
    "theory": "theory",
    "train": "train",
}

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
    "compare_models",
    "config_context",
    "demo",
    "encode",
    "explain",
    "load",
    "measure",
    "metrics",
    "open_pairs",
    "plot",
    "report",
    "sources",
    "tasks",
    "testing",
    "theory",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"isthmus.{_MODULES[name]}")
    else:
        from isthmus.utils.errors import unknown_attribute

        raise unknown_attribute("isthmus", name, __all__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from isthmus import align, encode, metrics, tasks, testing, theory, train
    from isthmus.compute.resources import config_context
    from isthmus.data import demo, sources
    from isthmus.data.opening import open_pairs
    from isthmus.data.pairs import Pairs
    from isthmus.diagnosis import calibrate, compare_models, explain
    from isthmus.diagnosis.modalities import Modalities
    from isthmus.evaluation import compare
    from isthmus.metrics import measure
    from isthmus.reporting import load, plot, report
    from isthmus.statistics.moments import Moments
    from isthmus.statistics.result import Estimate, Result
    from isthmus.utils.errors import InputError, IsthmusWarning
