"""Margin and relative bias of the sigmoid loss: how far positives and negatives stand apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.metrics._conditions import too_few_items
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import TRIM, PairwiseSums, trimmed
from isthmus.statistics.intervals import Z95, clip_interval
from isthmus.statistics.result import Estimate

#: Half samples behind the intervals, and the most items that they are halves of.
HALVES, MOST = 40, 1_000
#: With fewer items the intervals do not cover: of 80 items 5 % are four, and 85 % of the intervals hold the truth.
FEWEST = 200


@dataclass(frozen=True)
class Ends:
    """The lowest positive x_i . y_i and the highest negative x_i . y_j (i != j), and those of a shuffled pairing."""

    positive: float
    negative: float
    shuffled: float


def ends(rows: PairedRows, high: np.ndarray, *, trim: bool) -> Ends:
    """The ends of all positives and negatives, or of those that are left after `TRIM` of each is left out."""
    positives = np.einsum("ij,ij->i", rows.x, rows.y)
    skip_low, skip_high = (trimmed(rows.n), trimmed(rows.n * (rows.n - 1))) if trim else (0, 0)
    shuffled = [
        np.partition(np.einsum("ij,ij->i", rows.x[i], rows.y[j]), skip_low)[skip_low]
        for i, j in rows.non_matching_rows()
    ]
    return Ends(
        float(np.partition(positives, skip_low)[skip_low]),
        float(np.partition(high, len(high) - 1 - skip_high)[len(high) - 1 - skip_high]),
        float(np.mean(shuffled)),
    )


def half_sample_ends(rows: PairedRows) -> np.ndarray:
    """The trimmed (positive, negative) ends of random halves of at most `MOST` items, (HALVES, 2), times sqrt(m / n)
    around their mean: they scatter as those of all n items do.

    Halves are drawn without replacement: a row that is drawn twice would be its own highest negative.
    """
    m = min(rows.n, MOST) // 2 * 2
    chosen = rows.random_order[:m]
    scores = rows.x[chosen].astype(np.float64) @ rows.y[chosen].astype(np.float64).T
    positives, rng, size = np.diag(scores).copy(), np.random.default_rng(0), m // 2
    np.fill_diagonal(scores, -np.inf)
    low, high = trimmed(size), trimmed(size * (size - 1)) + 1
    found = []
    for _ in range(HALVES):
        half = rng.permutation(m)[:size]
        negatives = scores[np.ix_(half, half)].ravel()
        found.append((np.partition(positives[half], low)[low], np.partition(negatives, -high)[-high]))
    table = np.array(found)
    return table.mean(axis=0) + (table - table.mean(axis=0)) * math.sqrt(m / rows.n)


@dataclass(frozen=True)
class HalfSampleEnds:
    """The table of `half_sample_ends` for the sampled items, (HALVES, 2)."""

    table: np.ndarray

    @classmethod
    def from_context(cls, context: MetricContext, /) -> HalfSampleEnds:
        """Draw the halves."""
        return cls(half_sample_ends(context.shared(PairedRows)))


def _known(trim: bool) -> tuple[np.ndarray, np.ndarray]:
    """Positives .8, negatives 0; when 5 % will be left out, one item whose positive is -1."""
    e = np.eye(80)
    x, y = e[:40], 0.8 * e[:40] + 0.6 * e[40:]
    if trim:
        y[0] = -x[0]
    return x, y


def _register(name: str, trim: bool, bias: bool) -> None:
    def compute(context: MetricContext) -> Estimate:
        if context.shared(PairedRows).n < 2:
            return too_few_items(context.shared(PairedRows).n, 2)
        e = ends(context.shared(PairedRows), context.shared(PairwiseSums).high_negatives, trim=trim)
        sign = 1 if bias else -1
        value, null = ((end + sign * e.negative) / 2 for end in (e.positive, e.shuffled))
        if not trim:
            return Estimate(value, null=null)
        if context.shared(PairedRows).n < FEWEST:
            return Estimate(value, null=null, note=f"no interval: needs n >= {FEWEST}")
        error = float(np.std(context.shared(HalfSampleEnds).table @ [0.5, 0.5 * sign], ddof=1))
        return Estimate(value, *clip_interval((value - Z95 * error, value + Z95 * error), -1, 1), null)

    which = "relative bias" if bias else "margin"
    formula = "(lowest + highest) / 2" if bias else "(lowest - highest) / 2"
    left = (
        f"after the lowest {TRIM:.0%} of the positives and the highest {TRIM:.0%} of the negatives are left out"
        if trim
        else "of all positives and negatives"
    )
    compute.__doc__ = (
        f"{which[0].upper()}{which[1:]} {formula} with the lowest positive x_i . y_i and the highest negative "
        f"x_i . y_j, i != j, {left}, on at most 10,000 random items with one partner each. The null shuffles the "
        "pairing 20 times."
        + (f"\n\nThe standard error of the interval is the scatter over {HALVES} half samples." if trim else "")
    )
    metric(
        name,
        family="separability",
        unit="cosine",
        range=(-1, 1),
        direction="neither" if bias else "higher",
        requires="rows",
        invariances=("rotation", "row scale", "swap"),
        interval="subsampling" if trim else "none: extremes go on growing with n",
        null_model="pair shuffle",
        source="Bangachev et al. 2025, arXiv 2509.18552",
        reference_case=lambda: (*_known(trim), 0.4),
    )(compute)


_register("siglip_margin", trim=False, bias=False)
_register("siglip_margin_trimmed", trim=True, bias=False)
_register("siglip_relative_bias", trim=False, bias=True)
_register("siglip_relative_bias_trimmed", trim=True, bias=True)
