"""Linear algebra and special functions behind the measures and aligners.

Every public name is imported on first use. Bessel functions are in `isthmus.linalg.bessel`.

>>> import numpy as np
>>> from isthmus import linalg
>>> axes = np.eye(3)
>>> linalg.principal_angles(axes[:, :2], axes[:, 1:]).degrees.tolist()
[0.0, 90.0]
"""

from __future__ import annotations

from isthmus.utils.lazy import lazy_names

#: public name -> module that defines it
_NAMES: dict[str, str] = {
    "BulkEdges": "random_subspaces",
    "PrincipalAngles": "subspaces",
    "Rotation": "rotations",
    "SharedSpace": "shared_directions",
    "bessel": "bessel",
    "bulk_edges": "random_subspaces",
    "fidelity": "psd",
    "isotropic_spectrum": "marchenko_pastur",
    "minimal_rotation": "rotations",
    "orthonormal": "subspaces",
    "plane_rotation": "rotations",
    "principal_angles": "subspaces",
    "random_principal_angles": "random_subspaces",
    "significant_directions": "significance",
    "significant_rank": "significance",
    "tracy_widom_edge": "random_subspaces",
}

__all__ = sorted(_NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
