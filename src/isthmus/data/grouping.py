"""Pairs whose equal rows are one item, such as an image that is repeated for each of its captions."""

from __future__ import annotations

import copy
import warnings
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.data.components import connected_items
from isthmus.data.equal_rows import find_equal_rows
from isthmus.data.joins import select_rows
from isthmus.data.numbering import renumber
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.utils.errors import InputError, IsthmusWarning

#: Distinct rows of a modality from which on equal rows are grouped in any case.
MIN_DISTINCT_ROWS = 20
#: Length of the mean of fewer distinct unit rows above which the encoder has collapsed, and rows are not grouped.
COLLAPSED_LENGTH = 0.999
#: Most rows that are searched for equal ones. It takes at most 50 bytes a row.
MAX_ROWS = 5_000_000
#: Rows of a longer modality that are searched for equal ones, to report them.
N_FIRST_ROWS = 1_000_000
#: Results of `find_equal_rows` and of `group_equal_rows` while what they were computed from exists.
_NUMBERS: WeakKeyDictionary[Source, dict[bool, np.ndarray | None]] = WeakKeyDictionary()
_GROUPED: WeakKeyDictionary[Pairs, dict[bool, Pairs]] = WeakKeyDictionary()


def group_equal_rows(pairs: Pairs, /, *, normalize: bool = True) -> Pairs:
    """Make one item of rows that are equal, such as an image that is repeated beside each of its captions.

    Parameters
    ----------
    pairs : Pairs
        The pairs. Rows of both modalities are read once, and those that may be equal again.
    normalize : bool
        Whether rows of different lengths may be equal. Default: True.

    Returns
    -------
    Pairs
        Pairs whose x holds distinct rows, with an index, and whose `y_groups` number the distinct rows of y. `grouped`
        counts rows and distinct rows of the modality, or of both, with repeats. `pairs` itself if no row repeats.
        Rows of a modality are not grouped if all are equal, or if fewer than 20 are distinct and nearly equal. Rows of
        x with different labels stay apart.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.random.default_rng(0).normal(size=(2, 60, 4))
    >>> grouped = group_equal_rows(Pairs(image=np.repeat(x[:30], 2, axis=0), text=y))
    >>> grouped.n_items, grouped.n_pairs, grouped.grouped
    (30, 60, {'image': {'rows': 60, 'distinct': 30}})
    """
    groups = row_groups(pairs.x, pairs.labels, normalize=normalize)
    y_groups = row_groups(pairs.y, normalize=normalize)
    is_known = y_groups is not None and pairs.y_groups is not None and np.array_equal(y_groups, pairs.y_groups)
    if y_groups is None or is_known:  # a key has named the rows of y that repeat
        y_groups = pairs.y_groups
    if groups is None and y_groups is pairs.y_groups:
        pairs.rows_are_items = normalize
        return pairs
    x, y = pairs.names
    rows_x, index, labels = pairs.x, pairs.index, pairs.labels
    if groups is not None:
        first_rows = np.unique(groups, return_index=True)[1]
        rows_x, index = select_rows(pairs.x, first_rows), groups[pairs.owner]
        labels = None if labels is None else labels[first_rows]
    grouped = type(pairs)(index=index, labels=labels, y_groups=y_groups, **{x: rows_x, y: pairs.y})
    grouped._with_history_of(pairs).rows_are_items = True
    grouped.ungrouped = copy.copy(pairs), normalize  # a copy, because `_GROUPED` must not keep its keys alive
    grouped.grouped = {
        name: {"rows": len(numbers), "distinct": int(numbers.max()) + 1}
        for name, numbers in ((x, groups), (y, y_groups))
        if numbers is not None
    }
    return grouped


