"""Where the pairing of two files breaks: ranges of rows that do not match while the rows around them do.

Each pair has a rank among the pairs of a row with the rows around it. Ranks are -1 to 1, with mean 0 in a random order.
Windows of many lengths are tested against the windows next to them, with one level for all of them. The ends of a range
are the change points of the ranks: the largest sum of the differences from half of the level around it. A range counts
only if its own rows are in random order, without a trend, and the ranks next to it do not fall towards it. Pairs whose
quality falls along the file have a trend, and classes leave ranks above zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from isthmus.statistics.row_samples import RowSample, local_ranks, ranks_among

#: Probability of a break in a file whose rows match, over all windows.
FAMILY_LEVEL = 0.01
#: Share of the ranks around a window below which its own are tested.
WINDOW_SHARE = 0.75
#: Ranks of a break are below this share of those around it, and below the second share if its rows match as a group.
BREAK_SHARE, GROUP_SHARE = 1 / 2, 1 / 3
#: Fewest ranks in a window.
MIN_WINDOW = 16
#: Quotient of the lengths of windows.
_QUOTIENT = 1.25
#: Limit of the level of a break at .001, and of that of a break whose rows match as a group, at 1 %.
INSIDE_Z, LEVEL_Z = 3.3, 2.33
#: Sum of the squared deviations of mean, trend and variance of the ranks in a random order, which 1 % exceed.
MAX_DEVIATION = 11.34
#: Least variance of ranks. That of a random order is 1/3.
MIN_VARIANCE = 0.1
#: Rows of a break that are ranked among each other.
MAX_INSIDE_ROWS = 1024
#: Random rows of the file that the rows of a break are ranked among.
COMPARED_ROWS = 128
#: Breaks that are searched for.
MAX_BREAKS = 8
#: Rows that are read at once to find the row at which a break begins, and readings at most.
REFINED_ROWS, MAX_READINGS = 4096, 4

#: Function that reads ranges of rows as centred unit rows.
Reader = Callable[[Sequence[tuple[int, int]]], RowSample]


@dataclass(frozen=True)
class BrokenRows:
    """Range of rows that do not match.

    Parameters
    ----------
    start, stop : int
        First row, and the row after the last one.
    matches_as_group : bool
        Whether each row is nearer to the rows of the range than to others, although not to its own match. Rows of one
        class in a wrong order are an example.

    Examples
    --------
    >>> BrokenRows(250, 500, False).stop
    500
    """

    start: int
    stop: int
    matches_as_group: bool


def find_broken_rows(sample: RowSample, n: int, read: Reader, /, *, ends: np.ndarray | None = None) -> list[BrokenRows]:
    """Find the ranges of rows that do not match while the rows next to them do.

    Parameters
    ----------
    sample : RowSample
        Centred rows of ranges along the file.
    n : int
        Number of rows of the file.
    read : callable
        Function that reads ranges of rows as a centred `RowSample`, for the exact ends of a break.
    ends : numpy.ndarray, optional
        Row after the last one of each shard. Every shard is a window too.

    Returns
    -------
    list of BrokenRows
        The ranges in the order of the file.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 16)).astype(np.float32)
    >>> y = np.concatenate([x[:300], rng.permutation(x[300:])])
    >>> find_broken_rows(RowSample(x, y, np.arange(500)), 500, lambda ranges: None)
    [BrokenRows(start=300, stop=500, matches_as_group=False)]
    """
    informative = np.flatnonzero(~np.isnan(ranks := local_ranks(sample)))
    if len(informative) < 2 * MIN_WINDOW:
        return []
    if len(informative) < len(ranks):
        sample = RowSample(sample.x[informative], sample.y[informative], sample.numbers[informative])
        ranks = ranks[informative]
    shards = _shard_windows(sample.numbers, ends)
    ranges: list[BrokenRows] = []
    segments = [(0, len(ranks))]
    while segments and len(ranges) < MAX_BREAKS:
        first, last = segments.pop()
        inside = shards[(shards[:, 0] >= first) & (shards[:, 1] <= last)] - first
        candidate = _lowest_window(ranks[first:last], inside, len(ranks))
        if candidate is None:
            continue
        start, stop, level = candidate
        start, stop = start + first, stop + first
        if (start, stop) == (0, len(ranks)):
            continue
        segments += [(first, start), (stop, last)]
        if _falls_towards(ranks[:start][::-1], stop - start) or _falls_towards(ranks[stop:], stop - start):
            continue
        next_to_it = (ranks[max(2 * start - stop, 0) : start], ranks[stop : 2 * stop - start])
        group_level = min(float(levels.mean()) for levels in next_to_it if len(levels))
        if (matches_as_group := _judge_inside(sample, start, stop, level, group_level)) is not None:
            begin = _first_row(sample, start, level, read, n, falling=True) if start else 0
            end = _first_row(sample, stop, level, read, n, falling=False) if stop < len(ranks) else n
            ranges.append(BrokenRows(begin, end, matches_as_group))
    return sorted(ranges, key=lambda rows: rows.start)


def _shard_windows(numbers: np.ndarray, ends: np.ndarray | None) -> np.ndarray:
    """Return the first rank, and the one after the last, of each shard that has enough of them."""
    if ends is None or len(ends) < 2:
        return np.empty((0, 2), dtype=np.int64)
    edges = np.concatenate([[0], np.searchsorted(numbers, ends)])
    windows = np.column_stack([edges[:-1], edges[1:]])
    return windows[windows[:, 1] - windows[:, 0] >= MIN_WINDOW]


def _windows(count: int, min_length: int) -> np.ndarray:
    """Return begin and end of windows of geometric lengths that overlap by five sixths, (w, 2)."""
    windows = []
    length = count // 2
    while length >= min_length:
        starts = np.unique(np.append(np.arange(0, count - length + 1, max(length // 6, 1)), count - length))
        windows.append(np.column_stack([starts, starts + length]))
        length = int(length / _QUOTIENT)
    return np.concatenate(windows) if windows else np.empty((0, 2), dtype=np.int64)


def _lowest_window(ranks: np.ndarray, shards: np.ndarray, total: int) -> tuple[int, int, float] | None:
    """Return the range of ranks that are lowest against those next to it, and the level there, if they are too low."""
    count = len(ranks)
    windows = np.concatenate([_windows(count, max(MIN_WINDOW, total // 64)), shards])
    if not len(windows):
        return None
    # A short window of high ranks has a small variance by chance: that of all ranks is the least one.
    min_variance = max(float(ranks.var()), MIN_VARIANCE)
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (ranks, ranks**2))

    def moments(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and squared standard error of the ranks of each window. A short window has no level."""
        is_filled = 4 * (np.clip(end, 0, count) - np.clip(begin, 0, count)) >= end - begin
        begin, end = np.clip(begin, 0, count), np.clip(end, 0, count)
        length = np.maximum(end - begin, 1)
        mean = (sums[end] - sums[begin]) / length
        variance = np.maximum((squares[end] - squares[begin]) / length - mean**2, min_variance)
        is_filled &= end - begin >= MIN_WINDOW
        return np.where(is_filled, mean, -1.0), np.where(is_filled, variance / length, 1.0)

    begin, end = windows.T
    length = end - begin
    mean, error = moments(begin, end)
    before, after = moments(begin - length, begin), moments(end, end + length)
    levels, level_errors = (np.where(before[0] >= after[0], a, b) for a, b in zip(before, after, strict=True))
    errors = np.sqrt(error + WINDOW_SHARE**2 * level_errors)
    deviations = (WINDOW_SHARE * levels - mean) / errors
    lowest = int(np.argmax(deviations))
    if not deviations[lowest] > -NormalDist().inv_cdf(FAMILY_LEVEL / len(windows)):
        return None
    level, middle = float(levels[lowest]), int(begin[lowest] + end[lowest]) // 2
    # Change points: the largest sums of the deficit from half of the level, to both directions of the middle.
    deficit = np.cumsum(level / 2 - ranks)
    start = int(np.argmin(np.concatenate([[0.0], deficit[:middle]])))
    stop = middle + int(np.argmax(deficit[middle:])) + 1
    # A few ranks at an end of the file cannot be told from the break.
    start, stop = start if start >= MIN_WINDOW // 2 else 0, stop if count - stop >= MIN_WINDOW // 2 else count
    return start, stop, level


