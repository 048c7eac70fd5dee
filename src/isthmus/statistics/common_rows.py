"""Clause about the rows that two sources have in common, which rows of two modalities never have."""

from __future__ import annotations

from isthmus.data.common_rows import count_common_rows
from isthmus.data.grouping import MAX_ROWS
from isthmus.data.sources import Source

#: Share of the rows of one source that are also rows of the other from which on they are named.
MIN_COMMON_SHARE = 0.5


def common_rows_clause(x: Source, y: Source, names: tuple[str, str], /) -> str:
    """Return how many rows of one source are also rows of the other.

    Parameters
    ----------
    x, y : Source
        Rows of the same width.
    names : tuple of str
        Names of the two sources.

    Returns
    -------
    str
        The clause about the shorter one, without a full stop. It is empty if fewer than half of its rows are also rows
        of the longer one, or if that has more than 5,000,000 rows, which are not searched.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(6, 4))
    >>> x, y = Source(rows, address="x"), Source(rows[::-1], address="y")
    >>> common_rows_clause(x, y, ("image", "text"))
    'the same 6 rows stand in image and text'
    """
    if x.shape[0] < y.shape[0]:
        x, y, names = y, x, names[::-1]
    n_rows = y.shape[0]
    n_common = 0 if x.shape[0] > MAX_ROWS else count_common_rows(x, y)
    if n_common < MIN_COMMON_SHARE * n_rows:
        return ""
    if n_common < n_rows:
        return f"{n_common:,} of {n_rows:,} rows of {names[1]} are also rows of {names[0]}"
    if x.shape[0] == n_rows:
        return f"the same {n_rows:,} rows stand in {names[0]} and {names[1]}"
    return f"all {n_rows:,} rows of {names[1]} are also rows of {names[0]}"
