"""The highest scores of rows of different items, exactly, without storing all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.compute.compiled import compiled_loops
from isthmus.compute.elementwise import ordered_bits
from isthmus.compute.masks import true_positions
from isthmus.compute.score_sweep import sweep_scores
from isthmus.compute.workspace import Workspace
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._score_sweep import sweep_rows, swept

#: Share of the positives and of the negatives that trimmed margins leave out.
TRIM_SHARE = 0.05
#: Items whose negatives tell where the trimmed ones end.
PILOT_ITEMS = 1_000
#: Items up to which all negatives are stored.
MIN_PILOT_ITEMS = 50
#: Half of the window around that end: this many standard errors and this share of the negatives.
_STANDARD_ERRORS, _MIN_SHARE = 5, 5e-4
#: Bits of a score that are counted in one pass.
_BITS = 16

Window = tuple[float, float]


@dataclass(frozen=True)
class NegativeEnds:
    """The highest of all scores x_i . y_j with i != j, and the highest after a share of `TRIM_SHARE` is left out.

    Parameters
    ----------
    highest, trimmed : float
        Both scores.
    """

    highest: float
    trimmed: float

    @classmethod
    def of(cls, rows: PairedRows, /) -> NegativeEnds:
        """Find the ends in one pass over the scores.

        >>> NegativeEnds.of(PairedRows(np.eye(3), np.eye(3)[[1, 2, 0]])).highest
        1.0
        """
        ends: NegativeEnds = sweep_rows(rows, cls)[cls]
        return ends

    @classmethod
    def consumer(cls, rows: PairedRows, /) -> NegativeTiles:
        """Return the consumer of scores that finds the ends."""
        return NegativeTiles(rows)

    @classmethod
    def is_swept(cls, rows: PairedRows, /) -> bool:
        """Return True: no device finds the ends."""
        return True

    @classmethod
    def from_context(cls, context: MetricContext, /) -> NegativeEnds:
        """Return the ends of the sampled items."""
        ends: NegativeEnds = swept(context, cls)
        return ends

    def swapped(self) -> NegativeEnds:
        """Return the ends of (y, x), which are the same."""
        return self


class NegativeTiles:
    """Count the negatives above a window around the end of the trimmed ones, and store those inside.

    Parameters
    ----------
    rows : PairedRows
        Items.
    """

    kinds: tuple[str, ...] = ("xy",)

    def __init__(self, rows: PairedRows):
        pilot = rows.random_order[:PILOT_ITEMS]
        self._rows = rows
        self._window = end_window(rows.x[pilot], rows.y[pilot], rows.n)
        self._above = 0
        self._inside: list[np.ndarray] = []
        self._highest = -math.inf
        self._workspace = Workspace()
        self._loops = compiled_loops(rows.n**2, np.result_type(rows.x, rows.y))

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> tuple[int, np.ndarray, float]:
        """Return the number of scores above the window, those inside, and the highest one."""
        if rows == columns:  # matching pairs are no negatives
            scores = scores.copy()  # other consumers look at them
            np.fill_diagonal(scores, -np.inf)
        low, high = self._window
        if self._loops is not None:
            memory = self._workspace.empty("memory", (1, scores.shape[1] // 8 + 1), np.uint64)[0]
            inside = self._workspace.empty("scores", (1, scores.size), np.float32)[0]
            above, count, highest = self._loops.split_scores(scores, low, high, memory, inside)
            return above, inside[:count].copy(), highest
        is_inside, is_above = (self._workspace.empty(name, scores.shape, bool) for name in ("inside", "above"))
        np.greater(scores, low, out=is_inside)
        np.greater(scores, high, out=is_above)
        np.not_equal(is_inside, is_above, out=is_inside)
        inside = scores.ravel()[true_positions(is_inside)]
        return int(np.count_nonzero(is_above)), inside, float(scores.max())

    def add(self, kind: str, partial: tuple[int, np.ndarray, float], rows: slice, columns: slice) -> None:
        """Add the result of a tile."""
        above, inside, highest = partial
        self._above += above
        self._inside.append(inside)
        self._highest = max(self._highest, highest)

    def result(self) -> NegativeEnds:
        """Return the ends after all tiles."""
        inside = np.concatenate(self._inside)
        rank = trimmed_count(self._rows.n * (self._rows.n - 1)) - self._above
        if 0 <= rank < len(inside):
            position = len(inside) - 1 - rank
            return NegativeEnds(self._highest, float(np.partition(inside, position)[position]))
        return NegativeEnds(self._highest, nth_highest_negative(self._rows, rank + self._above))


def trimmed_count(count: int) -> int:
    """Return how many of `count` values a trimmed margin leaves out."""
    return math.floor(TRIM_SHARE * count)


def end_window(x: np.ndarray, y: np.ndarray, n: int) -> Window:
    """Return two scores of which the end of the trimmed negatives of n items lies almost certainly between.

    Parameters
    ----------
    x, y : (m, d) arrays
        Random items, of the n ones.
    n : int
        Number of items.

    Returns
    -------
    tuple of float
        The window contains its upper end only. Of many equal scores at its lower end, none is inside.
    """
    m = len(x)
    if m < MIN_PILOT_ITEMS:
        return -float(np.finfo(x.dtype).max), math.inf
    scores = x @ y.T
    np.fill_diagonal(scores, -np.inf)
    ordered = np.sort(scores, axis=None)[m:]
    is_high = scores > _quantile(ordered, TRIM_SHARE)
    # The share of high scores varies with the rows and with the columns that were drawn, without replacement.
    variances = (float(is_high.mean(axis=axis).var(ddof=1)) for axis in (0, 1))
    margin = _STANDARD_ERRORS * math.sqrt(sum(variances) / m * (1 - m / n)) + _MIN_SHARE
    low = _quantile(ordered, TRIM_SHARE + margin)
    high = _quantile(ordered, TRIM_SHARE - margin) if margin < TRIM_SHARE else math.inf
    return low, high


def _quantile(ordered: np.ndarray, share: float) -> float:
    """Return the score that this share of the scores in ascending order exceeds."""
    return float(ordered[max(len(ordered) - 1 - int(share * len(ordered)), 0)])


def nth_highest_negative(rows: PairedRows, rank: int) -> float:
    """Return the negative of a rank, which counts from 0 for the highest one, in any distribution.

    Each pass over the scores counts the next `_BITS` bits of those that share the bits found so far.
    """
    n_bits = 8 * np.result_type(rows.x, rows.y).itemsize
    prefix = 0
    for shift in range(n_bits - _BITS, -1, -_BITS):
        digits = _DigitTiles(prefix, shift, n_bits)
        sweep_scores(rows.x, rows.y, [digits])
        above = np.cumsum(digits.counts[::-1])
        position = int(np.searchsorted(above, rank, side="right"))
        rank -= int(above[position - 1]) if position else 0
        prefix = prefix << _BITS | (len(above) - 1 - position)
    key = np.array([prefix - (1 << (n_bits - 1))]).astype(f"i{n_bits // 8}")
    return float(ordered_bits(key).view(f"f{n_bits // 8}")[0])


class _DigitTiles:
    """Count a digit of `_BITS` bits of the scores whose higher bits are `prefix`, as numbers in the order of scores."""

    kinds: tuple[str, ...] = ("xy",)

    def __init__(self, prefix: int, shift: int, n_bits: int):
        self._prefix, self._shift, self._n_bits = prefix, shift, n_bits
        self.counts = np.zeros(1 << _BITS, dtype=np.int64)

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """Return the counts of one tile, without matching pairs."""
        scores = scores if rows != columns else scores[~np.eye(len(scores), dtype=bool)]
        keys = ordered_bits(scores.ravel().view(f"i{self._n_bits // 8}")) >> self._shift
        digits = keys & ((1 << _BITS) - 1)
        if self._shift == self._n_bits - _BITS:
            digits = keys + (1 << (_BITS - 1))  # the highest digit has the sign
        else:
            digits = digits[keys >> _BITS == self._prefix - (1 << (self._n_bits - self._shift - _BITS - 1))]
        return np.bincount(digits, minlength=1 << _BITS)

    def add(self, kind: str, partial: np.ndarray, rows: slice, columns: slice) -> None:
        """Add the counts of a tile."""
        self.counts += partial
