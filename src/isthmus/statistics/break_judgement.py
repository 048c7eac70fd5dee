"""Judgement of rows whose ranks are low: their order is random, or they point away from their matches."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from isthmus.statistics.row_samples import RowSample, ranks_among

#: State of rows that do not match: in random order, nearer to each other than to other rows, or with changed signs.
State = Literal["unordered", "group", "negated"]
#: Fewest ranks in a window.
MIN_WINDOW = 16
#: Ranks of a break are below this share of those around it, and below the second share if its rows match as a group.
BREAK_SHARE, GROUP_SHARE = 0.5, 0.37
#: Limits of the level of a break in standard errors: below one side, if it matches as a group, and of changed signs.
INSIDE_Z, LEVEL_Z, NEGATED_Z = 3.3, 3.0, 5.0
#: Sum of the squared deviations of mean, trend and variance of the ranks in a random order, which 0.5 % exceed.
MAX_DEVIATION = 12.84
#: Rows of a break that are ranked among each other.
MAX_INSIDE_ROWS = 1024
#: Random rows of the file that the rows of a break are ranked among.
COMPARED_ROWS = 128


@dataclass(frozen=True)
class Window:
    """Range of ranks, the level of those around it, and the limit of its own in standard errors below half of it.

    With a model, it has the least level that its rows may have in their right order, and the evidence against it.
    """

    start: int
    stop: int
    level: float
    limit: float
    expected: float | None = None
    evidence: float = 0.0

    def moved(self, count: int) -> Window:
        """Return the window with another origin of its positions."""
        return replace(self, start=self.start + count, stop=self.stop + count)


def judge_rows(sample: RowSample, window: Window, group_level: float, score: np.ndarray | None) -> State | None:
    """Return the state of the rows of a window.

    Parameters
    ----------
    sample : RowSample
        Centred rows.
    window : Window
        Range of low ranks.
    group_level : float
        Level of the ranks next to the range.
    score : numpy.ndarray or None
        Matrix of a learned score, see `learned_score`.

    Returns
    -------
    {'unordered', 'group', 'negated'} or None
        None if the rows are neither in random order nor point away from their matches.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    >>> judge_rows(RowSample(rows, -rows, np.arange(100)), Window(20, 80, 1.0, 3.3), 1.0, None)
    'negated'
    """
    start, stop = window.start, window.stop
    edge = (stop - start) // 20  # a change point is a few rows off
    rows = np.arange(start + edge, stop - edge)
    if len(rows) < MIN_WINDOW // 2:
        return None
    rng = np.random.default_rng(0)
    if len(rows) > MAX_INSIDE_ROWS:
        rows = np.sort(rng.choice(rows, MAX_INSIDE_ROWS, replace=False))
    both_ranks = _ranks_inside(inside := RowSample(sample.x[rows], sample.y[rows], sample.numbers[rows]), score)
    usable = ~np.isnan(both_ranks).any(axis=0)
    count = int(usable.sum())
    if count < MIN_WINDOW // 2:
        return None
    ranks = both_ranks[:, usable].mean(axis=0)
    mean, error = mean_and_error(ranks)
    if -mean > max(BREAK_SHARE * window.level, NEGATED_Z * error):
        return "negated"
    # In a random order ranks are uniform from -1 to 1. Pairs that are sorted by their own cosine have a trend and vary
    # less, and pairs that match have a mean.
    trend = np.corrcoef(np.arange(count), ranks)[0, 1] * math.sqrt(count)
    low_variance = min((float(both_ranks[:, usable].var(axis=1).mean()) - 1 / 3) / math.sqrt(4 / 45 / count), 0.0)
    if (mean / error) ** 2 + trend**2 + low_variance**2 > MAX_DEVIATION:
        return None
    limit, group_limit = BREAK_SHARE * window.level - window.limit * error, GROUP_SHARE * group_level
    if window.expected is not None:
        limit = group_limit = BREAK_SHARE * window.expected
    if max(mean, 0.0) > limit:
        return None
    compared = rng.choice(len(sample.x), min(COMPARED_ROWS, len(sample.x)), replace=False)
    ranks_in_file = ranks_among(inside, sample.x[compared], sample.y[compared]).mean(axis=0)
    file_mean, file_error = mean_and_error(ranks_in_file[~np.isnan(ranks_in_file)])
    if abs(file_mean) <= INSIDE_Z * file_error:
        return "unordered"
    # Rows of one class may have nothing in common but the class. Only strong matches next to them exclude this.
    return "group" if max(mean, 0.0) + LEVEL_Z * error < group_limit else None


def _ranks_inside(inside: RowSample, score: np.ndarray | None) -> np.ndarray:
    """Return the ranks of the pairs of a range among its own rows, each minus the mean of the range, (2, k)."""
    x, y = inside.x - inside.x.mean(axis=0), inside.y - inside.y.mean(axis=0)
    x = x if score is None else x @ score
    return ranks_among(RowSample(x, y, inside.numbers), x, y)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of values and its standard error, which is positive.

    >>> mean_and_error(np.array([1.0, 3.0]))
    (2.0, 0.7071067811865475)
    """
    return float(values.mean()), max(float(values.std()), 1e-9) / math.sqrt(len(values))
