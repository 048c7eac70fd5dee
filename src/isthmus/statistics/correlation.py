"""How well one series follows another: rank correlation, and the share that a monotone curve explains."""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.result import NAN


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN when one side is constant."""
    ranks = [_mean_ranks(v) for v in (a, b)]
    u, v = (r - r.mean() for r in ranks)
    size = math.sqrt(float(u @ u) * float(v @ v))
    return float(u @ v) / size if size > 0 else NAN


def isotonic_r2(a: np.ndarray, b: np.ndarray) -> float:
    """The share of the variance of b that the best rising or falling function of a explains; NaN when b is constant.

    Values of a within 2 % of its range count as one: a monotone function may not live on differences that small.
    """
    from scipy.optimize import isotonic_regression

    spread = float(np.sum((b - b.mean()) ** 2))
    width = float(np.ptp(a))
    if spread <= 1e-12 or width == 0:
        return NAN if spread <= 1e-12 else 0.0
    _, cell, counts = np.unique(np.round(a / (0.02 * width)), return_inverse=True, return_counts=True)
    means = np.bincount(cell, weights=b) / counts
    left = []
    for increasing in (True, False):
        fitted = isotonic_regression(means, weights=counts, increasing=increasing).x
        left.append(float(np.sum((b - fitted[cell]) ** 2)))
    return 1 - min(left) / spread


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, number, counts = np.unique(np.round(values, 12), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[number]
