"""The corpus of all rows of both modalities: classes, queries, and ranks of relevant rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.score_matrix import select_topk
from isthmus.compute.topk import score_matrices
from isthmus.tasks._mixed_corpus import TOP, count_ahead, discounted_gain
from isthmus.tasks.matches import Matches
from isthmus.tasks.ranks import TIE

#: More relevant rows of a query are found by comparing the groups of all rows.
MAX_MEMBERS = 64


def row_classes(matches: Matches, labels: Any) -> dict[str, np.ndarray]:
    """Return the class of each row of x and of each distinct row of y. Without labels it is their item."""
    classes = matches.x_components if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    return {"x": classes, "y": classes[matches.y_items]}


def two_sided_queries(classes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return which rows of each modality have a relevant row in both modalities."""
    size = max(int(values.max(initial=-1)) for values in classes.values()) + 1
    counts = {name: np.bincount(values, minlength=size) for name, values in classes.items()}
    return {
        name: (counts[name][classes[name]] > 1) & (counts[opposite][classes[name]] > 0)
        for name, opposite in (("x", "y"), ("y", "x"))
    }


def ranks_and_ndcg(ahead: np.ndarray, top: np.ndarray, n_relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of the best relevant row of each modality, and NDCG@10.

    Parameters
    ----------
    ahead : (n, 2 + r) int array
        Irrelevant rows ahead of the best relevant row of the own and the other modality, and of each row of `top`.
    top : (n, r) array
        Largest scores of relevant rows in descending order, -inf beyond them.
    n_relevant : (n,) int array
        Number of relevant rows.

    Returns
    -------
    tuple of (n, 2) and (n,) arrays
        Ranks, and NDCG@10.
    """
    positions = 1 + np.arange(top.shape[1]) + ahead[:, 2:]
    gains = discounted_gain(np.where(np.isfinite(top), positions, 0), TOP)
    ideal_gains = np.cumsum(1 / np.log2(2 + np.arange(TOP)))
    return 1 + ahead[:, :2], gains.sum(axis=1) / ideal_gains[np.minimum(n_relevant, TOP) - 1]


def search_corpus_of_both(
    queries: np.ndarray, rows: np.ndarray, corpus: np.ndarray, groups: np.ndarray, n_own: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of the best relevant row of the own and the other modality (n, 2), and NDCG@10 (n,).

    The first `n_own` corpus rows have the modality of the queries. Query i is corpus row `rows[i]` and does not find
    itself. Ranks above 10 are 11.
    """
    ranks, ndcg = np.empty((len(queries), 2), dtype=np.int64), np.empty(len(queries))
    slack = TIE * float(np.finfo(np.result_type(queries, corpus)).eps)
    members, n_members = _members(groups)
    (matrix,) = score_matrices(queries, corpus)
    for block in matrix.blocks():
        scores = to_numpy(matrix.tile(block))
        query = np.arange(len(scores))[:, None]
        scores[query[:, 0], rows[block]] = -np.inf
        if members is None:
            is_relevant = groups[rows[block], None] == groups
            relevant = np.where(is_relevant, scores, -np.inf)
            irrelevant, _ = select_topk(np.where(is_relevant, -np.inf, scores), TOP)
            best = np.stack([relevant[:, :n_own].max(axis=1), relevant[:, n_own:].max(axis=1)], axis=1)
        else:  # few relevant rows are taken out
            columns = members[groups[rows[block]]]
            is_row = columns >= 0
            relevant = np.where(is_row, scores[query, columns], -np.inf)
            scores[np.broadcast_to(query, columns.shape)[is_row], columns[is_row]] = -np.inf
            irrelevant, _ = select_topk(scores, TOP)
            is_own = columns < n_own
            best = np.stack([np.where(mask, relevant, -np.inf).max(axis=1) for mask in (is_own, ~is_own)], axis=1)
        n_relevant = n_members[groups[rows[block]]] - 1  # without the query
        top, _ = select_topk(relevant, TOP)
        ahead = count_ahead(np.concatenate([best, top], axis=1), irrelevant, slack)
        ranks[block], ndcg[block] = ranks_and_ndcg(ahead, top, n_relevant)
    return ranks, ndcg


def _members(groups: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the rows of each group (n_groups, most), -1 beyond them, or None if a group is large, and their counts."""
    counts = np.bincount(groups)
    if counts.max() > MAX_MEMBERS:
        return None, counts
    members = np.full((len(counts), int(counts.max())), -1)
    order = np.argsort(groups, kind="stable")
    members[groups[order], np.arange(len(order)) - (np.cumsum(counts) - counts)[groups[order]]] = order
    return members, counts
