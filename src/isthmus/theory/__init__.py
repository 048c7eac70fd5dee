"""The theory of the modality gap as runnable code (Yi, Douady and Chen, arXiv 2510.03268).

Every public name is loaded on first use: `import isthmus.theory` imports no array framework and no
plotting library.

>>> from isthmus import theory
>>> round(theory.uniform_bound(3, temperature=0.2), 6)
-4.605261
"""

from __future__ import annotations

import importlib
from typing import Any

#: public name -> module of this package that defines it
_NAMES: dict[str, str] = {
    "BulkEdges": "null_angles",
    "Ceiling": "ceilings",
    "Certificate": "bounds",
    "Experiment": "theorems",
    "GoodnessOfFit": "goodness",
    "InfoNCEParts": "infonce",
    "PrincipalAngles": "rotations",
    "Rotation": "rotations",
    "Run": "particles",
    "State": "trajectory",
    "Trajectory": "trajectory",
    "VonMisesFisher": "vmf",
    "affine_infimum": "bounds",
    "bessel_ratio": "bessel",
    "bulk_edges": "null_angles",
    "check": "assumptions",
    "ceiling": "ceilings",
    "cloud_loss": "clouds",
    "collapse_margin": "bounds",
    "cone_function": "bounds",
    "cone_is_monotone": "bounds",
    "experiments": "theorems",
    "fidelity": "ceilings",
    "finite_bound": "bounds",
    "goodness_of_fit": "goodness",
    "hyperplane_ceiling": "ceilings",
    "info_nce": "infonce",
    "info_nce_limit": "infonce",
    "info_nce_parts": "infonce",
    "inverse_bessel_ratio": "bessel",
    "log_iv": "bessel",
    "log_sphere_mgf": "bessel",
    "loss_bound": "bounds",
    "measure_state": "trajectory",
    "minimal_rotation": "rotations",
    "optimise": "particles",
    "orthogonal_centres_certificate": "bounds",
    "orthogonal_centres_value": "bounds",
    "orthonormal": "rotations",
    "plane_rotation": "rotations",
    "principal_angles": "rotations",
    "random_principal_angles": "null_angles",
    "run_all": "page",
    "significant_directions": "significance",
    "significant_rank": "significance",
    "simplex_optimum": "bounds",
    "subspace_function": "bounds",
    "tracy_widom_edge": "null_angles",
    "uniform_bound": "bounds",
    "uniform_bound_is_proved": "bounds",
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
