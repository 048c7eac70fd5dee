"""Bounds of the symmetric InfoNCE loss, and the functions whose minima decide where two clouds of vectors go.

L is the loss with both directions summed, Phi = L - 2 log n its population part, and tau the temperature. A bound on
Phi holds for every number of pairs n. Each docstring states the assumption of its formula, and whether it is proved,
measured or open. Claims are those of Yi, Douady and Chen (2025), arXiv 2510.03268, or are derived here.
"""

from __future__ import annotations

from isthmus.theory.centre_functions import cone_function, cone_is_monotone, subspace_function
from isthmus.theory.loss_bounds import finite_bound, loss_bound, simplex_optimum, uniform_bound, uniform_bound_is_proved
from isthmus.theory.orthogonal_centres import (
    Certificate,
    affine_infimum,
    collapse_margin,
    orthogonal_centres_certificate,
    orthogonal_centres_value,
)

__all__ = [
    "Certificate",
    "affine_infimum",
    "collapse_margin",
    "cone_function",
    "cone_is_monotone",
    "finite_bound",
    "loss_bound",
    "orthogonal_centres_certificate",
    "orthogonal_centres_value",
    "simplex_optimum",
    "subspace_function",
    "uniform_bound",
    "uniform_bound_is_proved",
]