def pairs_of_items(pairs: Pairs, /, *, group: bool = True, normalize: bool = True, is_block: bool = False) -> Pairs:
    """Return pairs in which equal rows are one item, and say so in a warning, or pairs with all rows as they are.

    Parameters
    ----------
    pairs : Pairs
        The pairs. Their rows are searched in the first call only. Pairs that were grouped with other options are
        grouped anew.
    group : bool
        Whether equal rows are one item. Default: True.
    normalize : bool
        Whether rows of different lengths may be equal. Default: True.
    is_block : bool
        Whether the pairs are a block of a stream, which states its equal rows itself. Default: False.

    Returns
    -------
    Pairs
        The result of `group_equal_rows`, or these pairs as they are.

    Raises
    ------
    InputError
        If `group` is False, and the pairs are a part of pairs whose equal rows were grouped.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = Pairs(image=np.eye(30), text=np.eye(30))
    >>> pairs_of_items(pairs) is pairs
    True
    """
    if pairs.ungrouped is not None and (not group or pairs.ungrouped[1] != normalize):
        pairs = pairs.ungrouped[0]
    elif pairs.rows_are_items:
        if pairs.grouped is not None and not group:
            raise InputError("equal rows of these pairs were grouped when they were opened; open them with group=False")
        return pairs
    if not group:
        ungrouped = copy.copy(pairs)
        ungrouped.rows_are_items = True
        return ungrouped
    grouped_by_option = _GROUPED.setdefault(pairs, {})
    if normalize not in grouped_by_option:
        grouped = group_equal_rows(pairs, normalize=normalize)
        if grouped is pairs:
            return pairs
        if not is_block:
            warnings.warn(grouping_summary(grouped), IsthmusWarning, stacklevel=5)
        grouped_by_option[normalize] = grouped
    return grouped_by_option[normalize]


def distinct_sets(sets: UnpairedSets, /, *, group: bool = True, normalize: bool = True) -> UnpairedSets:
    """Return sets without pairs in which equal rows count once, and say so in a warning, or all rows as they are.

    Parameters
    ----------
    sets : UnpairedSets
        The sets. Sets that this function returned are returned as they are.
    group : bool
        Whether equal rows of a set count once. Default: True.
    normalize : bool
        Whether rows of different lengths may be equal. Default: True.

    Returns
    -------
    UnpairedSets
        The sets of distinct rows. Rows of a set stay as they are where `row_groups` does not group them.

    Examples
    --------
    >>> import numpy as np, warnings
    >>> x, y = np.random.default_rng(0).normal(size=(2, 60, 4))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     distinct_sets(UnpairedSets(image=np.repeat(x, 5, axis=0), text=y)).sizes
    (60, 60)
    """
    if sets.rows_are_items:
        return sets
    sources, summaries = {}, []
    for name, source in zip(sets.names, (sets.x, sets.y), strict=True):
        groups = row_groups(source, normalize=normalize) if group else None
        sources[name] = source
        if groups is not None:
            sources[name] = select_rows(source, np.unique(groups, return_index=True)[1])
            summaries.append(f"{sources[name].shape[0]:,} of {source.shape[0]:,} {name} rows")
    if summaries:
        warnings.warn(
            f"{' and '.join(summaries)} are distinct: without pairs, equal rows count once; --as-is, or group=False in "
            "Python, takes every row as it is",
            IsthmusWarning,
            stacklevel=4,
        )
    distinct_rows = UnpairedSets(**sources)
    distinct_rows.rows_are_items = True
    return distinct_rows


def grouping_summary(pairs: Pairs, /, *, is_block: bool = False) -> str:
    """Return a sentence about the equal rows of pairs that were grouped.

    Parameters
    ----------
    pairs : Pairs
        Pairs whose `grouped` is not None.
    is_block : bool
        Whether the pairs are a block of a stream, so that nothing is said of intervals. Default: False.

    Returns
    -------
    str
        The sentence.
    """
    counts = pairs.grouped or {}
    text = " and ".join(f"{c['distinct']:,} of {c['rows']:,} {name} rows" for name, c in counts.items())
    item = next(iter(counts)) if len(counts) == 1 else "item"
    if is_block:
        return f"{text} are distinct in this block: in all blocks, equal rows count as one {item} with several matches"
    intervals = "" if pairs.dependence is None else f"; {pairs.dependence}"
    return (
        f"{text} are distinct: equal rows count as one {item} with several matches{intervals}; --as-is, or "
        "group=False in Python, takes every row as it is"
    )


