"""Corrected scores between named modalities.

S(q, c) = (q.c - mu_ab) / sigma_ab - w_a h_a(c) - v l_b(q) for a query q of modality a and a stored row c of modality b.
mu and sigma are the mean and the standard deviation of the scores of random rows. h_a(c), the hubness of c, is a mean
of its k largest standardised scores against a bank of rows of modality a. l_b(q), the level of q, is the same for q
against a bank of rows of modality b.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from isthmus.align._further import Cloud
from isthmus.compute.score_matrix import BLOCK_SCORES, ScoreMatrix, TopK, block_slices
from isthmus.compute.topk import topk
from isthmus.linalg.remembered import DecompositionCache, content_key

#: Unit rows with a larger inner product are compared, because they may be equal.
EQUAL_COSINE = 1 - 1e-5
#: Two unit rows are equal if their squared distance is at most this, which rounding to half precision stays below.
EQUAL_DISTANCE_SQ = 4e-6
#: Difference of two corrected scores below which they are equal up to rounding.
EQUAL_SCORE = 1e-4
#: Scores of a product that are changed at a time: 256 kB of float64, which stay in the cache with what they are
#: compared with.
STRIP_SCORES = 2**15
#: Smallest variance of scores that a fit without some items divides by.
MIN_VARIANCE = 1e-20
#: Fewer rows are compared with a bank faster than they are looked up.
MIN_REMEMBERED_ROWS = 16
#: Bytes of the mean largest scores of rows with a bank that are kept. Several tasks ask for those of the same rows.
MAX_BYTES = 2**22

_LARGEST = DecompositionCache(MAX_BYTES)

Pooling = Literal["mean", "logsumexp"]
#: (modality of the query, modality of the stored row)
Direction = tuple[str, str]


@dataclass(frozen=True)
class ScoreRule:
    """Rule by which a score correction changes the scores of a query and stored rows.

    Parameters
    ----------
    standardizes : bool
        Whether mean and standard deviation of the scores are taken out.
    hubness_weight : float or None, default 0.0
        Weight of the hubness of stored rows. None chooses it by the size of the bank and by pairs.
    level_weight : float, default 0.0
        Weight of the level of queries.
    k : int, default 8
        Number of largest bank scores that are averaged.
    pooling : {'mean', 'logsumexp'}, default 'mean'
        Mean of the k largest bank scores, or log(mean(exp(beta s))) / beta over the whole bank.
    beta : float, default 4.0
        Inverse temperature of 'logsumexp'.

    Examples
    --------
    >>> ScoreRule(standardizes=True).needs_bank, ScoreRule(standardizes=True, level_weight=0.5).needs_bank
    (False, True)
    """

    standardizes: bool
    hubness_weight: float | None = 0.0
    level_weight: float = 0.0
    k: int = 8
    pooling: Pooling = "mean"
    beta: float = 4.0

    @property
    def needs_bank(self) -> bool:
        """Return True if rows are compared with a bank."""
        return self.hubness_weight != 0 or self.level_weight != 0


def default_hubness_weight(n_bank: int) -> float:
    """Return n / (2 (n + 50)), which shrinks the correction by a small bank.

    >>> round(default_hubness_weight(50), 3), round(default_hubness_weight(1000), 3)
    (0.25, 0.476)
    """
    return n_bank / (2 * (n_bank + 50))


def cloud_of_rows(rows: np.ndarray) -> Cloud:
    """Return number, mean and covariance of unit rows."""
    wide = np.asarray(rows, dtype=np.float64)
    mean = wide.mean(axis=0)
    mean += (wide - mean).mean(axis=0)  # the rounding of a sum of many equal rows is no spread
    centred = wide - mean
    return Cloud(len(wide), mean, centred.T @ centred / len(wide))


@dataclass(frozen=True, eq=False)
class ScoreModel:
    """Everything that turns inner products of unit rows into corrected scores.

    Attributes
    ----------
    banks : mapping of modality to (n_bank, d) array
        Unit rows, unpaired.
    levels : mapping of (query modality, stored modality) to (mu, sigma)
        Mean and standard deviation of the scores. (0, 1) leaves scores as they are.
    hubness_weights : mapping of query modality to float
        w, one for each modality of queries. Its keys are the modalities, in order.
    level_weight : float
        v.
    k : int
        Number of largest bank scores in a pool.
    pooling : {'mean', 'logsumexp'}
        Mean of the k largest scores, or log(mean(exp(beta s))) / beta over the whole bank.
    beta : float
        Inverse temperature of 'logsumexp'.
    """

    banks: Mapping[str, np.ndarray]
    levels: Mapping[Direction, tuple[float, float]]
    hubness_weights: Mapping[str, float]
    level_weight: float = 0.5
    k: int = 8
    pooling: Pooling = "mean"
    beta: float = 4.0

    @cached_property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities in order."""
        return tuple(self.hubness_weights)

    @cached_property
    def weighs_hubness(self) -> bool:
        """Return True if the hubness of stored rows counts in any direction."""
        return any(weight != 0 for weight in self.hubness_weights.values())

    def hubness(self, rows: np.ndarray, /, *, query: str, stored: str) -> np.ndarray:
        """Return h, (n,): pooled standardised scores of stored rows against the bank of the modality of the queries."""
        return self._pooled(rows, query, self.levels[query, stored])

    def level(self, queries: np.ndarray, /, *, query: str, stored: str) -> np.ndarray:
        """Return l, (n,): pooled standardised scores of queries against the bank of a stored modality."""
        return self._pooled(queries, stored, self.levels[query, stored])

    def scores(self, queries: np.ndarray, rows: np.ndarray, /, *, query: str, stored: str) -> np.ndarray:
        """Return S, (n_queries, n_rows)."""
        mean, deviation = self.levels[query, stored]
        scores: np.ndarray = (queries @ rows.T - mean) / deviation
        if weight := self.hubness_weights[query]:
            scores -= weight * self.hubness(rows, query=query, stored=stored)
        if self.level_weight:
            scores -= self.level_weight * self.level(queries, query=query, stored=stored)[:, None]
        return scores

    def terms(self, rows: Mapping[str, np.ndarray], /) -> dict[Direction, tuple[float, np.ndarray, np.ndarray]]:
        """Return (scale, stored, query) of each pair of modalities, such that S = product / scale + stored + query.

        `rows` are both queries and stored rows. The hubness of stored rows and the level of queries are pooled scores
        against the same banks, so that each modality is compared with each bank once.
        """
        pools: dict[tuple, np.ndarray] = {}

        def pooled(name: str, bank: str, level: tuple[float, float]) -> np.ndarray:
            if self.pooling == "logsumexp":
                return self._pooled(rows[name], bank, level)
            if (name, bank) not in pools:
                # Retrieval counts ties between the modalities exactly. Within one the precision of the bank suffices.
                query_rows = rows[name].astype(self.banks[bank].dtype, copy=False) if name == bank else rows[name]
                pools[name, bank] = self._pooled(query_rows, bank, (0.0, 1.0))
            return (pools[name, bank] - level[0]) / level[1]

        terms = {}
        for (query, stored), level in self.levels.items():
            if not {query, stored} <= rows.keys():
                continue
            weight, types = self.hubness_weights[query], [rows[name].dtype for name in (query, stored)]
            of_stored, of_query = (np.zeros(len(rows[name]), np.result_type(*types)) for name in (stored, query))
            if weight:
                of_stored -= weight * pooled(stored, query, level)
            of_query -= level[0] / level[1]
            if self.level_weight:
                of_query -= self.level_weight * pooled(query, stored, level)
            terms[query, stored] = (level[1], of_stored, of_query)
        return terms

    def best(
        self, queries: np.ndarray, rows: np.ndarray, /, *, query: str, stored: str, k: int, hubness: np.ndarray | None
    ) -> TopK:
        """Return scores without the level of the query, and numbers, of the k best rows of each query.

        No matrix of all scores is stored. `hubness` (n,) is that of the rows, and None computes it.
        """
        mean, deviation = self.levels[query, stored]
        if weight := self.hubness_weights[query]:
            hubness = self.hubness(rows, query=query, stored=stored) if hubness is None else hubness
            queries = np.concatenate([queries, np.ones((len(queries), 1), queries.dtype)], axis=1)
            rows = np.concatenate([rows, (-weight * deviation * hubness)[:, None].astype(rows.dtype)], axis=1)
        best = topk(queries, rows, k=min(k, len(rows)), exclude_self=False)
        return TopK((best.scores - mean) / deviation, best.index)

    def hit_features(self, scores: np.ndarray, queries: np.ndarray, /, *, query: str, stored: str) -> np.ndarray:
        """Return score, margin and level (m, 3) of first hits, from scores (m, 2 or more) without the query level.

        The level is the mean of the k largest scores of the query against the bank of the stored modality, whose rows
        are corrected by their own hubness. A bank row with the score of the first hit is that hit and left out.
        """
        bank, hubness = self.banks[stored], self.bank_hubness.get((query, stored))
        best = self.best(queries, bank, query=query, stored=stored, k=self.k + 1, hubness=hubness)
        first, second = scores[:, 0], scores[:, 1]
        level = mean_of_first(best.scores, np.abs(best.scores - first[:, None]) < EQUAL_SCORE, k=self.k)
        return np.stack([first, first - second, level], axis=1).astype(np.float64)

    @cached_property
    def bank_hubness(self) -> dict[Direction, np.ndarray]:
        """Hubness of the rows of each bank for the queries of each modality."""
        return {
            (query, stored): self.hubness(self.banks[stored], query=query, stored=stored)
            for query, stored in self.levels
            if self.hubness_weights[query]
        }

    def _pooled(self, rows: np.ndarray, bank_name: str, level: tuple[float, float]) -> np.ndarray:
        """Return pooled standardised scores of each row against a bank, without bank rows that equal the row."""
        bank, (mean, deviation) = self.banks[bank_name], level
        if not len(rows):
            return np.empty(0, dtype=np.result_type(rows, bank))
        if self.pooling == "logsumexp":
            return _log_mean_exp(rows, bank, mean, deviation, self.beta)
        if len(rows) < MIN_REMEMBERED_ROWS:
            return (mean_of_largest(rows, bank, k=self.k) - mean) / deviation
        kind = f"{self.k} {self._bank_keys[bank_name]}"
        return (_LARGEST.get(rows, kind, lambda: (mean_of_largest(rows, bank, k=self.k),))[0] - mean) / deviation

    @cached_property
    def _bank_keys(self) -> dict[str, str]:
        """Keys of the content of the banks."""
        return {name: str(content_key(bank)) for name, bank in self.banks.items()}