def _falls_towards(ranks: np.ndarray, length: int) -> bool:
    """Return whether the first ranks, those nearest to a break of this length, are clearly below those after them."""
    near = ranks[2 : 2 + max(length // 4, 8)]  # a change point is a few rows off
    far = ranks[2 + len(near) : 2 + max(length, MIN_WINDOW)]
    if min(len(near), len(far)) < MIN_WINDOW // 2:
        return False
    (near_mean, near_error), (far_mean, far_error) = _mean_and_error(near), _mean_and_error(far)
    return far_mean - near_mean > INSIDE_Z * math.hypot(near_error, far_error)


def _judge_inside(sample: RowSample, start: int, stop: int, level: float, group_level: float) -> bool | None:
    """Return whether rows in random order match as a group. None if they are not in random order."""
    edge = (stop - start) // 20  # a change point is a few rows off
    rows = np.arange(start + edge, stop - edge)
    if len(rows) < MIN_WINDOW // 2:
        return None
    rng = np.random.default_rng(0)
    if len(rows) > MAX_INSIDE_ROWS:
        rows = np.sort(rng.choice(rows, MAX_INSIDE_ROWS, replace=False))
    inside = RowSample(sample.x[rows], sample.y[rows], sample.numbers[rows])
    both_ranks = ranks_among(inside, inside.x, inside.y)
    usable = ~np.isnan(both_ranks).any(axis=0)
    count = int(usable.sum())
    if count < MIN_WINDOW // 2:
        return None
    ranks = both_ranks[:, usable].mean(axis=0)
    mean, error = _mean_and_error(ranks)
    # In a random order ranks are uniform from -1 to 1. Pairs that are sorted by their own cosine have a trend and vary
    # less, and pairs that match have a mean.
    trend = np.corrcoef(np.arange(count), ranks)[0, 1] * math.sqrt(count)
    low_variance = min((float(both_ranks[:, usable].var(axis=1).mean()) - 1 / 3) / math.sqrt(4 / 45 / count), 0.0)
    if (mean / error) ** 2 + trend**2 + low_variance**2 > MAX_DEVIATION:
        return None
    if max(mean, 0.0) + INSIDE_Z * error > BREAK_SHARE * level:
        return None
    compared = rng.choice(len(sample.x), min(COMPARED_ROWS, len(sample.x)), replace=False)
    ranks_in_file = ranks_among(inside, sample.x[compared], sample.y[compared]).mean(axis=0)
    file_mean, file_error = _mean_and_error(ranks_in_file[~np.isnan(ranks_in_file)])
    if abs(file_mean) <= INSIDE_Z * file_error:
        return False
    # Rows of one class may have nothing in common but the class. Only strong matches next to them exclude this.
    return True if max(mean, 0.0) + LEVEL_Z * error < GROUP_SHARE * group_level else None


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), max(float(values.std()), 1e-9) / math.sqrt(len(values))


def _first_row(sample: RowSample, position: int, level: float, read: Reader, n: int, *, falling: bool) -> int:
    """Return the first row of a break, or the first one after it, from all rows around this position of the sample."""
    for _ in range(MAX_READINGS):
        numbers = sample.numbers
        low, high = int(numbers[max(position - 16, 0)]), int(numbers[min(position + 16, len(numbers) - 1)]) + 1
        if high - low <= 33 or np.all(np.diff(numbers[max(position - 16, 0) : position + 17]) == 1):
            break
        # Whole blocks on both sides, so that ranks at the ends of the range are those of its rows.
        low, high = max(low - 32, 0), min(high + 32, n)
        ranges = [(low, high)]
        if high - low > REFINED_ROWS:
            starts = np.linspace(low, high - 64, REFINED_ROWS // 64).astype(np.int64)
            ranges = [(int(start), int(start) + 64) for start in starts]
        sample = read(ranges)
        deficit = np.nan_to_num(level / 2 - local_ranks(sample))
        sums = np.concatenate([[0.0], np.cumsum(deficit)])
        position = int(np.argmin(sums) if falling else np.argmax(sums))
        position = min(max(position, 1), len(sample.numbers) - 1)
    return int(sample.numbers[position])
