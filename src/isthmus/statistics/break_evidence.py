"""How much likelier ranks of pairs are in a random order than in the right one, and the ranges where they are."""

from __future__ import annotations

import numpy as np

#: Standard deviation of ranks in a random order, and the least one of ranks in the right order.
RANDOM_SPREAD, MIN_SPREAD = 0.57, 0.1
#: Least and largest evidence of one rank. A tenth of the ranks in a random order are near 1, some matches are wrong.
EVIDENCE_LIMITS = (-2.0, 5.0)
#: Ranks at an end of the file that cannot be told from a break beside them.
MAX_END_RANKS = 7
#: Evidence of matching rows that ends a range. In a random order, a sum is as low once in 1e13.
MATCHING_EVIDENCE = -30.0


def order_evidence(
    ranks: np.ndarray, levels: np.ndarray | float, spread: np.ndarray | float | None = None
) -> np.ndarray:
    """Return the logarithm of how much likelier each rank is in a random order than in the right one.

    Parameters
    ----------
    ranks : numpy.ndarray
        Ranks (k,), from -1 to 1.
    levels : numpy.ndarray or float
        Mean of each rank in the right order.
    spread : numpy.ndarray or float, optional
        Its standard deviation. Default: decreasing with the level, because ranks have a largest value.

    Returns
    -------
    numpy.ndarray
        Evidence (k,), from -2 to 5.

    Examples
    --------
    >>> order_evidence(np.array([0.0, 0.9]), 0.8).round(1).tolist()
    [2.2, -1.7]
    """
    if spread is None:
        spread = RANDOM_SPREAD * np.sqrt(1 - np.minimum(levels, 1.0) ** 2)
    spread = np.clip(spread, MIN_SPREAD, RANDOM_SPREAD)
    ratio = ((ranks - levels) / spread) ** 2 - (ranks / RANDOM_SPREAD) ** 2
    return np.asarray(np.clip(ratio / 2 + np.log(spread / RANDOM_SPREAD), *EVIDENCE_LIMITS))


def strongest_range(evidence: np.ndarray) -> tuple[int, int]:
    """Return the range with the largest sum of evidence.

    Parameters
    ----------
    evidence : numpy.ndarray
        Evidence (k,).

    Returns
    -------
    start, stop : int
        First position, and the one after the last.

    Examples
    --------
    >>> strongest_range(np.array([-1, 2, -1, 3, -4, 2]))
    (1, 4)
    """
    sums = np.concatenate([[0.0], np.cumsum(evidence)])
    stop = int(np.argmax(sums - np.minimum.accumulate(sums)))
    return int(np.argmin(sums[: stop + 1])), stop


def ends_around(evidence: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Return the range with the largest sum of evidence that contains the middle of a range, and no part that matches.

    Parameters
    ----------
    evidence : numpy.ndarray
        Evidence (k,).
    start, stop : int
        The range.

    Returns
    -------
    start, stop : int
        First position, and the one after the last. They are the ends of the file if only a few ranks are beyond.

    Examples
    --------
    >>> ends_around(np.repeat([-1, 2, -1], 20), 25, 50)
    (20, 40)
    """
    middle, count = (start + stop) // 2, len(evidence)
    start, stop = middle - _length(evidence[:middle][::-1]), middle + max(_length(evidence[middle:]), 1)
    return start if start > MAX_END_RANKS else 0, stop if count - stop > MAX_END_RANKS else count


def _length(evidence: np.ndarray) -> int:
    """Return the number of first ranks with the largest sum of evidence. Rows that match end the search.

    >>> _length(np.repeat([2, -1, 2], [30, 20, 30])), _length(np.repeat([2, -1, 2], [30, 40, 30]))
    (80, 30)
    """
    sums = np.concatenate([[0.0], np.cumsum(evidence)])
    is_match = sums - np.maximum.accumulate(sums) < MATCHING_EVIDENCE
    return int(np.argmax(sums[: int(np.argmax(is_match))] if is_match.any() else sums))
