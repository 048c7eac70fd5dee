"""Hits of a search in several lists, one for each stored modality, and their merge by corrected scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.score_matrix import select_topk
from isthmus.utils.errors import InputError


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
        if not lists or k < 1:
            raise InputError(f"got {len(lists)} lists and k={k}, expected one or more lists and k of 1 or more")
        scores: list[np.ndarray] = []
        rows: list[np.ndarray] = []
        modalities: list[np.ndarray] = []
        for modality, tables in lists.items():
            values, numbers = (np.atleast_2d(to_numpy(table)) for table in tables)
            if values.shape != numbers.shape or (rows and len(values) != len(rows[0])):
                raise InputError(
                    f"got scores of shape {values.shape} and rows of shape {numbers.shape} in the list of {modality}, "
                    "expected one shape, and one row for each query"
                )
            corrected, is_missing = score(values, modality), numbers < 0
            if is_missing.any():
                corrected, numbers = np.where(is_missing, -np.inf, corrected), np.where(is_missing, -1, numbers)
            scores.append(corrected)
            rows.append(numbers)
            modalities.append(np.full(numbers.shape, modality))
        best, columns = select_topk(np.concatenate(scores, axis=1), k)
        query = np.arange(len(best))[:, None]
        return cls(best, *(np.concatenate(tables, axis=1)[query, columns] for tables in (rows, modalities)))
