"""Which of two measures explains a score over the doses: rank correlations, monotone curves and their bootstrap."""

from __future__ import annotations

import math

import numpy as np

from isthmus.result import NAN, Estimate

BOOTSTRAPS = 2000


def explained(table: np.ndarray, paths: np.ndarray, rng: int) -> dict[str, Estimate]:
    """How well the gap and the alignment rank and explain a score; `table` (doses, 3) holds the gap, the alignment and
    the score, `paths` (doses,) the path of each. The names are those of `DoseResponse.explained`."""
    generator = np.random.default_rng(rng)
    draws = np.array([_statistics(table[_redrawn(paths, generator)]) for _ in range(BOOTSTRAPS)])
    value = _statistics(table)
    found = {}
    names = ("gap", "alignment", "difference", "gap_curve", "alignment_curve", "curve_difference")
    for column, name in enumerate(names):
        kept = draws[:, column][np.isfinite(draws[:, column])]
        enough = len(kept) > BOOTSTRAPS // 2 and math.isfinite(value[column])
        low, high = np.quantile(kept, [0.025, 0.975]) if enough else (NAN, NAN)
        unit = "share of variance" if "curve" in name else "rank correlation"
        found[name] = Estimate(float(value[column]), float(low), float(high), unit=unit)
    return found


def _redrawn(paths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Numbers of the doses, drawn with replacement within each path."""
    return np.concatenate([generator.choice(np.flatnonzero(paths == p), np.sum(paths == p)) for p in np.unique(paths)])


def _statistics(table: np.ndarray) -> tuple[float, ...]:
    gap, alignment = (spearman(table[:, column], table[:, 2]) for column in (0, 1))
    curves = [monotone_share(table[:, column], table[:, 2]) for column in (0, 1)]
    return gap, alignment, abs(alignment) - abs(gap), curves[0], curves[1], curves[1] - curves[0]


def monotone_share(a: np.ndarray, b: np.ndarray) -> float:
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


def interval(e: Estimate) -> str:
    return f"{e.value:+.2f}, {e.low:+.2f} to {e.high:+.2f}"


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN when one side is constant."""
    ranks = [_mean_ranks(v) for v in (a, b)]
    u, v = (r - r.mean() for r in ranks)
    size = math.sqrt(float(u @ u) * float(v @ v))
    return float(u @ v) / size if size > 0 else NAN


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, number, counts = np.unique(np.round(values, 12), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[number]
