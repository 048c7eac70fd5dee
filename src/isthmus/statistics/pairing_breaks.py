"""Where the pairing of two files breaks: ranges of rows that do not match while the rows around them do.

Each pair has a rank among the pairs of a row with the rows around it. Ranks are -1 to 1, with mean 0 in a random order.
If the ranks are low somewhere, they are also computed from a learned score, see `learned_ranks`. Windows of many
lengths are tested against the higher one of the windows next to them. They are also tested against both, which finds a
break where quality falls along the file. The ends of a range are the change points of the likelihood ratio of the
ranks. A range counts only if its own rows are in random order, without a trend, and the ranks next to it do not fall
towards it. Pairs whose quality falls along the file have a trend, and classes leave ranks above zero. In files of at
least 280 ranks, the levels are those that the rows of the range would have in their right order, see `RankModel`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from isthmus.statistics.break_evidence import ends_around, order_evidence, strongest_range
from isthmus.statistics.break_judgement import INSIDE_Z, MIN_WINDOW, State, Window, judge_rows, mean_and_error
from isthmus.statistics.expected_ranks import RankModel
from isthmus.statistics.learned_ranks import learned_ranks, learned_score
from isthmus.statistics.row_samples import RowSample, local_ranks

#: Probability of a break in a file whose rows match, over all windows.
FAMILY_LEVEL = 0.01
#: Share of the ranks on one side of a window below which its own are tested.
WINDOW_SHARE = 0.75
#: Share of the level between both sides. A side has up to twice the length of the window, and deviates by 2.6 itself.
BETWEEN_SHARE, SIDE_LENGTHS, SIDE_Z = 0.9, 2, 2.6
#: Overlapping windows that count as one test against both sides, and the most of these windows that fit into a file.
OVERLAP, MAX_BETWEEN_WINDOWS = 5, 24
#: Standard errors by which ranks of a wide range, but not of a narrow one in it, must exceed a random order.
BESIDE_Z = 4.0
#: Quotient of the lengths of windows.
_QUOTIENT = 1.25
#: Limit of the level of a break in standard errors below both sides.
BETWEEN_Z = 1.64
#: Share of the level farther away that the ranks next to a break are below if they fall towards it.
FALL_SHARE = 0.75
#: Standard errors by which the ranks outside a break exceed those of a random order.
MATCHING_Z = 5.0
#: Fewest ranks for expected levels, and the least evidence of a range against them.
MIN_MODEL_RANKS, MIN_EVIDENCE = 280, 11.0
#: Share of a window that its range keeps at least if the expected levels move its ends.
MIN_KEPT = 0.65
#: Least variance of ranks. That of a random order is 1/3.
MIN_VARIANCE = 0.1
#: Breaks that are searched for.
MAX_BREAKS = 8
#: Rows that are read at once to find the first row of a break, and readings at most.
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
    is_negated : bool
        Whether the rows point away from their matches, as after a change of signs. Default: False.

    Examples
    --------
    >>> BrokenRows(250, 500, False).stop
    500
    """

    start: int
    stop: int
    matches_as_group: bool
    is_negated: bool = False


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
    [BrokenRows(start=300, stop=500, matches_as_group=False, is_negated=False)]
    """
    informative = np.flatnonzero(~np.isnan(ranks := local_ranks(sample)))
    if len(informative) < 2 * MIN_WINDOW:
        return []
    if len(informative) < len(ranks):
        sample = RowSample(sample.x[informative], sample.y[informative], sample.numbers[informative])
        ranks = ranks[informative]
    ranks, by_product = learned_ranks(sample, ranks), ranks
    shards = _shard_windows(sample.numbers, ends)
    model: RankModel | None = None

    def judge(window: Window) -> State | None:
        """Return the state of the rows of a window. None if the pairing does not break there."""
        start, stop, length = window.start, window.stop, window.stop - window.start
        mean, error = mean_and_error(np.concatenate([ranks[:start], ranks[stop:]]))
        if mean < MATCHING_Z * error:  # nothing else matches either
            return None
        if window.expected is None and (
            _falls_towards(ranks[:start][::-1], length) or _falls_towards(ranks[stop:], length)
        ):
            return None
        next_to_it = (ranks[max(start - length, 0) : start], ranks[stop : stop + length])
        group_level = min(float(levels.mean()) for levels in next_to_it if len(levels))
        score = None if ranks is by_product else learned_score(sample, start, stop)
        return judge_rows(sample, window, group_level, score)

    ranges: list[BrokenRows] = []
    known: list[tuple[int, int]] = []
    segments = [(0, len(ranks))]
    while segments and len(ranges) < MAX_BREAKS:
        first, last = segments.pop()
        inside = shards[(shards[:, 0] >= first) & (shards[:, 1] <= last)] - first
        candidates = [window.moved(first) for window in _lowest_windows(ranks[first:last], inside, len(ranks))]
        if model is None and (candidates or ranks is not by_product) and len(ranks) >= MIN_MODEL_RANKS:
            model = RankModel(sample, ranks, known)
        if model is not None:
            candidates += _below_expected(model, ranks, first, last) if ranks is not by_product else []
            expected = [_against_expected(model, ranks, window, first, last) for window in candidates]
            candidates = [window for window in expected if window.expected is None or window.evidence >= MIN_EVIDENCE]
        candidates = [window for window in candidates if (window.start, window.stop) != (0, len(ranks))]
        if not candidates:
            continue
        accepted = [(window, state) for window in candidates if (state := judge(window)) is not None]
        window, state = accepted[0] if accepted else (candidates[-1], None)
        if accepted and window.expected is not None:
            window, state = max(accepted, key=lambda entry: entry[0].evidence)
        elif len(accepted) == 2 and _has_matches_beside(ranks, *(entry for entry, _ in accepted)):
            window, state = accepted[1]
        start, stop = window.start, window.stop
        segments += [(first, start), (stop, last)]
        if state is not None:
            begin = _first_row(sample, start, window.level, read, n, falling=True) if start else 0
            end = _first_row(sample, stop, window.level, read, n, falling=False) if stop < len(ranks) else n
            ranges.append(BrokenRows(begin, end, state == "group", state == "negated"))
            known.append((start, stop))
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


def _lowest_windows(ranks: np.ndarray, shards: np.ndarray, total: int) -> list[Window]:
    """Return the ranges of ranks that are lowest against one side, and against both sides, if they are too low."""
    count = len(ranks)
    windows = np.concatenate([_windows(count, max(MIN_WINDOW, total // 64)), shards])
    if not len(windows):
        return []
    # A short window of high ranks has a small variance by chance: that of neighbouring ranks is the least one.
    min_variance = max(float(np.mean(np.diff(ranks) ** 2)) / 2, MIN_VARIANCE)
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (ranks, ranks**2))

    def moments(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean, squared standard error and number of the ranks of each window. A short window has no level."""
        begin, end = np.clip(begin, 0, count), np.clip(end, 0, count)
        length = np.maximum(end - begin, 1)
        mean = (sums[end] - sums[begin]) / length
        variance = np.maximum((squares[end] - squares[begin]) / length - mean**2, min_variance)
        is_filled = (end - begin >= MIN_WINDOW) & (4 * (end - begin) >= lengths)
        return np.where(is_filled, mean, -1.0), np.where(is_filled, variance / length, 1.0), length

    begin, end = windows.T
    lengths = end - begin
    mean, error, _ = moments(begin, end)

    def deviations(share: float, level: np.ndarray, level_error: np.ndarray) -> np.ndarray:
        return (share * level - mean) / np.sqrt(error + share**2 * level_error)

    candidates: list[Window] = []
    before, after = moments(begin - lengths, begin), moments(end, end + lengths)
    levels, level_errors, level_lengths = np.where(before[0] >= after[0], before, after)
    deviation = deviations(WINDOW_SHARE, levels, level_errors)
    lowest = int(np.argmax(deviation))
    if deviation[lowest] > -NormalDist().inv_cdf(FAMILY_LEVEL / len(windows)):
        level, spread = float(levels[lowest]), math.sqrt(level_errors[lowest] * level_lengths[lowest])
        candidates.append(_ends_below_level(ranks, int(begin[lowest]), int(end[lowest]), level, spread))
    # Quality that falls along the file makes windows below one side, and none below both sides.
    before, after = moments(begin - SIDE_LENGTHS * lengths, begin), moments(end, end + SIDE_LENGTHS * lengths)
    weight = (lengths + after[2]) / (2 * lengths + before[2] + after[2])
    level_errors = weight**2 * before[1] + (1 - weight) ** 2 * after[1]
    deviation = deviations(BETWEEN_SHARE, weight * before[0] + (1 - weight) * after[0], level_errors)
    lower = np.minimum(*(deviations(WINDOW_SHARE, *level[:2]) for level in (before, after)))
    usable_windows = lengths >= total // MAX_BETWEEN_WINDOWS
    deviation = np.where(usable_windows & (lower > SIDE_Z), deviation, -np.inf)
    lowest = int(np.argmax(deviation))
    if deviation[lowest] > -NormalDist().inv_cdf(FAMILY_LEVEL / max(int(usable_windows.sum()) / OVERLAP, 1)):
        candidates.append(_ends_between_levels(ranks, int(begin[lowest]), int(end[lowest])))
    return candidates


