"""Array libraries, devices, resources and blockwise computation."""

from typing import TYPE_CHECKING

from isthmus.compute.arrays import asarray_like, is_non_numpy, is_numpy, namespace, row_dot, take, to_numpy, unit_rows
from isthmus.compute.cluster import Cluster
from isthmus.compute.resources import Resources, config_context
from isthmus.compute.score_matrix import TopK
from isthmus.compute.topk import count_at_least, nearest_euclidean
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "Cluster",
    "Resources",
    "TopK",
    "asarray_like",
    "config_context",
    "count_at_least",
    "is_non_numpy",
    "is_numpy",
    "namespace",
    "nearest_euclidean",
    "row_dot",
    "take",
    "to_numpy",
    "unit_rows",
]

if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)
