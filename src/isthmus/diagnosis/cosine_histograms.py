"""Count the cosines of matching and non-matching pairs."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from isthmus.compute.arrays import row_dot, to_numpy
from isthmus.compute.resources import n_threads
from isthmus.compute.threads import map_ahead
from isthmus.data.opening import as_pairs
from isthmus.data.pairs import Pairs
from isthmus.diagnosis._cosine_bins import BINS
from isthmus.diagnosis.calibration import GROUPS, Calibration
from isthmus.statistics.data_warnings import warn_of_data
from isthmus.utils.arguments import check_seed
from isthmus.utils.errors import InputError
from isthmus.utils.format import too_few

#: Larger data are sampled, because n items have n^2 non-matching pairs.
MAX_ITEMS = 5_000
#: Fewest items that can be calibrated.
MIN_ITEMS = 20
#: Items from which groups are counted side by side.
MIN_PARALLEL_ITEMS = 1_000
#: Largest squared length of a unit row.
MAX_SQUARED_LENGTH = 1.01


def calibrate(
    pairs: Any,
    y: Any = None,
    /,
    *,
    normalize: bool = True,
    rng: int = 0,
    drop_bad: bool = False,
    group: bool = True,
    pool: str | None = None,
) -> Calibration:
    """Count the cosines of matching and non-matching pairs, across and within the modalities.

    Parameters
    ----------
    pairs : Pairs, array-like or path
        At least 20 items, or the rows of the first modality: an array, list, column or file. All pairs of an item
        with several matching rows count as matching pairs, and the first one counts in non-matching pairs.
    y : array-like or path, optional
        Rows of the second modality. Arrays are called 'x' and 'y'.
    normalize : bool, default True
        Whether rows are divided by their norms.
    rng : int, default 0
        Seed of the groups, and of the sample of 5,000 items if there are more.
    drop_bad : bool, default False
        Leave out pairs with a row that is NaN, infinite or all zero, with a warning that counts them.
    group : bool, default True
        Take equal rows of a modality as one item with several matches, with a warning that counts them.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one. Vectors that are all zero are padding.

    Returns
    -------
    Calibration
        The histograms with their methods.

    Raises
    ------
    InputError
        For fewer than 20 items, and for rows that are not unit rows with `normalize=False`.

    Examples
    --------
    >>> import isthmus
    >>> calibration = calibrate(isthmus.demo.load("plain", split="test"))
    >>> calibration.items, int(calibration.matching.sum()), int(calibration.non_matching.sum()) == 579 * 578
    (579, 597, True)
    """
    pairs = as_pairs(pairs, y, drop_bad=drop_bad, group=group, pool=pool, normalize=normalize)
    check_seed(rng)
    sample = pairs.sample(MAX_ITEMS, rng=rng)
    x, y = (to_numpy(rows) for rows in sample.unit(normalize=normalize))
    matching_cosines, item_of_pair = row_dot(x[sample.owner], y), _items_of_pairs(sample)
    further_matches = np.empty((2, 0), dtype=np.int64)
    if sample.index is not None or sample.y_groups is not None:
        items, rows_y = sample.first_pairs
        x, y = x[items], y[rows_y]
        further_matches = _further_matches(sample)
    if len(x) < MIN_ITEMS:
        raise InputError(f"{too_few(len(x), 'item')} to calibrate a cosine, expected {MIN_ITEMS} or more")
    for rows, name in zip((x, y), pairs.names, strict=True):
        squared_length = float(np.max(row_dot(rows, rows)))
        if squared_length > MAX_SQUARED_LENGTH:
            raise InputError(
                f"{name}: a row has length {math.sqrt(squared_length):.4g}, expected unit rows; use normalize=True"
            )
    warn_of_data(pairs)
    order = np.random.default_rng(rng).permutation(len(x))
    groups = np.array_split(order, GROUPS)
    group_of, position = np.empty((2, len(x)), dtype=np.int64)
    for number, members in enumerate(groups):
        group_of[members], position[members] = number, np.arange(len(members))
    group_of_pair = np.where(item_of_pair >= 0, group_of[item_of_pair], -1)
    matching = np.stack([_histogram(matching_cosines[group_of_pair == number]) for number in range(GROUPS)])
    non_matching = np.zeros((GROUPS, GROUPS, BINS), dtype=np.int64)
    within = np.zeros((2, BINS), dtype=np.int64)

    def counted(numbers: tuple[int, int]) -> list[np.ndarray]:
        """Count the cosines of two groups: across the modalities, and once for both orders within each modality."""
        i, j = numbers
        a, b = groups[i], groups[j]
        own_matches = np.tile(np.arange(len(a)) if i == j else np.empty(0, dtype=np.int64), (2, 1))
        matches = further_matches[:, (group_of[further_matches[0]] == i) & (group_of[further_matches[1]] == j)]
        counts = [_non_matching_histogram(x[a], y[b], np.concatenate([own_matches, position[matches]], axis=1))]
        return counts + [_non_matching_histogram(rows[a], rows[b], own_matches) for rows in (x, y) if i <= j]

    group_pairs = list(itertools.product(range(GROUPS), range(GROUPS)))
    threads = n_threads() if len(x) >= MIN_PARALLEL_ITEMS else 1
    for (i, j), counts in zip(group_pairs, map_ahead(counted, group_pairs, threads), strict=True):
        non_matching[i, j] = counts[0]
        for modality, modality_counts in enumerate(counts[1:]):
            within[modality] += modality_counts
    n_candidates = len(pairs.first_pairs[0])
    return Calibration(pairs.names, n_candidates, len(x), matching, non_matching, (within[0], within[1]))


def _items_of_pairs(pairs: Pairs) -> np.ndarray:
    """Return the position in `Pairs.first_pairs` of the item of each pair (n_pairs,), -1 for pairs that are left out.

    Where so many rows repeat that few pairs are independent, all pairs but the first ones are left out.
    """
    if pairs.dependence is None or pairs.y_groups is None:
        return np.unique(pairs.sampling_units[pairs.owner], return_inverse=True)[1].ravel()
    position = np.full(pairs.n_pairs, -1)
    position[pairs.first_pairs[1]] = np.arange(len(pairs.first_pairs[1]))
    return position


def _further_matches(pairs: Pairs) -> np.ndarray:
    """Return which first pairs (2, m) have matching rows of x and of y, besides each with itself."""
    items, rows_y = pairs.first_pairs
    y_groups = np.arange(pairs.n_pairs) if pairs.y_groups is None else pairs.y_groups
    place_of_item = np.full(pairs.n_items, -1)
    place_of_item[items] = np.arange(len(items))
    place_of_group = np.full(int(y_groups.max()) + 1, -1)
    place_of_group[y_groups[rows_y]] = np.arange(len(items))
    matches = np.stack([place_of_item[pairs.owner], place_of_group[y_groups]])
    return np.unique(matches[:, (matches >= 0).all(axis=0) & (matches[0] != matches[1])], axis=1)


def _non_matching_histogram(a: np.ndarray, b: np.ndarray, matches: np.ndarray) -> np.ndarray:
    """Count the cosines of all rows of a with all rows of b, without those of matches (2, m)."""
    scores = a @ b.T
    is_counted = np.ones(scores.shape, dtype=bool)
    is_counted[tuple(matches)] = False
    return _histogram(scores[is_counted] if matches.shape[1] else scores.ravel())


def _histogram(cosines: np.ndarray) -> np.ndarray:
    bins = np.clip(((cosines + 1) * (BINS / 2)).astype(np.int64), 0, BINS - 1)
    return np.bincount(bins, minlength=BINS)