def _ends_below_level(ranks: np.ndarray, start: int, stop: int, level: float, spread: float) -> Window:
    """Return the change points around a window from the level of one side."""
    return Window(*ends_around(order_evidence(ranks, level, spread), start, stop), level, INSIDE_Z)


def _ends_between_levels(ranks: np.ndarray, start: int, stop: int) -> Window:
    """Return the change points at both ends of a window, each from the level on its side."""
    for _ in range(2):
        length, middle = stop - start, (start + stop) // 2
        low, high = max(start - SIDE_LENGTHS * length, 0), min(stop + SIDE_LENGTHS * length, len(ranks))
        before, after = ranks[low:start], ranks[stop:high]
        falling = order_evidence(ranks[low:middle], float(before.mean()), float(before.std()))
        rising = order_evidence(ranks[middle:high], float(after.mean()), float(after.std()))
        first = low + int(np.argmin(np.concatenate([[0.0], np.cumsum(falling)])))
        last = middle + int(np.argmax(np.cumsum(rising))) + 1
        if min(first, last - first, len(ranks) - last) < MIN_WINDOW // 2:
            break
        start, stop = first, last
    return Window(start, stop, float(before.mean() + after.mean()) / 2, BETWEEN_Z)


def _below_expected(model: RankModel, ranks: np.ndarray, first: int, last: int) -> list[Window]:
    """Return the range of a segment with the strongest evidence against the expected levels, [] if it is too short."""
    levels, _ = model.fit() or (ranks, 0.0)
    evidence = order_evidence(ranks, levels)[first:last]
    start, stop = strongest_range(evidence)
    is_long = stop - start >= max(MIN_WINDOW, len(ranks) // MAX_BETWEEN_WINDOWS)
    if not is_long or evidence[start:stop].sum() < MIN_EVIDENCE:
        return []
    return [Window(start, stop, float(levels[first + start : first + stop].mean()), BETWEEN_Z).moved(first)]


def _against_expected(model: RankModel, ranks: np.ndarray, window: Window, first: int, last: int) -> Window:
    """Return a window of a segment with its ends, level and evidence against the levels that the other rows imply."""
    for _ in range(2):
        fitted = model.fit(window.start, window.stop)
        if fitted is None:
            return window
        levels, margin = fitted
        evidence = order_evidence(ranks, levels)[first:last]
        start, stop = ends_around(evidence, window.start - first, window.stop - first)
        # A part of a class with few matches has none by chance.
        if stop - start < max(MIN_WINDOW, MIN_KEPT * (window.stop - window.start)):
            break
        window = replace(window, start=first + start, stop=first + stop)
    lowered = np.maximum(levels - margin, 0.02)[window.start : window.stop]
    total = float(order_evidence(ranks[window.start : window.stop], lowered).sum())
    return replace(window, expected=float(lowered.mean()), evidence=total)


def _has_matches_beside(ranks: np.ndarray, wide: Window, narrow: Window) -> bool:
    """Return whether the ranks of one range that the other leaves out are clearly above zero."""
    rows = np.arange(wide.start, wide.stop)
    rows = rows[(rows < narrow.start) | (rows >= narrow.stop)]
    if len(rows) < MIN_WINDOW // 2:
        return False
    mean, error = mean_and_error(ranks[rows])
    return mean > BESIDE_Z * error


def _falls_towards(ranks: np.ndarray, length: int) -> bool:
    """Return whether the ranks nearest to a break of this length are clearly below those after them."""
    adjacent = ranks[2 : 2 + max(length // 4, 8)]  # a change point is a few rows off
    distant = ranks[2 + len(adjacent) : 2 + max(length, MIN_WINDOW)]
    if min(len(adjacent), len(distant)) < MIN_WINDOW // 2:
        return False
    (adjacent_mean, adjacent_error), (distant_mean, distant_error) = mean_and_error(adjacent), mean_and_error(distant)
    is_fall = distant_mean - adjacent_mean > INSIDE_Z * math.hypot(adjacent_error, distant_error)
    return is_fall and adjacent_mean < FALL_SHARE * distant_mean


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
