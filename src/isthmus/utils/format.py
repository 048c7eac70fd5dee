"""Numbers as text."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """A number for people: four significant digits, no exponent where it can be avoided.

    >>> [number(v) for v in (0.123456, 72.0134, 1234567.0, 0.0, float("nan"), 2e-9)]
    ['0.1235', '72.01', '1234567', '0', '-', '2e-09']
    """
    if math.isnan(value):
        return "-"
    if value == 0 or float(value).is_integer():
        return f"{value:.0f}"
    if abs(value) >= 1e4:
        return f"{value:.0f}"
    return f"{value:.4g}"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal.

    >>> percent(0.5521)
    '55.2 %'
    """
    return f"{100 * share:.1f} %"
