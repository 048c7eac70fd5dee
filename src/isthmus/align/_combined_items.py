"""Items with rows of two modalities, stored as one row: a weighted sum of their corrected rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.compute.arrays import Array, to_numpy
from isthmus.compute.topk import topk
from isthmus.utils.errors import InputError
from isthmus.utils.format import percent

#: Weights of the first modality that are tried, and largest number of items that they are judged on.
WEIGHTS = tuple(k / 20 for k in range(21))
MAX_ITEMS = 2_000
#: Lead of a modality in standard errors from which on the gain of a sum needs one standard error.
LEAD_ERRORS = 2
#: Share of queries that may equal a row of their own item. Those find it by themselves and teach no weight.
MAX_EQUAL = 0.05


@dataclass(frozen=True, eq=False)
class CombinedItems:
    """Items with rows of two modalities in an index of one row for each item.

    The row is the weighted sum of the rows that `stored(rows, modality=, queries=)` gives. Its inner product with
    `query(q, modality=, index="exact")` is the weighted sum of the corrected scores.

    Parameters
    ----------
    correction : Aligner
        Fitted score correction for an index of inner products, or fitted row map.
    query : str
        Modality of the queries.
    weights : mapping of str to float
        Weight of each of the two modalities.
    recall : mapping of str to float, optional
        R@1 on held-out items of the rows of each modality alone, and of the chosen sum as 'both'.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("plain", split="test")
    >>> images, texts = pairs.unit()
    >>> calibration = isthmus.align.ScoreCalibration().fit(pairs)
    >>> items = CombinedItems(calibration, query="text", weights={"image": 0.7, "text": 0.3})
    >>> rows = items.stored(image=images, text=texts)
    >>> (calibration.query(texts, modality="text", index="exact") @ rows.T).shape
    (597, 597)
    """

    correction: Aligner
    query: str
    weights: Mapping[str, float]
    recall: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        _check(self.correction, self.query, tuple(self.weights))
        values = list(self.weights.values())
        if min(values) < 0 or not math.isclose(sum(values), 1, abs_tol=1e-9):
            raise InputError(f"got weights {dict(self.weights)}, expected two of 0 or more whose sum is 1")

    @classmethod
    def chosen(
        cls, correction: Aligner, queries: Array, /, *, query: str, owner: Any = None, **rows: Array
    ) -> CombinedItems:
        """Choose the weight by the recall of queries that are not stored.

        The weight for the queries of each half of the items is chosen by those of the other half. If the sum then does
        not find more than the better modality alone, that modality gets the whole weight. The sum has to find more by a
        standard error if the better modality leads by two.

        Parameters
        ----------
        correction : Aligner
            Fitted score correction or row map.
        queries : array of shape (m, d)
            Queries whose items are known, such as further captions. They may not equal rows of their items.
        query : str
            Modality of the queries.
        owner : array of int of shape (m,), optional
            Item of each query. Default: query i asks for item i.
        **rows : array of shape (n, d)
            Rows of the items by name, of two modalities.

        Returns
        -------
        CombinedItems
            The weights with their held-out recall.

        Raises
        ------
        InputError
            If shapes or modalities are invalid, or the queries are rows of their items.
        """
        names = tuple(rows)
        _check(correction, query, names)
        table, items = to_numpy(queries), {name: to_numpy(rows[name]) for name in names}
        n_items = len(items[names[0]])
        owners = np.arange(len(table)) if owner is None else np.asarray(owner)
        if len(items[names[1]]) != n_items or len(owners) != len(table) or n_items < 4 or not _is_item(owners, n_items):
            raise InputError(
                f"got {n_items} and {len(items[names[1]])} rows of items, {len(table)} queries and {len(owners)} "
                "owners, expected two rows for each item, at least 4 items, and one item for each query"
            )
        if query in items and np.mean(np.abs(table - items[query][owners]).max(axis=1) < 1e-6) > MAX_EQUAL:
            raise InputError(
                f"queries of {query} equal the stored rows of their items, so they find them by themselves; give "
                "queries that are not stored, such as further captions"
            )
        sample = np.sort(np.random.default_rng(0).permutation(n_items)[:MAX_ITEMS])
        sample_position = np.full(n_items, -1)
        sample_position[sample] = np.arange(len(sample))
        is_asked = sample_position[owners] >= 0
        owners = sample_position[owners[is_asked]]
        query_rows = to_numpy(correction.query(table[is_asked], modality=query, index="exact"))
        stored = [to_numpy(correction.stored(items[name][sample], modality=name, queries=query)) for name in names]
        sums = (weight * stored[0] + (1 - weight) * stored[1] for weight in WEIGHTS)
        hits = np.stack([topk(query_rows, s, k=1, exclude_self=False).index[:, 0] == owners for s in sums])
        half = np.random.default_rng(1).permutation(len(sample))[owners] % 2
        held_out_hits = np.empty(len(owners))
        for number in (0, 1):
            held_out_hits[half == number] = hits[_best(hits[:, half != number])][half == number]
        alone = {names[0]: float(hits[-1].mean()), names[1]: float(hits[0].mean())}
        best, better = _best(hits), max(alone, key=lambda name: alone[name])
        of_better, of_worse = (hits[-1], hits[0]) if better == names[0] else (hits[0], hits[-1])
        gain, lead = held_out_hits - of_better, of_better.astype(float) - of_worse
        root = math.sqrt(len(gain))
        # Without a clear leader among the modalities, a sum is the safer choice.
        is_clear = lead.mean() > LEAD_ERRORS * lead.std() / root
        is_gain = gain.mean() > (gain.std() / root if is_clear else 0)
        weight = WEIGHTS[best] if is_gain else float(better == names[0])
        recall = {**alone, "both": float(held_out_hits.mean()) if is_gain else alone[better]}
        return cls(correction, query, {names[0]: weight, names[1]: 1 - weight}, recall)

    def stored(self, **rows: Array) -> np.ndarray:
        """Return one row for each item, for an index of inner products.

        Parameters
        ----------
        **rows : array of shape (n, d)
            Rows of the items by name, of the two modalities.

        Returns
        -------
        ndarray of shape (n, k)
            Weighted sums.

        Raises
        ------
        InputError
            If a modality is missing, or the modalities have different numbers of rows.
        """
        counts = {name: np.shape(table)[0] for name, table in rows.items()}
        if set(rows) != set(self.weights) or len(set(counts.values())) > 1:
            raise InputError(f"got rows {counts}, expected equally many of {' and '.join(self.weights)}")
        return np.asarray(
            sum(
                weight * to_numpy(self.correction.stored(rows[name], modality=name, queries=self.query))
                for name, weight in self.weights.items()
            )
        )

    def sentence(self) -> str:
        """Return the weights and their held-out recall in a sentence.

        Returns
        -------
        str
            The sentence.
        """
        weights = " and ".join(f"{weight:.2f} of {name}" for name, weight in self.weights.items())
        if self.recall is None:
            return f"Items are stored as a sum of {weights}."
        recall = ", ".join(f"{percent(value)} with {name}" for name, value in self.recall.items())
        return f"Items are stored as a sum of {weights}. Queries of {self.query} find {recall} on held-out items."


def _check(correction: Aligner, query: str, names: tuple[str, ...]) -> None:
    """Raise `InputError` unless two modalities are named and the rows of the correction can be added."""
    correction.modality_number(query)
    if len(names) != 2:
        raise InputError(f"got rows of {', '.join(names) or 'nothing'}, expected two modalities by name")
    for name in names:
        correction.modality_number(name)
    if getattr(correction, "metric", "inner_product") != "inner_product":
        raise InputError("rows for metric='cosine' have one norm and cannot be added; use metric='inner_product'")


def _is_item(owners: np.ndarray, n_items: int) -> bool:
    return owners.dtype.kind in "iu" and owners.min(initial=0) >= 0 and owners.max(initial=0) < n_items


def _best(hits: np.ndarray) -> int:
    """Return the weight with the most hits (weights, m), in the middle of equals."""
    counts = hits.sum(axis=1)
    equal = np.flatnonzero(counts == counts.max())
    return int(equal[len(equal) // 2])
