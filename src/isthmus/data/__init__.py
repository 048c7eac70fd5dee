"""Data: sources of embeddings on disk, pairs, joins by key, duplicate rows and the demonstration data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.grouping import item_groups
from isthmus.data.hashing import hash_rows
from isthmus.data.invalid_rows import find_invalid_rows
from isthmus.data.joins import KeyJoin, join_keys, select_rows
from isthmus.data.open_spec import OpenSpec
from isthmus.data.opening import as_pairs, open_pairs
from isthmus.data.pairs import Pairs
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "CrossDimPairs",
    "KeyJoin",
    "OpenSpec",
    "Pairs",
    "UnpairedSets",
    "as_pairs",
    "find_invalid_rows",
    "hash_rows",
    "item_groups",
    "join_keys",
    "open_pairs",
    "select_rows",
]

if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)
