"""Rows of two sets without pairs that are not independent: near copies, and rows that both sets hold."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute.arrays import unit_rows
from isthmus.data.unpaired_sets import UnpairedSets, sample_rows
from isthmus.statistics.common_rows import common_rows_clause
from isthmus.statistics.degeneracy import Degeneracy
from isthmus.statistics.near_copies import find_near_copies

#: Rows of each set that are searched for near copies.
MAX_SAMPLED_ROWS = 2_000
#: Kind of degenerate data that rows of both sets are.
COMMON_ROWS = "common rows"

#: Results for sets that still exist.
_CACHE: WeakKeyDictionary[UnpairedSets, list[Degeneracy]] = WeakKeyDictionary()


def find_dependent_rows(sets: UnpairedSets, /) -> list[Degeneracy]:
    """Return that rows of a set have near copies, and that the two sets have rows in common.

    Parameters
    ----------
    sets : UnpairedSets
        The sets.

    Returns
    -------
    list of Degeneracy
        At most one entry of each kind. It is computed once while the sets exist.

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(size=(100, 16))
    >>> find_dependent_rows(UnpairedSets(image=image, text=image[:50]))[0].message
    'all 50 rows of text are also rows of image, so that the two sets are not independent'
    """
    if sets not in _CACHE:
        samples = []
        for source in (sets.x, sets.y):
            rows = unit_rows(sample_rows(source, MAX_SAMPLED_ROWS, 0).astype(np.float64))
            samples.append(rows[np.isfinite(rows).all(axis=1) & rows.any(axis=1)])
        entries = find_near_copies((samples[0], samples[1]), sets.sizes, sets.names, paired=False)
        if clause := common_rows_clause(sets.x, sets.y, sets.names):
            message = f"{clause}, so that the two sets are not independent"
            entries.append(Degeneracy(COMMON_ROWS, sets.names, message))
        _CACHE[sets] = entries
    return _CACHE[sets]
