"""Neighbour preservation: whether a map keeps the nearest rows of the same modality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.compute.score_matrix import ScoreMatrix
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._per_item import mean_per_item
from isthmus.utils.errors import InputError

#: Number of neighbours that the task compares.
K = 10


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
    overlap = np.empty((n, len(ks)))
    matrices = [ScoreMatrix(rows, rows) for rows in (before, after)]
    for block in matrices[0].blocks():
        for column, k in enumerate(ks):
            nearest = [np.sort(_nearest(matrix, block, k), axis=1) for matrix in matrices]
            # Equal numbers of the two sorted lists are adjacent after the lists are merged.
            merged = np.sort(np.concatenate(nearest, axis=1), axis=1)
            overlap[block, column] = np.count_nonzero(merged[:, 1:] == merged[:, :-1], axis=1) / k
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


def _nearest(matrix: ScoreMatrix, block: slice, k: int) -> np.ndarray:
    """Return the numbers of the k nearest other rows of each row in the block, in any order."""
    scores = matrix.tile(block)
    matrix.fill_diagonal(scores, block.start, -np.inf)
    return matrix.topk_set(scores, k)