def mean_of_largest(rows: np.ndarray, bank: np.ndarray, /, *, k: int) -> np.ndarray:
    """Return the mean of the k largest inner products of each row with the bank, without bank rows that equal the row.

    A row that equals the whole bank keeps its scores.
    """
    if len(rows) == 1:  # a search waits for the answer to one query
        products = bank @ rows[0]
        if k < len(bank):
            products.partition(len(bank) - k)
            products = products[len(bank) - k :]
        products.sort()
        largest = products[::-1]
        if largest[0] <= EQUAL_COSINE:  # no bank row equals the row
            return np.add.reduce(largest, keepdims=True) / largest.dtype.type(len(largest))
    means = np.empty(len(rows), dtype=np.result_type(rows, bank))
    numbers, n_nearest = np.arange(len(rows)), min(k + 1, len(bank))
    while len(numbers):  # more neighbours of the rows that several bank rows equal
        query_rows = rows if len(numbers) == len(rows) else rows[numbers]
        nearest = topk(query_rows, bank, k=n_nearest, exclude_self=False)
        is_equal = _equal_rows(query_rows, bank, nearest.scores, nearest.index)
        settled = np.ones(len(numbers), bool) if n_nearest == len(bank) else n_nearest - is_equal.sum(axis=1) >= k
        means[numbers[settled]] = mean_of_first(nearest.scores[settled], is_equal[settled], k=k)
        numbers, n_nearest = numbers[~settled], min(2 * n_nearest, len(bank))
    return means


