"""The theory of the modality gap as functions (Yi, Douady and Chen, arXiv 2510.03268).

Every public name is imported on first use, so that `import isthmus.theory` loads no array framework and no
plotting library. The bounds are in `isthmus.theory.bounds` and under their own names here.

>>> from isthmus import theory
>>> round(theory.uniform_bound(3, temperature=0.2), 6)
-4.605261
"""

from __future__ import annotations

from isthmus.utils.lazy import lazy_names

#: public name -> module that defines it
_NAMES: dict[str, str] = {
    "Assumption": "statements",
    "Ceiling": "ceilings",
    "Certificate": "bounds",
    "Check": "assumptions",
    "Cone": "constraints",
    "ConstantParts": "constraints",
    "Constraint": "constraints",
    "Frame": "frames",
    "GoodnessOfFit": "goodness",
    "InfoNCEParts": "infonce",
    "RigidClouds": "constraints",
    "Run": "optimisation",
    "State": "trajectory",
    "Stop": "optimisation",
    "Subspaces": "constraints",
    "Theorem": "statements",
    "Trajectory": "trajectory",
    "Unconstrained": "constraints",
    "VonMisesFisher": "vmf",
    "affine_infimum": "bounds",
    "bounds": "bounds",
    "ceiling": "ceilings",
    "check": "assumptions",
    "check_moments": "assumptions",
    "cloud_loss": "clouds",
    "collapse_margin": "bounds",
    "cone_function": "bounds",
    "cone_is_monotone": "bounds",
    "finite_bound": "bounds",
    "goodness_of_fit": "goodness",
    "hyperplane_ceiling": "ceilings",
    "hyperplanes": "frames",
    "info_nce": "infonce",
    "info_nce_limit": "infonce",
    "info_nce_parts": "infonce",
    "loss_bound": "bounds",
    "measure_state": "trajectory",
    "optimise": "optimisation",
    "orthogonal_centres_certificate": "bounds",
    "orthogonal_centres_value": "bounds",
    "simplex_optimum": "bounds",
    "subspace_function": "bounds",
    "uniform_bound": "bounds",
    "uniform_bound_is_proved": "bounds",
}

__all__ = sorted(_NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
