"""Bins of the cosine, and thresholds in histograms of these bins."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted, percent

#: Bins of the cosine over [-1, 1], a resolution of 1e-4.
BINS = 20_000
#: Matching and non-matching pairs at or above a threshold that an interval of it needs. With fewer matching pairs there
#: is no precision either.
MIN_PAIRS = (20, 10)


def bin_of(cosine: float) -> int:
    """Return the number of the bin that holds a cosine."""
    if not -1 <= cosine <= 1:
        raise InputError(f"cosine={cosine:g}, expected a number between -1 and 1")
    return min(int((cosine + 1) * (BINS / 2) + 1e-9), BINS - 1)


def smallest_reaching(matching: np.ndarray, non_matching: np.ndarray, precision: float, prior: float) -> float:
    """Return the lower edge of the first bin from which on the precision is reached, NaN if there is none."""
    true, false = (np.cumsum(counts[::-1])[::-1] / counts.sum() for counts in (matching, non_matching))
    reached = np.flatnonzero((true > 0) & (prior * true * (1 - precision) >= (1 - prior) * false * precision))
    return float(reached[0] * 2 / BINS - 1) if len(reached) else NAN


def share_text(share: float) -> str:
    """Return a percentage with three decimals near 0 and 1, else with one."""
    if 1e-5 <= share < 0.001 or 0.999 < share <= 1 - 1e-5:
        return f"{100 * share:.3f} %"
    return percent(share)


def threshold_curve(calibration: Any, n_positions: int) -> dict[str, np.ndarray]:
    """Return precision, recall and the share of non-matching pairs at or above evenly spread cosines.

    Parameters
    ----------
    calibration : Calibration
        Histograms of the cosines.
    n_positions : int
        Largest number of cosines, from the lowest to the highest bin that holds a pair.

    Returns
    -------
    dict of str to np.ndarray
        'cosines', 'precision' for one match among all items, 'recall' and 'above'. A precision of fewer than
        `MIN_PAIRS` matching pairs is NaN.
    """
    matching, non_matching = calibration.matching.sum(axis=0), calibration.non_matching.sum(axis=(0, 1))
    used = np.flatnonzero(matching + non_matching)
    positions = np.unique(np.linspace(used[0], used[-1], n_positions).astype(int))
    recall, above = (np.cumsum(counts[::-1])[::-1][positions] / counts.sum() for counts in (matching, non_matching))
    true_share = calibration.prevalence * recall
    found = true_share + (1 - calibration.prevalence) * above
    precision = np.divide(true_share, found, out=np.full(len(found), NAN), where=found > 0)
    precision[np.rint(recall * matching.sum()) < MIN_PAIRS[0]] = NAN
    return {"cosines": positions * 2 / BINS - 1, "precision": precision, "recall": recall, "above": above}


def threshold_sentence(threshold: Estimate, shares: tuple[str, str], n_matching: int, /) -> str:
    """Return the meaning of a threshold, or why it is not judged: too few matching pairs lie above it.

    `shares` are its precision and its recall.
    """
    if n_matching < MIN_PAIRS[0]:
        return (
            f"A precision of {shares[0]} cannot be judged on these pairs: the threshold would rest on "
            f"{counted(n_matching, 'matching pair')}, and {MIN_PAIRS[0]} are needed."
        )
    interval = threshold.note or f"95 %: {threshold.low:.4f} to {threshold.high:.4f}"
    return (
        f"At or above {threshold.value:.4f} ({interval}), {shares[0]} of the candidates are matches, "
        f"and {shares[1]} of the matches are found."
    )