def units_of_pairs(pairs: Pairs, /) -> np.ndarray:
    """Return the number of the independent unit of each pair, the same whichever modality comes first.

    Parameters
    ----------
    pairs : Pairs
        The pairs.

    Returns
    -------
    numpy.ndarray
        Numbers (n_pairs,) from 0: those of components, or every pair is a unit if so few are independent that there are
        no intervals (`Pairs.dependence`).

    Examples
    --------
    >>> import numpy as np
    >>> index = np.arange(60) // 2
    >>> units_of_pairs(Pairs(image=np.eye(30), text=np.eye(30)[index], index=index))[:4].tolist()
    [0, 0, 1, 1]
    """
    return renumber(pairs.components[pairs.owner]) if pairs.dependence is None else np.arange(pairs.n_pairs)


def item_groups(pairs: Pairs, /) -> np.ndarray:
    """Return the group of each item, where items that share rows belong to one group.

    Parameters
    ----------
    pairs : Pairs
        Pairs of n items.

    Returns
    -------
    numpy.ndarray
        Group numbers (n_items,) from 0: `Pairs.split_groups`. If equal rows have not been grouped, items with equal
        rows of x or of y are a group, directly or through other items. If more than half of the pairs but not all of
        them are one such group, the equal rows of the modality with fewer distinct rows are groups.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    >>> groups = item_groups(Pairs(image=x, text=np.eye(3)[:, :2] + 1))
    >>> bool(groups[0] == groups[2]), bool(groups[0] == groups[1])
    (True, False)
    """
    if pairs.grouped is not None or pairs.y_groups is not None:
        return pairs.split_groups
    equal = [known_equal_rows(source, normalize=True) for source in (pairs.x, pairs.y)]
    x_groups, y_groups = (
        np.arange(source.shape[0]) if numbers is None else numbers
        for numbers, source in zip(equal, (pairs.x, pairs.y), strict=True)
    )
    if equal[1] is None:
        return x_groups
    connected = connected_items(x_groups[pairs.owner], y_groups, int(x_groups.max()) + 1)[x_groups]
    if not connected.any() or 2 * np.bincount(connected[pairs.owner]).max() <= pairs.n_pairs:
        return connected
    return y_groups if pairs.index is None and y_groups.max() < x_groups.max() else x_groups


def row_groups(source: Source, labels: np.ndarray | None = None, /, *, normalize: bool = True) -> np.ndarray | None:
    """Return the number of the distinct row of each row, computed once while the rows exist.

    Parameters
    ----------
    source : Source
        Rows (n, d).
    labels : numpy.ndarray or None
        Classes of the rows (n,). Rows of different classes stay apart.
    normalize : bool
        Whether rows of different lengths may be equal. Default: True.

    Returns
    -------
    numpy.ndarray or None
        Group numbers (n,) from 0, or None if rows are not grouped: all are distinct, or all are equal, or fewer than 20
        are distinct and these are nearly equal.

    Examples
    --------
    >>> import numpy as np
    >>> row_groups(Source(np.array([[1.0, 2.0], [3.0, -4.0], [1.0, 2.0]]), address="x")).tolist()
    [0, 1, 0]
    """
    n_rows = source.shape[0]
    if n_rows > MAX_ROWS:
        _warn_of_repeats_in_long(source, normalize=normalize)
        return None
    groups = known_equal_rows(source, normalize=normalize)
    if groups is None or int(groups.max()) == 0:
        return None
    if int(groups.max()) + 1 < MIN_DISTINCT_ROWS:
        rows = to_numpy(source.take(np.unique(groups, return_index=True)[1])).astype(np.float64)
        if np.linalg.norm(unit_rows(rows).mean(axis=0)) > COLLAPSED_LENGTH:
            return None
    if labels is not None:
        classes = np.unique(labels, return_inverse=True)[1]
        groups = renumber(groups * (classes.max() + 1) + classes)
    return groups if int(groups.max()) + 1 < n_rows else None


