"""How the rows of the corpus that many queries share change the sampling error of recall."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.statistics.intervals import variance_of_parts

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
    """

    owner: np.ndarray
    released: np.ndarray
    interaction: np.ndarray

    def variance(self, hits: np.ndarray, /) -> float:
        """Return the variance of the number of hits, or 0 if its estimate is not positive.

        Parameters
        ----------
        hits : np.ndarray of shape (n_queries,)
            True for queries whose match ranks among the first k.

        Returns
        -------
        float
            Variance, multiplied by the square of the quantile of Student's t over that of the normal distribution.

        Notes
        -----
        A removed component takes its own hits along, and its rows release queries. The jackknife of these influences
        counts the variance of a query given its neighbours twice [1]_: once at the query, and once at the rows before
        its match. The squared second differences estimate the part that is counted twice.

        References
        ----------
        .. [1] Efron and Stein (1981), The jackknife estimate of variance.

        Examples
        --------
        >>> import numpy as np
        >>> one_hub = CorpusEffect(np.arange(40), np.eye(40)[0] * 9, np.eye(40)[0] * 9)
        >>> hits = np.arange(40) % 4 == 0
        >>> bool(one_hub.variance(hits) > 40 * 0.25 * 0.75)
        True
        """
        n = len(self.released)
        own = np.bincount(self.owner, weights=hits - np.mean(hits), minlength=n)
        influence = own - (self.released - self.released.mean())
        return variance_of_parts(influence**2 * n / (n - 1) - self.interaction)


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
    for k in ks:
        is_released = (before[queries] >= k) & (before[queries] - counts < k)
        both, numbers = np.unique(owner[queries[is_released]] * n + removed[is_released], return_counts=True)
        released = np.bincount(both % n, weights=numbers, minlength=n)
        squares = numbers.astype(np.float64) ** 2 / 2
        interaction = np.bincount(both % n, weights=squares, minlength=n)
        interaction += np.bincount(both // n, weights=squares, minlength=n)
        effects[k] = CorpusEffect(owner[is_matched], released, interaction)
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
    own = queries[:, None] * len(row_owner) + index
    is_match = keys[np.minimum(np.searchsorted(keys, own), len(keys) - 1)] == own
    is_before = ~is_match & (np.cumsum(~is_match, axis=1) <= before[queries, None])
    components = row_owner[index]
    is_before &= components != owner[queries, None]
    both, counts = np.unique((queries[:, None] * n + components)[is_before], return_counts=True)
    is_near = before[both // n] - counts < largest_k
    both, counts = both[is_near], counts[is_near]
    return both // n, both % n, counts
