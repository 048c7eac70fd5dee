"""Ranks of matching rows in both directions, from one product of scores."""

from __future__ import annotations

import numpy as np

from isthmus.compute.score_matrix import Map, even_slices
from isthmus.compute.topk import count_at_least, tile_map

#: Scores that differ by less than this many units of rounding are ties. Otherwise the order of two equal rows would
#: depend on how BLAS divides the product.
TIE = 8
#: Rows whose own scores and norms are computed at a time.
SLICE_ROWS = 2048


def matching_ranks(
    x: np.ndarray, y: np.ndarray, owner: np.ndarray, columns: np.ndarray | None = None, /
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of the matching rows for every row of x and of y.

    A rank is 1 + the number of non-matching rows that score at least as high (ties count against the query).

    Parameters
    ----------
    x, y : (n, d) and (m, d) arrays
        Unit rows.
    owner : (p,) int array
        Row of x of each matching pair.
    columns : (p,) int array, optional
        Row of y of each matching pair. Default: row j belongs to pair j.

    Returns
    -------
    ranks_x : (n,) int array
        Rank of the best matching row of y, and 0 for a row of x without a matching row.
    ranks_y : (m,) int array
        Rank of the best matching row of x.
    """
    x, y = _same_dtype(x, y)
    order = None if bool(np.all(owner[1:] >= owner[:-1])) else np.argsort(owner, kind="stable")
    if order is not None:
        owner = owner[order]
    if columns is not None:
        columns, order = columns if order is None else columns[order], None
    with tile_map(len(x) * len(y)) as run:
        own = _matching_scores(x, y, owner, order if columns is None else columns, run)
        slack = tie_slack(x, y, run)
        best = np.full(len(x), np.inf, dtype=x.dtype)
        matched, begins = np.unique(owner, return_index=True)
        best[matched] = np.maximum.reduceat(own, begins) - slack
        best_y = own
        if columns is not None:
            best_y = np.full(len(y), -np.inf, dtype=x.dtype)
            np.maximum.at(best_y, columns, own)
        best_y -= slack
        above_x, above_y = count_at_least(
            x, y, thresholds_x=best, thresholds_y=best_y, owner=owner, columns=columns, order=order, run=run
        )
    ranks_x = np.where(np.isin(np.arange(len(x)), matched), above_x + 1, 0)
    ranks_y = np.empty(len(y), dtype=np.int64)
    ranks_y[slice(None) if order is None else order] = above_y + 1
    return ranks_x, ranks_y


def _matching_scores(x: np.ndarray, y: np.ndarray, owner: np.ndarray, order: np.ndarray | None, run: Map) -> np.ndarray:
    """Return x[owner[j]] . y[order[j]] for every j, (m,)."""
    scores = np.empty(len(owner), dtype=x.dtype)

    def fill(rows: slice) -> None:
        matching = y[rows] if order is None else y[order[rows]]
        np.einsum("ij,ij->i", np.take(x, owner[rows], axis=0), matching, out=scores[rows])

    for _ in run(fill, even_slices(len(owner), SLICE_ROWS)):
        pass
    return scores


def tie_slack(x: np.ndarray, y: np.ndarray, run: Map = map) -> float:
    """Return how far below the matching row's score another score still counts as a tie.

    Parameters
    ----------
    x, y : (n, d) and (m, d) arrays of one dtype
        Rows.
    run : callable, default map
        See `isthmus.compute.topk.tile_map`.

    Returns
    -------
    float
        `TIE` units of rounding times the largest norms.
    """
    return TIE * float(np.finfo(x.dtype).eps) * max_norm(x, run) * max_norm(y, run)


def max_norm(rows: np.ndarray, run: Map = map) -> float:
    """Return the largest norm of rows (n, d), 0 without rows."""

    def largest(block: slice) -> float:
        return float(np.max(np.einsum("ij,ij->i", rows[block], rows[block]))) ** 0.5

    return max(run(largest, even_slices(len(rows), SLICE_ROWS)), default=0.0)


def match_thresholds(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the score from which a row ties with or precedes the match of x[i] or y[i], which are one pair.

    Parameters
    ----------
    x, y : (n, d) arrays
        Matching rows.

    Returns
    -------
    (n,) array
        Inner products of the matching rows minus `tie_slack`, in the precision of their product.
    """
    dtype = np.result_type(x, y)
    return np.einsum("ij,ij->i", x, y).astype(dtype) - dtype.type(tie_slack(x, y))


def _same_dtype(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays in float32 or float64, native and C-ordered."""
    wide = np.result_type(x.dtype, y.dtype).itemsize > 4
    dtype = np.float64 if wide else np.float32
    return np.ascontiguousarray(x, dtype=dtype), np.ascontiguousarray(y, dtype=dtype)
