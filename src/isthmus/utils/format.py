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


def precise_number(value: float | str) -> str:
    """Return a number with up to five decimals and powers of ten where they are shorter; words stay as they are.

    >>> [precise_number(v) for v in (60.0, 6.463991, -0.5, 0.00012, 1.84e39, float("nan"), "yes")]
    ['60', '6.46399', '−0.5', '1.20·10⁻⁴', '1.84·10³⁹', 'undefined', 'yes']
    """
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "undefined"
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{mantissa}·10{superscript}".replace("-", "−")
    text = f"{value:.5f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.4g}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal.

    >>> percent(0.5521)
    '55.2 %'
    """
    return f"{100 * share:.1f} %"
