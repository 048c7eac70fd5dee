"""The theory of the modality gap as runnable code (Yi, Douady and Chen, arXiv 2510.03268).

Every public name is loaded on first use: `import isthmus.theory` imports no array framework and no
plotting library.

>>> import numpy as np
>>> from isthmus import theory
>>> round(theory.plane_rotation(np.eye(2)[0], np.eye(2)[1]).norm(), 9)
2.0
"""

from __future__ import annotations

import importlib
from typing import Any

#: public name -> module of this package that defines it
_NAMES: dict[str, str] = {
    "PrincipalAngles": "rotations",
    "Rotation": "rotations",
    "bessel_ratio": "bessel",
    "InfoNCEParts": "infonce",
    "info_nce": "infonce",
    "info_nce_limit": "infonce",
    "info_nce_parts": "infonce",
    "inverse_bessel_ratio": "bessel",
    "log_iv": "bessel",
    "log_sphere_mgf": "bessel",
    "minimal_rotation": "rotations",
    "orthonormal": "rotations",
    "plane_rotation": "rotations",
    "principal_angles": "rotations",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'isthmus.theory' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"isthmus.theory.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
