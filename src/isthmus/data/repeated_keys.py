"""Joins by a key that several rows of both files have, such as a flat export with the image of each caption."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.data.joins import KeyJoin, key_codes, no_common_key
from isthmus.utils.errors import InputError

#: Most pairs for each row of the two files. A key with more names classes, and not items.
MAX_PAIRS_PER_ROW = 100


def join_repeated_keys(
    x: Any, y: Any, groups_x: np.ndarray | None, groups_y: np.ndarray | None, /, *, key: str, columns: tuple[str, str]
) -> KeyJoin:
    """Match every row of a key in the first file with every row of that key in the second one.

    Rows of one key that are equal count once. So a flat export of five captions beside five copies of their image gives
    five pairs.

    Parameters
    ----------
    x, y : numpy.ndarray or pyarrow.ChunkedArray
        Keys (n_x,) and (n_y,), integers or text.
    groups_x, groups_y : numpy.ndarray or None
        Number of the distinct row of each row. None if all are distinct.
    key : str
        Name of the key for `KeyJoin`.
    columns : tuple of str
        Names of the two columns for messages.

    Returns
    -------
    KeyJoin
        The matching rows. A row number of `y` occurs once for each row of x that it matches.

    Raises
    ------
    InputError
        If no key is shared, or if keys repeat so often that they do not name items.

    Examples
    --------
    >>> ids, groups = np.array([7, 7, 8]), np.array([0, 0, 1])
    >>> join = join_repeated_keys(ids, ids, groups, None, key="id", columns=("image", "text"))
    >>> join.x.tolist(), join.y.tolist(), join.index.tolist()
    ([0, 2], [0, 1, 2], [0, 0, 1])
    """
    codes = key_codes((x, y), columns)
    n_x = len(codes[0][0])
    numbers = _number_keys([np.concatenate([a, b]) for a, b in zip(*codes, strict=True)])
    keys_x, keys_y = numbers[:n_x], numbers[n_x:]
    matched = np.count_nonzero(np.isin(keys_x, keys_y)), np.count_nonzero(np.isin(keys_y, keys_x))
    if not matched[0]:
        raise no_common_key(x, y, columns)
    rows_x, rows_y = _first_rows(keys_x, groups_x), _first_rows(keys_y, groups_y)
    rows_x = rows_x[np.isin(keys_x[rows_x], keys_y)]
    rows_y = rows_y[np.argsort(keys_y[rows_y], kind="stable")]
    begins, ends = (np.searchsorted(keys_y[rows_y], keys_x[rows_x], side=side) for side in ("left", "right"))
    counts = ends - begins
    n_pairs = int(counts.sum())
    if n_pairs > MAX_PAIRS_PER_ROW * (len(keys_x) + len(keys_y)):
        raise InputError(
            f"{key}: its keys repeat so often that they would make {n_pairs:,} pairs of {len(keys_x):,} and "
            f"{len(keys_y):,} rows; expected a key that names items"
        )
    within = np.arange(n_pairs) - np.repeat(np.cumsum(counts) - counts, counts)
    pair_rows_y = rows_y[np.repeat(begins, counts) + within]
    index = np.repeat(np.arange(len(rows_x)), counts)
    sizes = (len(keys_x), len(keys_y))
    repeats_in_both = int(np.bincount(keys_y).max()) > 1
    return KeyJoin(key, rows_x, pair_rows_y, index, sizes, (int(matched[0]), int(matched[1])), repeats_in_both)


def _first_rows(keys: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the first row of each combination of a key and a distinct row, ascending."""
    if groups is None:
        return np.arange(len(keys))
    return np.sort(np.unique(keys * (int(groups.max()) + 1) + groups, return_index=True)[1])


def _number_keys(codes: list[np.ndarray]) -> np.ndarray:
    """Return a number from 0 for each key, equal where all codes (n,) of two keys are."""
    order = np.lexsort(codes)
    is_new = np.zeros(len(order), dtype=bool)
    for code in codes:
        ordered = code[order]
        is_new[1:] |= ordered[1:] != ordered[:-1]
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.cumsum(is_new)
    return numbers
