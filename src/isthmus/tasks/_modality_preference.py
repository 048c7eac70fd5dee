"""Preference of each modality for the others in a search of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.score_matrix import select_topk
from isthmus.compute.topk import score_matrices
from isthmus.tasks._mixed_corpus import TOP, corrected_rows
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted


@dataclass(frozen=True)
class ModalityPreference:
    """Modalities of the hits by the modality of the query.

    Parameters
    ----------
    modalities : tuple of str
        Names of the M modalities, the order of rows and columns.
    shares : np.ndarray of shape (M, M)
        Share of each modality (column) in the top k of the queries of each modality (row). Rows sum to 1.
    expected : np.ndarray of shape (M, M)
        The same shares for a search that does not depend on the modality.

    Examples
    --------
    >>> ModalityPreference(("x", "y"), np.array([[0.75, 0.25], [0.5, 0.5]]), np.full((2, 2), 0.5)).ratio.tolist()
    [[1.5, 0.5], [1.0, 1.0]]
    """

    modalities: tuple[str, ...]
    shares: np.ndarray
    expected: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """Return shares over their expected values, of shape (M, M): 1 is fair, 0 means never found."""
        return self.shares / self.expected


def modality_preference(
    rows: Mapping[str, np.ndarray],
    /,
    *,
    k: int = TOP,
    items: Mapping[str, Any] | None = None,
    correction: Any = None,
) -> ModalityPreference:
    """Search all rows of two or more modalities with each row, and count the modalities of the hits.

    The rows of the item of the query do not count, neither the query itself nor its matches.

    Parameters
    ----------
    rows : dict of str to np.ndarray of shape (n_b, d)
        Unit rows of each modality by name.
    k : int, default 10
        Number of hits of each query.
    items : dict of str to array-like of shape (n_b,), optional
        Item of each row. Default: row i of every modality belongs to item i.
    correction : object, optional
        Score correction that knows these modalities. Default: scores are inner products.

    Returns
    -------
    ModalityPreference
        Shares of the modalities and their expected values.

    Raises
    ------
    InputError
        If there are fewer than two modalities, rows or items do not fit together, or fewer than k rows can be found.

    Examples
    --------
    >>> import numpy as np
    >>> image, text, audio = np.random.default_rng(0).normal(size=(3, 50, 8))
    >>> preference = modality_preference({"image": image, "text": text + 9, "audio": audio})
    >>> preference.modalities
    ('image', 'text', 'audio')
    >>> preference.shares[1].tolist()
    [0.0, 1.0, 0.0]
    """
    owners = _check(rows, items, k)
    modalities = tuple(rows)
    corpus_items = np.concatenate([owners[name] for name in modalities])
    codes = np.repeat(np.arange(len(modalities)), [len(rows[name]) for name in modalities])
    _, corpus_items = np.unique(corpus_items, return_inverse=True)
    counts = np.zeros((len(modalities), int(corpus_items.max()) + 1))  # rows of each modality and item
    np.add.at(counts, (codes, corpus_items), 1)
    n_found = len(codes) - int(counts.sum(axis=0).max())
    if n_found < k:
        raise InputError(
            f"k={k}, but a query can find {counted(max(n_found, 0), 'row')} of other items; give more rows"
        )
    shares, expected = np.zeros((2, len(modalities), len(modalities)))
    for number, name in enumerate(modalities):
        query_items = corpus_items[codes == number]
        queries, stored = corrected_rows(correction, rows[name], dict(rows), name)
        (matrix,) = score_matrices(queries, np.concatenate([stored[modality] for modality in modalities]))
        hits = np.zeros(len(modalities))
        for block in matrix.blocks():
            scores = to_numpy(matrix.tile(block))
            scores[query_items[block, None] == corpus_items] = -np.inf
            _, nearest = select_topk(scores, k)
            hits += np.bincount(codes[nearest].ravel(), minlength=len(modalities))
        shares[number] = hits / hits.sum()
        available = counts.sum(axis=1)[:, None] - counts[:, query_items]
        expected[number] = (available / available.sum(axis=0)).mean(axis=1)
    return ModalityPreference(modalities, shares, expected)


def _check(rows: Mapping[str, np.ndarray], items: Mapping[str, Any] | None, k: int) -> dict[str, np.ndarray]:
    """Return the item of each row by modality, or raise if the arguments do not fit together."""
    if len(rows) < 2:
        raise InputError(
            f"got {counted(len(rows), 'modality')}, expected two or more, such as {{'image': X, 'text': Y}}"
        )
    shapes = {name: np.shape(block) for name, block in rows.items()}
    if any(len(shape) != 2 for shape in shapes.values()) or len({shape[1] for shape in shapes.values()}) > 1:
        raise InputError(f"rows have the shapes {shapes}, expected (n, d) with one d for all modalities")
    if k < 1:
        raise InputError(f"k={k}, expected 1 or more")
    if items is None:
        return {name: np.arange(shape[0]) for name, shape in shapes.items()}
    owners = {name: np.asarray(items[name]) for name in rows if name in items}
    for name, shape in shapes.items():
        if name not in owners or owners[name].shape != shape[:1]:
            raise InputError(f"items of {name}: expected one for each of its {counted(shape[0], 'row')}")
    return owners
