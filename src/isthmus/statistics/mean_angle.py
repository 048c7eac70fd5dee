"""The interval of the angle between two means that may have one direction, or opposite ones."""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.mean_intervals import debiased_mean_products
from isthmus.statistics.moments import Moments
from isthmus.statistics.noise_intervals import noise_interval

#: Squared length of a chord above which it is never noise, in traces of the second moment of its errors.
MAX_NOISE_RATIO = 15.0


def noise_angle_interval(moments: Moments, *, inflation: float = 1.0) -> tuple[float, float] | None:
    """Return the interval of the angle between the two means if it may be 0 or 180 degrees.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.
    inflation : float, default 1.0
        Factor of the covariance of the means: 1 + n / n_fit after centring with the means of other n_fit rows.

    Returns
    -------
    tuple of float or None
        Ends of the 95 % interval in degrees. None if the angle differs from 0 and 180 degrees at `NOISE_LEVEL`, or a
        mean has no length beyond its noise.

    Notes
    -----
    Let both means be divided by their lengths without noise. The part of their difference that is orthogonal to their
    midpoint is the chord 2 sin(angle / 2), whose square has the interval of `noise_interval`. An interval of the cosine
    would often end at 0 degrees on both sides.

    Examples
    --------
    >>> from isthmus import Moments
    >>> X, noise = np.random.default_rng(0).normal(size=(2, 200, 5))
    >>> low, high = noise_angle_interval(Moments.of(X + 3, X + noise + 3))
    >>> low, 0 < high < 4
    (0.0, True)
    >>> noise_angle_interval(Moments.of(X + 3, X + noise + np.arange(5))) is None
    True
    """
    xy, xx, yy = debiased_mean_products(moments)
    if min(xx, yy) <= 0:
        return None
    m, n = moments.by_item, moments.n
    # Near 180 degrees, the supplement is the angle to the opposite mean of y.
    sign = 1.0 if xy >= 0 else -1.0
    scale_x, scale_y = 1 / math.sqrt(xx), sign / math.sqrt(yy)
    x, y = moments.mean_x * scale_x, moments.mean_y * scale_y
    midpoint = (x + y) / np.linalg.norm(x + y)
    difference = x - y
    chord = difference - midpoint * (midpoint @ difference)
    squared = float(chord @ chord)
    traces = np.trace(m.xx) * scale_x**2 + np.trace(m.yy) * scale_y**2
    if squared > MAX_NOISE_RATIO * inflation * float(traces) / n**2:
        return None
    cross = np.outer(m.count_x * scale_x - m.count_y * scale_y, difference)
    covariance = m.xx * scale_x**2 + m.yy * scale_y**2 - (m.xy + m.xy.T) * (scale_x * scale_y) - cross - cross.T
    covariance += m.count_sq * np.outer(difference, difference)
    along = covariance @ midpoint
    covariance += float(midpoint @ along) * np.outer(midpoint, midpoint)
    covariance -= np.outer(midpoint, along) + np.outer(along, midpoint)
    squares = noise_interval(squared, covariance * (inflation / n**2))
    if squares is None:
        return None
    low, high = (math.degrees(2 * math.asin(min(math.sqrt(end) / 2, 1.0))) for end in squares)
    return (low, high) if sign > 0 else (180.0 - high, 180.0 - low)
