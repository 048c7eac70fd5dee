"""Neighbour preservation: whether a map keeps the nearest rows of the same modality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.compute.topk import topk
from isthmus.linalg.remembered import DecompositionCache
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._per_item import mean_per_item
from isthmus.utils.errors import InputError

#: Number of neighbours that the task compares.
K = 10
#: Neighbours by the content of the rows. All maps of a comparison are compared with the same raw rows.
_CACHE = DecompositionCache(2**24)


def neighbour_overlap(before: np.ndarray, after: np.ndarray, /, *, ks: Sequence[int] = (K,)) -> np.ndarray:
    """Return the share of the nearest rows of each row that are the same after a map (NAS@k, Omega_k).

    Parameters
    ----------
    before, after : np.ndarray of shape (n, d) and (n, d')
        The same rows before and after the map. Nearest is by inner product, without the row itself.
    ks : sequence of int, default (10,)
        Numbers of neighbours.

    Returns
    -------
    np.ndarray of shape (n, len(ks))
        Shares in [0, 1]. Chance gives k / (n - 1).

    Raises
    ------
    InputError
        If the numbers of rows differ, or k is not between 1 and n - 1.

    References
    ----------
    AnisoAlign 2026, arXiv 2605.07825.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(20, 3))
    >>> rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    >>> float(neighbour_overlap(rows, rows[:, [2, 0, 1]], ks=[5]).mean())
    1.0
    """
    n = len(before)
    if len(after) != n:
        raise InputError(f"{n:,} rows before the map and {len(after):,} after it: they must be the same rows")
    if not ks or min(ks) < 1 or max(ks) >= n:
        raise InputError(f"k = {', '.join(map(str, ks)) or 'none'}: expected 1 to {n - 1} neighbours of {n} rows")
    nearest = [_nearest(rows, max(ks)) for rows in (before, after)]
    overlap = np.empty((n, len(ks)))
    for column, k in enumerate(ks):
        # Equal numbers of the two lists are adjacent after they are merged.
        merged = np.sort(np.concatenate([index[:, :k] for index in nearest], axis=1), axis=1)
        overlap[:, column] = np.count_nonzero(merged[:, 1:] == merged[:, :-1], axis=1) / k
    return overlap


@task(
    "neighbours",
    scores={
        f"NAS@{K}_{name}": Score("higher", f"share of the {K} nearest rows of {name} that are the same after the map")
        for name in ("x", "y")
    },
    source="Omega_k of AnisoAlign 2026, arXiv 2605.07825",
)
def neighbours(data: TaskData) -> TaskScores:
    """Compare the ten nearest rows of each row in its own modality before and after the map.

    The raw embeddings score 1 by definition.
    """
    rows, items = data.matches.y_rows, data.matches.y_items
    k = min(K, data.n_items - 1, len(items) - 1)
    x = neighbour_overlap(data.raw_x, data.x, ks=[k])[:, 0]
    y = neighbour_overlap(data.raw_y[rows], data.y[rows], ks=[k])[:, 0]
    return TaskScores({f"NAS@{K}_x": x, f"NAS@{K}_y": mean_per_item(y, items, data.n_items)})


def _nearest(rows: np.ndarray, k: int) -> np.ndarray:
    """Return the numbers of the k nearest other rows of each row, (n, k)."""
    rows = np.asarray(rows)
    (index,) = _CACHE.get(rows, f"{k} nearest", lambda: (topk(rows, rows, k=k, exclude_self=True).index,))
    return index
