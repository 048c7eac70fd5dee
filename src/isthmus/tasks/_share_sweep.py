"""Mixed-modality search in corpora with several shares of items stored as x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.tasks.mixed_search import MixedSearch


def share_sweep(
    x: np.ndarray,
    y: np.ndarray,
    /,
    *,
    shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9),
    index: Any = None,
    rng: int = 0,
) -> list[dict[str, float]]:
    """Search corpora with several shares of items stored as x.

    Parameters
    ----------
    x, y : np.ndarray of shape (n_x, d) and (n_y, d)
        Unit rows.
    shares : sequence of float, default (0.1, 0.25, 0.5, 0.75, 0.9)
        Shares of the items. The draws are nested: an item stored as x is stored as x at every larger share.
    index : array-like of shape (n_y,), optional
        Item of each row of y. Default: row j belongs to item j.
    rng : int, default 0
        Seed of the draw.

    Returns
    -------
    list of dict
        For each share the keys 'share', 'x_R@1', 'x_NDCG@10', 'y_R@1', 'y_NDCG@10' (by modality of the query),
        'same_modality_share' and 'expected_share'.

    Examples
    --------
    >>> import numpy as np
    >>> [row["x_R@1"] for row in share_sweep(np.eye(8), np.eye(8), shares=[0.25, 0.5])]
    [1.0, 1.0]
    """
    table = []
    for share in shares:
        search = MixedSearch.of(x, y, index=index, share=share, rng=rng)
        row = {"share": float(share)}
        for modality, ranks, ndcg in (("x", search.x_ranks, search.x_ndcg), ("y", search.y_ranks, search.y_ndcg)):
            is_query = ranks > 0
            row[f"{modality}_R@1"] = float(np.mean(ranks[is_query] == 1)) if is_query.any() else float("nan")
            row[f"{modality}_NDCG@10"] = float(np.mean(ndcg[is_query])) if is_query.any() else float("nan")
        row |= {"same_modality_share": search.same_modality_share, "expected_share": search.expected_share}
        table.append(row)
    return table
