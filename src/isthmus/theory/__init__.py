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

#: public name -> module that defines it
_NAMES: dict[str, str] = {
    "BulkEdges": "linalg.random_subspaces",
    "Ceiling": "theory.ceilings",
    "Certificate": "theory.bounds",
    "Experiment": "studies.theorems",
    "GoodnessOfFit": "theory.goodness",
    "InfoNCEParts": "theory.infonce",
    "PrincipalAngles": "linalg.rotations",
    "Rotation": "linalg.rotations",
    "Run": "theory.optimisation",
    "SharedSpace": "linalg.shared_directions",
    "State": "theory.trajectory",
    "Trajectory": "theory.trajectory",
    "VonMisesFisher": "theory.vmf",
    "affine_infimum": "theory.bounds",
    "bessel_ratio": "linalg.bessel",
    "bulk_edges": "linalg.random_subspaces",
    "check": "theory.assumptions",
    "ceiling": "theory.ceilings",
    "cloud_loss": "theory.clouds",
    "collapse_margin": "theory.bounds",
    "cone_function": "theory.bounds",
    "cone_is_monotone": "theory.bounds",
    "experiments": "studies.theorems",
    "fidelity": "linalg.fidelity",
    "finite_bound": "theory.bounds",
    "goodness_of_fit": "theory.goodness",
    "hyperplane_ceiling": "theory.ceilings",
    "info_nce": "theory.infonce",
    "info_nce_limit": "theory.infonce",
    "info_nce_parts": "theory.infonce",
    "inverse_bessel_ratio": "linalg.bessel",
    "log_iv": "linalg.bessel",
    "log_sphere_mgf": "linalg.bessel",
    "loss_bound": "theory.bounds",
    "measure_state": "theory.trajectory",
    "minimal_rotation": "linalg.rotations",
    "optimise": "theory.optimisation",
    "orthogonal_centres_certificate": "theory.bounds",
    "orthogonal_centres_value": "theory.bounds",
    "orthonormal": "linalg.rotations",
    "plane_rotation": "linalg.rotations",
    "principal_angles": "linalg.rotations",
    "random_principal_angles": "linalg.random_subspaces",
    "run_all": "studies.theorems.page",
    "significant_directions": "linalg.significance",
    "significant_rank": "linalg.significance",
    "simplex_optimum": "theory.bounds",
    "subspace_function": "theory.bounds",
    "tracy_widom_edge": "linalg.random_subspaces",
    "uniform_bound": "theory.bounds",
    "uniform_bound_is_proved": "theory.bounds",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'isthmus.theory' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"isthmus.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
