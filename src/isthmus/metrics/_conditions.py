"""What the data must be like for a measure to mean something, said in the same words everywhere."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._context import MetricContext
from isthmus.statistics.result import NAN, Estimate

#: Items for each dimension above which a spectrum has nearly stopped to move with n: on power-law spectra of 256
#: dimensions ranks and effective ranks are then 1 to 4 % below those of a hundred items for each dimension.
ENOUGH = 10


def enough_items(context: MetricContext) -> bool:
    """Whether there are at least ten items for each dimension."""
    return context.moments.by_item.n_items >= ENOUGH * context.moments.dim_x


def few_items(context: MetricContext) -> str:
    """The note of measures of the spectrum when there are fewer items than dimensions, else ''."""
    n, d = context.moments.by_item.n_items, context.moments.dim_x
    return f"n = {n:,} < d = {d:,}: needs n >= {ENOUGH * d:,}" if n < d else ""


def is_unit(context: MetricContext) -> bool:
    """Whether the rows have length 1 on both sides."""
    m = context.moments
    return context.normalize or all(abs(float(np.trace(g)) / m.n - 1) < 1e-6 for g in (m.xx, m.yy))


def undefined(reason: str) -> Estimate:
    """An estimate that has no meaning here."""
    return Estimate(NAN, undefined=reason)


def too_few_items(n: int, min_items: int) -> Estimate:
    """Return the undefined estimate of fewer than `min_items` items that have a matching row."""
    return undefined(f"{n} item{'s' if n != 1 else ''} with a partner, at least {min_items} are needed")


NOT_UNIT = "the formula holds for unit rows; use normalize=True"
NO_SPREAD = "the rows of one side are all equal"
EQUAL = "the rows of both sides are all equal"
NO_GAP = "the two means are equal"
