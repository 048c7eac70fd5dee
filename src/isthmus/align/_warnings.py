"""What too few pairs do to a map, said before it is used."""

from __future__ import annotations

import warnings
from typing import Any

from isthmus.statistics.moments import Moments
from isthmus.utils.errors import IsthmusWarning

#: Below this many pairs for each dimension a free linear map fits noise.
PAIRS_PER_DIMENSION = 10


def warn_few_pairs(aligner: Any, moments: Moments, width: int) -> None:
    """Warn when an unregularised map of this width has too few items to be trusted."""
    items = moments.by_item.n_items
    if items < PAIRS_PER_DIMENSION * width:
        warnings.warn(
            f"{type(aligner).__name__} fits a free map of {width} x {width} numbers to {items:,} items, fewer than "
            f"{PAIRS_PER_DIMENSION} for each dimension: it will look far better on these pairs than on others; judge "
            "it with compare(), or use PartialWhitening or Auto", IsthmusWarning, stacklevel=2)  # fmt: skip