def mean_of_first(scores: np.ndarray, is_left_out: np.ndarray, *, k: int) -> np.ndarray:
    """Return the mean of the first k scores of each row (n, any) without those that are left out.

    A row of which all scores would be left out keeps them.
    """
    if not is_left_out.any():
        return scores[:, :k].mean(axis=1)
    is_left_out[is_left_out.all(axis=1)] = False
    place = np.cumsum(~is_left_out, axis=1)  # place of each score among those that count
    counts = ~is_left_out & (place <= k)
    return np.where(counts, scores, 0.0).sum(axis=1, dtype=scores.dtype) / counts.sum(axis=1).astype(scores.dtype)


def _equal_rows(rows: np.ndarray, bank: np.ndarray, scores: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return which of the bank rows `index` (n, k) equal the rows (n, d). `scores` are their inner products."""
    is_equal = np.zeros(scores.shape, dtype=bool)
    row, column = np.nonzero(scores > EQUAL_COSINE)
    if len(row):
        differences = rows[row] - bank[index[row, column]]
        is_equal[row, column] = np.einsum("ij,ij->i", differences, differences) <= EQUAL_DISTANCE_SQ
    return is_equal


def _log_mean_exp(rows: np.ndarray, bank: np.ndarray, mean: float, deviation: float, beta: float) -> np.ndarray:
    """Return log(mean(exp(beta s))) / beta of the standardised scores s against the bank, without equal rows."""
    matrix = ScoreMatrix(rows, bank)
    pooled = np.empty(len(rows), dtype=np.result_type(rows, bank))
    columns = np.arange(len(bank))
    for block in matrix.blocks():
        scores = matrix.tile(block)
        is_equal = _equal_rows(rows[block], bank, scores, np.broadcast_to(columns, scores.shape))
        is_equal[is_equal.all(axis=1)] = False
        scores = beta * (scores - mean) / deviation
        scores[is_equal] = -np.inf
        top = scores.max(axis=1)
        mass = np.exp(scores - top[:, None]).sum(axis=1)
        pooled[block] = (top + np.log(mass / (~is_equal).sum(axis=1))) / beta
    return pooled


def gain_of_weight(x: np.ndarray, y: np.ndarray, /, *, weight: float, k: int) -> tuple[float, float]:
    """Return the change of the mean reciprocal rank that a hubness weight brings on pairs, and its standard error.

    For each query and each stored row that competes with its match, the pairs of both are left out of the bank. Banks
    of other pairs therefore bring the same change, but for their size.
    """
    n = len(x)
    n_nearest = min(k, n - 2)
    if n_nearest < 1:
        return 0.0, 0.0
    gains = np.zeros(n)
    slack = 8 * float(np.finfo(np.result_type(x, y)).eps)  # ties count against the query
    products = x @ y.T if n * n <= BLOCK_SCORES else None  # one product serves both directions
    transposed = np.ascontiguousarray(products.T) if products is not None else None
    for queries, rows, forward, backward in ((x, y, products, transposed), (y, x, transposed, products)):
        totals, following = np.empty((2, n), dtype=np.result_type(x, y))
        for block, scores in _blocks(rows, queries, backward):
            ScoreMatrix.fill_diagonal(scores, block.start, -np.inf)
            largest = ScoreMatrix.topk(scores, n_nearest + 1).scores
            totals[block], following[block] = largest[:, :-1].sum(axis=1), largest[:, -1]
        for (block, scores), (_, mirrored) in zip(
            _blocks(queries, rows, forward), _blocks(rows, queries, backward), strict=True
        ):
            match = ScoreMatrix.diagonal(scores, block.start) - slack
            gains[block] -= 1 / np.count_nonzero(scores >= match, axis=1)
            # Hubness of each competitor without the query, minus that of the match without the query of the competitor.
            difference = totals - np.maximum(scores - following, 0)
            difference -= totals[block, None] - np.maximum(mirrored - following[block, None], 0)
            np.subtract(scores, weight / n_nearest * difference, out=scores)
            ScoreMatrix.fill_diagonal(scores, block.start, np.inf)
            gains[block] += 1 / np.count_nonzero(scores >= match, axis=1)
    gains /= 2
    return float(gains.mean()), float(gains.std(ddof=1) / math.sqrt(n))


def gains_of_weight(x: np.ndarray, y: np.ndarray, /, *, weight: float, k: int) -> np.ndarray:
    """Return the change of the hits of each pair that a hubness weight brings, (n,), the mean of both directions.

    The own match of a stored row is left out of its hubness, so that the pairing is not used.
    """
    n = len(x)
    gains = np.zeros(n)
    fits = n * n <= BLOCK_SCORES
    products = x @ y.T if fits else None  # one product serves both directions
    transposed = np.ascontiguousarray(products.T) if products is not None else None
    for queries, rows, forward, backward in ((x, y, products, transposed), (y, x, transposed, products)):
        hubness = np.empty(n)
        for block, scores in _blocks(rows, queries, backward):
            ScoreMatrix.fill_diagonal(scores, block.start, -np.inf)
            hubness[block] = ScoreMatrix.topk(scores, min(k, n - 1)).scores.mean(axis=1)
        for block, scores in _blocks(queries, rows, forward):
            match = np.arange(block.start, block.stop)
            gains[block] -= np.argmax(scores, axis=1) == match
            gains[block] += np.argmax(scores - weight * hubness, axis=1) == match
    return gains / 2


def _blocks(queries: np.ndarray, rows: np.ndarray, products: np.ndarray | None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks of queries with their scores, which may be overwritten, from all `products` or from the rows."""
    if products is not None:
        for block in block_slices(len(rows), 0, len(queries), STRIP_SCORES):
            yield block, products[block].copy()
        return
    matrix = ScoreMatrix(queries, rows)
    for block in matrix.blocks():
        yield block, matrix.tile(block)
