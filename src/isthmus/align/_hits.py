"""Hits of a search in several lists, one for each stored modality, and their merge by corrected scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.score_matrix import select_topk
from isthmus.utils.arguments import check_count, type_of
from isthmus.utils.errors import InputError

#: So few hits of a query are sorted. More are selected first.
SORTED_HITS = 64


@dataclass(frozen=True, eq=False)
class Hits:
    """Best stored rows of each query, in descending order of their scores.

    Parameters
    ----------
    scores : ndarray of shape (m, k)
        Corrected scores. -inf stands for a hit that is missing, because the lists returned fewer than k.
    rows : ndarray of int of shape (m, k)
        Row numbers in the list of the modality. -1 if the hit is missing.
    modalities : ndarray of str of shape (m, k)
        Modality of each hit.
    relevance : ndarray of shape (m, k), optional
        Probability that the hit is right, for the best row of each modality for which `ScoreCorrection.relevance` was
        calibrated. NaN for the others. None without a calibration.

    Examples
    --------
    >>> import numpy as np
    >>> lists = {"x": (np.array([[0.9]]), np.array([[4]])), "y": (np.array([[0.2]]), np.array([[7]]))}
    >>> hits = Hits.merged(lists, lambda products, modality: products, k=2)
    >>> hits.rows.tolist(), hits.modalities.tolist()
    ([[4, 7]], [['x', 'y']])
    """

    scores: np.ndarray
    rows: np.ndarray
    modalities: np.ndarray
    relevance: np.ndarray | None = None

    @classmethod
    def merged(
        cls, lists: Mapping[str, tuple[Any, Any]], score: Callable[[np.ndarray, str], np.ndarray], *, k: int
    ) -> Hits:
        """Merge the hits of several lists.

        Parameters
        ----------
        lists : mapping of modality to (values, rows)
            What the search of each list returned: two arrays of shape (m, any). Negative row numbers are missing hits.
        score : callable
            Called as score(values, modality). Returns scores that can be compared between modalities.
        k : int
            Number of hits of each query.

        Returns
        -------
        Hits
            At most k hits of each query.

        Raises
        ------
        InputError
            If there is no list, k is not positive, or shapes do not match.
        """
        if not isinstance(lists, Mapping):
            raise InputError(
                f"got {type_of(lists)} of lists, expected a dictionary from the modality of each list to its "
                "pair (scores, rows)"
            )
        k = check_count(k, "k")
        if not lists:
            raise InputError("got 0 lists, expected one or more")
        if len(lists) == 1:
            ((modality, found),) = lists.items()
            values, rows = _tables(modality, found)
            scores, modality_of_column = score(values, modality), np.zeros(rows.shape[1], dtype=np.intp)
        else:
            tables = [_tables(modality, found) for modality, found in lists.items()]
            if len({len(values) for values, _ in tables}) > 1:
                counts = ", ".join(f"{len(values)} for {name}" for name, (values, _) in zip(lists, tables, strict=True))
                raise InputError(f"got lists with the hits of {counts} queries, expected one row for each query in all")
            scored = [score(values, modality) for modality, (values, _) in zip(lists, tables, strict=True)]
            scores = np.concatenate(scored, axis=1)
            rows = np.concatenate([numbers for _, numbers in tables], axis=1)
            modality_of_column = np.concatenate(
                [np.full(values.shape[1], number) for number, (values, _) in enumerate(tables)]
            )
        if rows.size and rows.min() < 0:
            scores, rows = np.where(rows < 0, -np.inf, scores), np.maximum(rows, -1)
        if scores.shape[1] <= SORTED_HITS:
            columns = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        else:
            columns = select_topk(scores, k)[1]
        query = np.arange(len(scores))[:, None]
        return cls(scores[query, columns], rows[query, columns], np.array(list(lists))[modality_of_column[columns]])


def _tables(modality: str, found: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores and the row numbers (m, any) of a list. Raise `InputError` if it holds something else."""
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        size = f" of {len(found)}" if isinstance(found, (tuple, list)) else ""
        raise InputError(
            f"got {type_of(found)}{size} as the list of {modality}, expected a pair (scores, rows) of two "
            "arrays of shape (queries, hits), as the search of an index returns them"
        )
    values, numbers = to_numpy(found[0]), to_numpy(found[1])
    if values.ndim < 2:
        values, numbers = np.atleast_2d(values), np.atleast_2d(numbers)
    if values.shape != numbers.shape or values.ndim != 2:
        raise InputError(
            f"got scores of shape {values.shape} and rows of shape {numbers.shape} in the list of {modality}, "
            "expected one shape, and one row for each query"
        )
    if numbers.dtype.kind not in "iu" or values.dtype.kind not in "fiu":
        raise InputError(
            f"got scores of {values.dtype} and rows of {numbers.dtype} in the list of {modality}, expected a pair "
            "(scores, rows) of numbers and of integer row numbers"
        )
    return values, numbers
