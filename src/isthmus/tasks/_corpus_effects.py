"""How the rows of the corpus that many queries share change the sampling error of recall."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.statistics.freedom import freedom_of_parts, widened_variance

#: Queries whose nearest rows show how many rows of the corpus are near to many queries.
LISTED_QUERIES = 2_000
#: Nearest rows for one degree of freedom: (kurtosis - 1) / 2 with a kurtosis of 5. The effect of a row on many queries
#: has heavy tails. A normal distribution has 3, an exponential one 9. It is simulated.
ROWS_PER_FREEDOM = 2.0
#: Degrees of freedom from which an estimated variance may be below that of independent queries.
RELIABLE_FREEDOM = 20.0
#: Entries of the lists of nearest rows that are held at a time.
LISTED = 2**22


@dataclass(frozen=True)
class CorpusEffect:
    """Queries that turn into hits if an independent component of the data is removed from the corpus.

    Parameters
    ----------
    owner : np.ndarray of shape (n_queries,)
        Component of each query.
    released : np.ndarray of shape (n_components,)
        Number of queries of other components that turn into hits without the rows of this component.
    interaction : np.ndarray of shape (n_components,)
        Squared numbers of such queries for each pair of components, one half at each of the two.
    effective_rows : float, default infinity
        Effective number of components that are nearest to queries, see `_effective_rows`.
    """

    owner: np.ndarray
    released: np.ndarray
    interaction: np.ndarray
    effective_rows: float = math.inf

    def variance(self, hits: np.ndarray, independent: float, /) -> float:
        """Return the variance of the number of hits.

        Parameters
        ----------
        hits : np.ndarray of shape (n_queries,)
            True for queries whose match ranks among the first k.
        independent : float
            Variance if only queries of one component were dependent. The returned variance is not below it, unless its
            own estimate has many degrees of freedom: queries that compete for few ranks have a smaller one.

        Returns
        -------
        float
            Variance, multiplied by the square of the quantile of Student's t over that of the normal distribution.

        Notes
        -----
        The degrees of freedom are those of the parts of the variance, and at most half of the effective number of
        nearest rows [2]_. If few rows are nearest to most queries, the sample does not show how uncertain the
        variance is.

        A removed component takes its own hits along, and its rows release queries. The jackknife of these influences
        counts the variance of a query given its neighbours twice [1]_: once at the query, and once at the rows before
        its match. The squared second differences estimate the part that is counted twice.

        References
        ----------
        .. [1] Efron and Stein (1981), The jackknife estimate of variance.
        .. [2] Carter, Schnepel and Steigerwald (2017), Asymptotic behavior of a t-test robust to cluster heterogeneity.

        Examples
        --------
        >>> import numpy as np
        >>> one_hub = CorpusEffect(np.arange(40), np.eye(40)[0] * 9, np.eye(40)[0] * 9)
        >>> hits = np.arange(40) % 4 == 0
        >>> bool(one_hub.variance(hits, 7.5) > 40 * 0.25 * 0.75)
        True
        """
        n = len(self.released)
        own = np.bincount(self.owner, weights=hits - np.mean(hits), minlength=n)
        influence = own - (self.released - self.released.mean())
        parts = influence**2 * n / (n - 1) - self.interaction
        freedom = min(freedom_of_parts(parts), self.effective_rows / ROWS_PER_FREEDOM)
        variance = widened_variance(float(parts.sum()), freedom)
        return variance if variance > 0 and freedom >= RELIABLE_FREEDOM else max(variance, independent)


def corpus_effects(
    ranks: np.ndarray,
    nearest: Callable[[np.ndarray, int], np.ndarray],
    *,
    ks: Sequence[int],
    owner: np.ndarray,
    row_owner: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
) -> dict[int, CorpusEffect]:
    """Return the effect of the corpus on R@k in one direction, for each k.

    Only queries that miss by fewer rows than a component has are searched again.

    Parameters
    ----------
    ranks : np.ndarray of shape (n_queries,)
        Rank of the best match of each query, or 0 for a query without a match.
    nearest : callable
        Function of numbers of queries (m,) and a length. It returns the nearest rows of the corpus, (m, length).
    ks : sequence of int
        Numbers of ranks.
    owner : np.ndarray of shape (n_queries,)
        Component of each query.
    row_owner : np.ndarray of shape (n_corpus,)
        Component of each row of the corpus.
    pairs : tuple of np.ndarray
        Query and row of the corpus of each matching pair.

    Returns
    -------
    dict of CorpusEffect
        The effect for each k. If there are fewer than two components, there is none.
    """
    n_corpus = len(row_owner)
    n = 1 + int(max(owner.max(initial=-1), row_owner.max(initial=-1)))
    if n < 2:
        return {}
    before, rows_at_once = ranks - 1, int(np.bincount(row_owner).max())
    misses = np.flatnonzero(np.any([(before >= k) & (before < k + rows_at_once) for k in ks], axis=0))
    keys = np.sort(pairs[0] * n_corpus + pairs[1])
    length = min(int(before[misses].max(initial=0)) + int(np.bincount(pairs[0]).max(initial=0)), n_corpus)
    step = max(LISTED // max(length, 1), 1)
    columns = [
        _rows_before(misses[start : start + step], nearest, length, before, max(ks), keys, owner, row_owner, n)
        for start in range(0, len(misses), step)
    ] or [(misses, misses, misses)]
    queries, removed, counts = (np.concatenate(column) for column in zip(*columns, strict=True))
    effects, is_matched = {}, ranks > 0
    effective_rows = _effective_rows(np.flatnonzero(is_matched), nearest, ks, keys, row_owner)
    for k in ks:
        is_released = (before[queries] >= k) & (before[queries] - counts < k)
        both, numbers = np.unique(owner[queries[is_released]] * n + removed[is_released], return_counts=True)
        released = np.bincount(both % n, weights=numbers, minlength=n)
        squares = numbers.astype(np.float64) ** 2 / 2
        interaction = np.bincount(both % n, weights=squares, minlength=n)
        interaction += np.bincount(both // n, weights=squares, minlength=n)
        effects[k] = CorpusEffect(owner[is_matched], released, interaction, effective_rows[k])
    return effects


def _rows_before(
    queries: np.ndarray,
    nearest: Callable[[np.ndarray, int], np.ndarray],
    length: int,
    before: np.ndarray,
    largest_k: int,
    keys: np.ndarray,
    owner: np.ndarray,
    row_owner: np.ndarray,
    n: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return queries, components other than their own, and how many of their rows come before the match.

    Components without which the match still ranks after the largest k are left out.
    """
    index = nearest(queries, length)
    is_match = _is_match(queries, index, keys, len(row_owner))
    is_before = ~is_match & (np.cumsum(~is_match, axis=1) <= before[queries, None])
    components = row_owner[index]
    is_before &= components != owner[queries, None]
    both, counts = np.unique((queries[:, None] * n + components)[is_before], return_counts=True)
    is_near = before[both // n] - counts < largest_k
    both, counts = both[is_near], counts[is_near]
    return both // n, both % n, counts


def _is_match(queries: np.ndarray, index: np.ndarray, keys: np.ndarray, n_corpus: int) -> np.ndarray:
    """Return which of the rows `index` (m, length) match their queries, by the sorted keys of all matching pairs."""
    pairs = queries[:, None] * n_corpus + index
    return np.asarray(keys[np.minimum(np.searchsorted(keys, pairs), len(keys) - 1)] == pairs)


def _effective_rows(
    queries: np.ndarray,
    nearest: Callable[[np.ndarray, int], np.ndarray],
    ks: Sequence[int],
    keys: np.ndarray,
    row_owner: np.ndarray,
) -> dict[int, float]:
    """Return the effective number of components among the k nearest non-matching rows of the queries, for each k.

    It is (sum c)^2 / sum c^2 with the number of times c that the rows of a component are among them (Kish 1965).
    """
    n_corpus = len(row_owner)
    length = min(max(ks) + int(np.bincount(keys // n_corpus).max(initial=0)), n_corpus)
    n_listed = min(LISTED_QUERIES, max(LISTED // max(length, 1), 1))
    listed = queries[:: -(-len(queries) // n_listed) or 1]
    index = nearest(listed, length)
    place = np.cumsum(~(is_match := _is_match(listed, index, keys, n_corpus)), axis=1)
    counts = {k: np.bincount(row_owner[index[~is_match & (place <= k)]]).astype(np.float64) for k in ks}
    return {k: float(c.sum() ** 2 / (c @ c)) if c.any() else math.inf for k, c in counts.items()}
