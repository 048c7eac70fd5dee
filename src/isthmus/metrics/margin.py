"""Margin and relative bias of the sigmoid loss, from the lowest positives and the highest negatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._negative_ends import TRIM_SHARE, NegativeEnds, trimmed_count
from isthmus.metrics._paired_rows import SHUFFLES, PairedRows
from isthmus.statistics.intervals import clip_interval
from isthmus.statistics.result import Estimate

#: Half samples behind the intervals.
HALF_SAMPLES = 40
#: Most items that are split into halves.
MAX_SPLIT_ITEMS = 1_000
#: Fewest items for an interval. Of 80 items 5 % are four, and 85 % of the intervals contain the true value.
MIN_INTERVAL_ITEMS = 200


@dataclass(frozen=True)
class ScoreEnds:
    """Lowest positive x_i . y_i, highest negative x_i . y_j (i != j), and lowest score of shuffled pairs."""

    positive: float
    negative: float
    shuffled: float


def score_ends(rows: PairedRows, negatives: NegativeEnds, *, trim: bool) -> ScoreEnds:
    """Return the ends of all positives and negatives, or those that remain without a share of `TRIM_SHARE` of each."""
    positives = np.einsum("ij,ij->i", rows.x, rows.y)
    skip_low = trimmed_count(rows.n) if trim else 0
    shuffled = np.partition(rows.non_matching_scores, skip_low, axis=1)[:, skip_low]
    return ScoreEnds(
        float(np.partition(positives, skip_low)[skip_low]),
        negatives.trimmed if trim else negatives.highest,
        float(np.mean(shuffled)),
    )


def half_sample_ends(rows: PairedRows) -> np.ndarray:
    """Return the trimmed (positive, negative) ends of random halves of at most 1,000 items, (HALF_SAMPLES, 2).

    Their deviations from the mean are multiplied by sqrt(m / n), so that they scatter as the ends of all n items do.
    Halves are drawn without replacement: a row that is drawn twice would be its own highest negative.
    """
    m = min(rows.n, MAX_SPLIT_ITEMS) // 2 * 2
    items = rows.random_order[:m]
    scores = rows.x[items].astype(np.float64) @ rows.y[items].astype(np.float64).T
    positives, rng, size = np.diag(scores).copy(), np.random.default_rng(0), m // 2
    np.fill_diagonal(scores, -np.inf)
    negative_rank = trimmed_count(size * (size - 1)) + 1
    # All halves share one order of the highest scores. Of twice the share about twice as many as needed are in a half.
    count = min(2 * trimmed_count(m * m) + 4 * m, m * m)
    highest = np.argpartition(scores.ravel(), m * m - count)[m * m - count :]
    highest = highest[np.argsort(-scores.ravel()[highest])]
    row, column = np.divmod(highest, m)
    ends = []
    for _ in range(HALF_SAMPLES):
        half = rng.permutation(m)[:size]
        is_inside = np.zeros(m, dtype=bool)
        is_inside[half] = True
        inside = np.flatnonzero(is_inside[row] & is_inside[column])
        if len(inside) >= negative_rank:
            negative = scores.ravel()[highest[inside[negative_rank - 1]]]
        else:
            negative = np.partition(scores[np.ix_(half, half)].ravel(), -negative_rank)[-negative_rank]
        ends.append((_quantile(positives[half]), negative))
    table = np.array(ends)
    return table.mean(axis=0) + (table - table.mean(axis=0)) * math.sqrt(m / rows.n)


@dataclass(frozen=True)
class HalfSampleEnds:
    """The table of `half_sample_ends` for the sampled items, (HALF_SAMPLES, 2)."""

    table: np.ndarray

    @classmethod
    def from_context(cls, context: MetricContext, /) -> HalfSampleEnds:
        """Draw the halves."""
        return cls(half_sample_ends(context.shared(PairedRows)))


def _quantile(positives: np.ndarray) -> float:
    """Return the quantile `TRIM_SHARE` of the positives, between the order statistics that have it as expectation.

    The lowest positive after the trimming has the expected rank k + 1 of n + 1, which is a higher quantile.
    """
    position = max(TRIM_SHARE * (len(positives) + 1) - 1, 0.0)
    lower = int(position)
    ends = np.partition(positives, (lower, lower + 1))[lower : lower + 2]
    return float(ends[0] + (position - lower) * (ends[1] - ends[0]))


def _half_width(table: np.ndarray, sign: int, n: int) -> float:
    """Return the half width of the 95 % interval of (positive + sign negative) / 2, given ends of half samples.

    The end of the positives varies over few ranks, with the deviation sqrt(n p (1 - p)). Gaps between following
    positives are independent, so that the local density has a relative variance of 1 / (2 sqrt(pi) deviation).
    """
    from scipy.special import stdtrit

    variance = float(np.var(table @ [0.5, 0.5 * sign], ddof=1))
    if variance == 0:
        return 0.0
    share = float(np.var(table[:, 0] / 2, ddof=1)) / variance
    freedom_of_density = math.sqrt(math.pi * n * TRIM_SHARE * (1 - TRIM_SHARE))
    freedom = 1 / (1 / (HALF_SAMPLES - 1) + min(share, 1.0) ** 2 / freedom_of_density)
    return float(stdtrit(freedom, 0.975)) * math.sqrt(variance)


def _constant_scores(trim: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return rows with positives of .8 and negatives of 0. If 5 % will be left out, one positive is -1."""
    e = np.eye(80)
    x, y = e[:40], 0.8 * e[:40] + 0.6 * e[40:]
    if trim:
        y[0] = -x[0]
    return x, y


