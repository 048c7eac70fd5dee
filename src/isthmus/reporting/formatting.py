"""Format numbers and names for pages and figures."""

from __future__ import annotations

import math

from isthmus.evaluation import Summary
from isthmus.statistics.result import Estimate
from isthmus.utils.format import number, percent


def shorten(name: str, max_length: int) -> str:
    """Return the name, cut to `max_length` characters.

    >>> shorten("image", 12), shorten("a very long modality", 12)
    ('image', 'a very long…')
    """
    return name if len(name) <= max_length else name[: max_length - 1].rstrip() + "…"


def aligner_label(row: Summary) -> str:
    """Return the name of the aligner as figures write it."""
    return row.name.replace("estimator=", "").replace("'", "")


def value(estimate: Estimate) -> str:
    """Return the value with its unit or 'undefined'. Shares become percentages.

    >>> value(Estimate(72.012, unit="degrees")), value(Estimate(2.0, unit="dimensions"))
    ('72.0°', '2')
    """
    if estimate.undefined or math.isnan(estimate.value):
        return "undefined"
    return _with_unit(estimate.value, estimate.unit)


def interval(estimate: Estimate) -> str:
    """Return the interval as '0.307 to 0.313', or an empty text if there is none."""
    if estimate.undefined or math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    return f"{_with_unit(estimate.low, estimate.unit)} to {_with_unit(estimate.high, estimate.unit)}"


def plugin(estimate: Estimate) -> str:
    """Return the plug-in, or an empty text where it does not differ from the value as shown.

    >>> plugin(Estimate(0.5, unit="cosine", plugin=0.7)), plugin(Estimate(0.5, unit="cosine", plugin=0.50001))
    ('0.700', '')
    """
    text = "" if estimate.undefined else _with_unit(estimate.plugin, estimate.unit)
    return "" if text == value(estimate) else text


def null(estimate: Estimate) -> str:
    """Return the null, or an empty text if there is none."""
    return "" if estimate.undefined or math.isnan(estimate.null) else _with_unit(estimate.null, estimate.unit)


def _with_unit(x: float, unit: str) -> str:
    if unit == "degrees":
        return f"{x:.1f}°"
    if unit == "share":
        return share(x)
    if unit in ("cosine", "length", "distance"):
        return f"{x:.3f}"
    return f"{x:.0f}" if float(x).is_integer() else number(round(x, 1))


def share(x: float) -> str:
    """Return a share as a percentage without a line break before the sign."""
    return percent(x).replace(" ", "\u00a0")


def points(change: Estimate) -> str:
    """Return the change of a share in percentage points, for example '−2.6'."""
    return f"{100 * change.value:+.1f}".replace("-", "−")


def points_interval(change: Estimate) -> str:
    """Return the interval of the change of a share in percentage points, or that there is none."""
    if math.isnan(change.low):
        return "no interval"
    return f"{100 * change.low:+.1f} to {100 * change.high:+.1f}".replace("-", "−")


def effect(change: Estimate) -> str:
    """Return 'rises', 'falls' or 'no measurable change' according to the interval."""
    return "rises" if change.low > 0 else "falls" if change.high < 0 else "no measurable change"
