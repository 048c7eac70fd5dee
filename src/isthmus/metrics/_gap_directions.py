"""Shares of the squared gap by coordinate and by principal direction."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._context import MetricContext


def gap_by_coordinate(context: MetricContext) -> np.ndarray:
    """Return the share of the squared gap in each coordinate, descending, (d,). NaN if the means are equal."""
    return np.sort(_shares(context.moments.mean_x - context.moments.mean_y))[::-1]


def gap_by_direction(context: MetricContext) -> np.ndarray:
    """Return the share of the squared gap along each principal direction of x (centred, descending variance), (d,)."""
    return _shares((context.moments.mean_x - context.moments.mean_y) @ context.x.centred[1])


def _shares(gap: np.ndarray) -> np.ndarray:
    total = float(gap @ gap)
    return gap**2 / total if total > 0 else np.full(gap.shape, np.nan)
