"""Shares of the squared gap by coordinate and by principal direction."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._conditions import has_equal_means
from isthmus.metrics._context import MetricContext


def gap_by_coordinate(context: MetricContext) -> np.ndarray:
    """Return the share of the squared gap in each coordinate, descending, (d,). NaN if the means are equal."""
    return np.sort(_shares(context, context.moments.mean_x - context.moments.mean_y))[::-1]


def gap_by_direction(context: MetricContext) -> np.ndarray:
    """Return the share of the squared gap along each principal direction of x (centred, descending variance), (d,).

    Directions without variance have an arbitrary basis, so that each gets the mean of their shares.
    """
    variances, directions = context.x.centred
    shares = _shares(context, (context.moments.mean_x - context.moments.mean_y) @ directions)
    is_constant = variances <= 0
    return np.where(is_constant, shares.mean(where=is_constant) if is_constant.any() else 0.0, shares)


def _shares(context: MetricContext, gap: np.ndarray) -> np.ndarray:
    return np.full(gap.shape, np.nan) if has_equal_means(context) else gap**2 / float(gap @ gap)