def known_equal_rows(source: Source, *, normalize: bool) -> np.ndarray | None:
    """Return the result of `find_equal_rows`, computed once while the rows exist."""
    numbers_by_option = _NUMBERS.setdefault(source, {})
    if normalize not in numbers_by_option:
        numbers_by_option[normalize] = find_equal_rows(source, normalize=normalize)
    return numbers_by_option[normalize]


def as_one_item(pairs: Pairs, /, *, normalize: bool = True) -> Pairs:
    """Return pairs that are one item if all their rows of a modality are equal, such as the captions of one image.

    Parameters
    ----------
    pairs : Pairs
        The pairs of a small block of a stream.
    normalize : bool
        Whether rows of different lengths may be equal. Default: True.

    Returns
    -------
    Pairs
        The item, or `pairs` itself if both modalities have different rows.

    Examples
    --------
    >>> import numpy as np
    >>> as_one_item(Pairs(image=np.ones((3, 4)), text=np.eye(4)[:3])).n_items
    1
    """
    equal_rows = [known_equal_rows(source, normalize=normalize) for source in (pairs.x, pairs.y)]
    is_constant_x, is_constant_y = (rows is not None and int(rows.max()) == 0 for rows in equal_rows)
    if not is_constant_x and not is_constant_y:
        return pairs
    x, y = pairs.names
    rows_x = select_rows(pairs.x, np.arange(1), min_rows=1) if is_constant_x else pairs.x
    return type(pairs)(
        index=np.zeros(pairs.n_pairs, dtype=np.int64) if is_constant_x else pairs.index,
        y_groups=np.zeros(pairs.n_pairs, dtype=np.int64) if is_constant_y else pairs.y_groups,
        **{x: rows_x, y: pairs.y},
    )


def remember_equal_rows(source: Source, groups: np.ndarray | None, /) -> None:
    """Keep the result of a search for equal rows, so that `row_groups` does not search again.

    Parameters
    ----------
    source : Source
        Rows (n, d), at most `MAX_ROWS`.
    groups : numpy.ndarray or None
        Result of `find_equal_rows`, with rows of different lengths as equal.

    Examples
    --------
    >>> source = Source(np.array([[1.0, 2.0], [3.0, -4.0], [1.0, 2.0]]), address="x")
    >>> remember_equal_rows(source, None)
    >>> row_groups(source) is None
    True
    """
    _NUMBERS.setdefault(source, {})[True] = groups


def _warn_of_repeats_in_long(source: Source, *, normalize: bool) -> None:
    """Warn once if the first of more than `MAX_ROWS` rows repeat, because longer modalities are not grouped."""
    numbers_by_option = _NUMBERS.setdefault(source, {})
    if normalize in numbers_by_option:
        return
    n_first = min(N_FIRST_ROWS, MAX_ROWS)
    first = select_rows(source, np.arange(n_first))
    numbers_by_option[normalize] = find_equal_rows(first, normalize=normalize)
    groups = numbers_by_option[normalize]
    if groups is not None:
        warnings.warn(
            f"{source.address}: {int(groups.max()) + 1:,} of its first {n_first:,} rows are distinct, and more than "
            f"{MAX_ROWS:,} rows are not grouped: equal rows count as different rows, so that recall and intervals are "
            "wrong; give the distinct rows with --index or --key",
            IsthmusWarning,
            stacklevel=6,
        )
