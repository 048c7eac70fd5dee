"""Warnings about overfitting when pairs are few."""

from __future__ import annotations

from isthmus.statistics.moments import Moments
from isthmus.utils.errors import IsthmusWarning
from isthmus.utils.warning import warn

#: A free linear map that is fitted to fewer pairs per dimension than this follows noise.
PAIRS_PER_DIMENSION = 10


def warn_few_pairs(aligner: str, moments: Moments, dim: int) -> None:
    """Warn when a free map of `dim` x `dim` numbers is fitted to fewer than ten items per dimension."""
    items = moments.by_item.n_items
    if items < PAIRS_PER_DIMENSION * dim:
        warn(
            f"{aligner} fits a free map of {dim} x {dim} numbers to {items:,} items, fewer than "
            f"{PAIRS_PER_DIMENSION} per dimension, so it looks far better on these pairs than on new ones; judge it "
            "with compare(), or use PartialWhitening or Auto",
            IsthmusWarning,
            stacklevel=2,
        )
