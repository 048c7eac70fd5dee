"""Connected components of the rows that pairs share, which statistics count as independent."""

from __future__ import annotations

import numpy as np

from isthmus.data.numbering import renumber

#: Largest share of the pairs in one component for which intervals are stated.
MAX_SHARE = 0.1
#: Begin of every reason for the absence of intervals.
NO_INTERVAL = "no interval: "
#: Rounds in which pairs without common rows are chosen.
MAX_ROUNDS = 100
#: Fewest components for which intervals are stated, if rows repeat.
MIN_COMPONENTS = 20


def connected_items(owner: np.ndarray, y_groups: np.ndarray, n_items: int, /) -> np.ndarray:
    """Return the number of the connected component of each item, where items that share a row of y are connected.

    Parameters
    ----------
    owner : numpy.ndarray
        Item of each pair (n_pairs,).
    y_groups : numpy.ndarray
        Number of the distinct row of y in each pair (n_pairs,), from 0.
    n_items : int
        Number of items.

    Returns
    -------
    numpy.ndarray
        Component numbers (n_items,) from 0 in order of first occurrence.

    Examples
    --------
    >>> connected_items(np.array([0, 1, 2]), np.array([0, 1, 0]), 3).tolist()
    [0, 1, 0]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_nodes = n_items + int(y_groups.max(initial=-1)) + 1
    edges = (np.ones(len(owner), dtype=bool), (owner, n_items + y_groups))
    return renumber(connected_components(coo_array(edges, shape=(n_nodes, n_nodes)), directed=False)[1][:n_items])


def disjoint_pairs(owner: np.ndarray, y_groups: np.ndarray, /) -> np.ndarray:
    """Return pairs that share no row, each with the first rows that are left, whichever modality comes first.

    Parameters
    ----------
    owner : numpy.ndarray
        Row of x of each pair (n_pairs,).
    y_groups : numpy.ndarray
        Number of the distinct row of y in each pair (n_pairs,), from 0.

    Returns
    -------
    numpy.ndarray
        Numbers of the pairs, ascending. Long chains of pairs that share rows are followed for `MAX_ROUNDS` pairs.

    Examples
    --------
    >>> disjoint_pairs(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 0])).tolist()
    [0, 2]
    """
    candidates, disjoint = np.arange(len(owner)), np.empty(0, dtype=np.int64)
    for _ in range(MAX_ROUNDS):
        positions = np.arange(len(candidates))
        is_first = np.ones(len(candidates), dtype=bool)
        for side in (owner, y_groups):
            numbers = side[candidates]
            first = np.full(int(numbers.max(initial=-1)) + 1, len(candidates))
            np.minimum.at(first, numbers, positions)
            is_first &= first[numbers] == positions
        pairs = candidates[is_first]
        disjoint = np.concatenate([disjoint, pairs])
        has_new_rows = ~np.isin(owner[candidates], owner[pairs]) & ~np.isin(y_groups[candidates], y_groups[pairs])
        candidates = candidates[has_new_rows]
        if not len(candidates):
            break
    return np.sort(disjoint)


def halves_of_groups(group: np.ndarray, rng: int | np.random.Generator, /) -> tuple[np.ndarray, np.ndarray]:
    """Return two random halves of items in which the items of a group stay together.

    Parameters
    ----------
    group : numpy.ndarray
        Number of the group of each item (n,), from 0.
    rng : int or numpy.random.Generator
        Seed or generator.

    Returns
    -------
    tuple of numpy.ndarray
        Item numbers of both halves, group by group in random order. The first half of the groups is rounded down.

    Examples
    --------
    >>> [half.tolist() for half in halves_of_groups(np.array([0, 1, 0, 1]), 0)]
    [[0, 2], [1, 3]]
    """
    order = np.random.default_rng(rng).permutation(int(group.max(initial=-1)) + 1)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    items = np.argsort(rank[group], kind="stable")
    n_first = int(np.count_nonzero(rank[group] < len(order) // 2))
    return items[:n_first], items[n_first:]


def dependence_reason(pair_components: np.ndarray, names: tuple[str, str], /) -> str | None:
    """Return why pairs that share rows have no intervals, or None if enough of them are independent.

    Parameters
    ----------
    pair_components : numpy.ndarray
        Component of each pair (n_pairs,).
    names : tuple of str
        Names of the modalities.

    Returns
    -------
    str or None
        The reason: one component holds more than a tenth of the pairs, or rows repeat and fewer than 20 components are
        left.

    Examples
    --------
    >>> dependence_reason(np.arange(50), ("image", "text")) is None
    True
    >>> dependence_reason(np.minimum(np.arange(50), 40), ("image", "text"))
    'no interval: 10 of 50 pairs (20 %) share rows of image or text with each other, more than a tenth'
    """
    counts = np.bincount(pair_components)
    n, count, largest = len(pair_components), int(np.count_nonzero(counts)), int(counts.max(initial=0))
    if count == n:
        return None
    shared = " or ".join(names)
    if count < MIN_COMPONENTS:
        groups = "one group" if count == 1 else f"{count} groups"
        return f"{NO_INTERVAL}{n:,} pairs share rows of {shared} and form {groups}, fewer than {MIN_COMPONENTS}"
    if largest <= MAX_SHARE * n:
        return None
    share = f"{largest:,} of {n:,} pairs ({100 * largest / n:.0f} %)"
    return f"{NO_INTERVAL}{share} share rows of {shared} with each other, more than a tenth"