def _register(name: str, trim: bool, bias: bool) -> None:
    def compute(context: MetricContext) -> Estimate:
        rows = context.shared(PairedRows)
        ends = score_ends(rows, context.shared(NegativeEnds), trim=trim)
        sign = 1 if bias else -1
        value, null = ((end + sign * ends.negative) / 2 for end in (ends.positive, ends.shuffled))
        if not trim:
            return Estimate(value, null=null)
        if rows.n < MIN_INTERVAL_ITEMS:
            return Estimate(value, null=null, note=f"no interval: {MIN_INTERVAL_ITEMS} items are needed")
        debiased = (_quantile(np.einsum("ij,ij->i", rows.x, rows.y)) + sign * ends.negative) / 2
        half_width = _half_width(context.shared(HalfSampleEnds).table, sign, rows.n)
        interval = clip_interval((debiased - half_width, debiased + half_width), -1, 1)
        return Estimate.debiased(debiased, interval, plugin=value, null=null)

    quantity = "Relative bias (lowest + highest) / 2" if bias else "Margin (lowest - highest) / 2"
    trimmed = f"{100 * TRIM_SHARE:.0f} %"
    compute.__doc__ = (
        f"{quantity} of the lowest positive x_i . y_i and the highest negative x_i . y_j"
        + (f", {trimmed} trimmed." if trim else ".")
        + "\n\n"
        + (
            f"The lowest {trimmed} of the positives and the highest {trimmed} of the negatives are left out. "
            if trim
            else ""
        )
        + "Negatives pair different items, i != j. It is measured on at most 10,000 random items with one pair each. "
        f"The null shuffles the pairing {SHUFFLES} times."
        + (
            " The plug-in is biased, because an order statistic is a higher quantile. The standard error "
            f"is the scatter over {HALF_SAMPLES} half samples. The quantile of Student's t has fewer degrees of "
            "freedom where few positives are near the end."
            if trim
            else ""
        )
    )
    metric(
        name,
        min_items=2,
        undefined_if=("constant modalities",),
        family="separability",
        unit="cosine",
        range=(-1, 1),
        direction="neither" if bias else "higher",
        requires="rows",
        sweeps=(NegativeEnds,),
        invariances=("rotation", "row scale", "swap"),
        interval="subsampling" if trim else "none: extremes keep growing with n",
        null_model="pair shuffle",
        source="Bangachev et al. 2025, arXiv 2509.18552",
        reference_case=lambda: (*_constant_scores(trim), 0.4),
    )(compute)


_register("siglip_margin", trim=False, bias=False)
_register("siglip_margin_trimmed", trim=True, bias=False)
_register("siglip_relative_bias", trim=False, bias=True)
_register("siglip_relative_bias_trimmed", trim=True, bias=True)
