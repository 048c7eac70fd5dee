"""Format numbers and names for pages and figures."""

from __future__ import annotations

import math

from isthmus.evaluation import Summary
from isthmus.metrics.centroid import both_means_vanish
from isthmus.statistics.result import Estimate, Result
from isthmus.statistics.sampling_clause import sampling_clause
from isthmus.utils.format import number, percent, visible_decimals

#: Most decimals of a number with each unit, and of all other numbers.
MOST_DECIMALS = {"degrees": 1, "share": 1, "cosine": 3, "length": 3, "distance": 3}
OTHER_DECIMALS = 4


def shorten(name: str, max_length: int) -> str:
    """Return the name, cut to `max_length` characters.

    >>> shorten("image", 12), shorten("a very long modality", 12)
    ('image', 'a very long…')
    """
    return name if len(name) <= max_length else name[: max_length - 1].rstrip() + "…"


def aligner_label(row: Summary) -> str:
    """Return the name of the aligner as figures write it."""
    return row.name.replace("estimator=", "").replace("'", "")


def gap(row: Summary) -> str:
    """Return the angle of the gap after an aligner. If neither mean differs from zero, the gap is within noise."""
    estimate = row.scores["gap"]
    if both_means_vanish(estimate):
        return "none (within noise)" if row.name == "Identity" else "closed (within noise)"
    return "no angle" if estimate.undefined else value(estimate)


def value(estimate: Estimate) -> str:
    """Return the value with its unit or 'undefined', with the digits that its interval supports.

    Shares become percentages.

    >>> value(Estimate(72.012, unit="degrees")), value(Estimate(0.38123, 0.3681, 0.3912, unit="ratio"))
    ('72.0°', '0.381')
    """
    if estimate.undefined or math.isnan(estimate.value):
        return "undefined"
    return _with_unit(estimate.value, estimate)


def sample_of(result: Result, estimate: Estimate) -> str:
    """Return the sample that an estimate comes from with its standard error, '' if it comes from all items."""
    clause = sampling_clause(result.pairs["items"], estimate)
    return f"; of {clause}" if clause else ""


def interval(estimate: Estimate) -> str:
    """Return the interval as '0.307 to 0.313', or an empty text if there is none."""
    if estimate.undefined or math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    return f"{_with_unit(estimate.low, estimate)} to {_with_unit(estimate.high, estimate)}"


def plugin(estimate: Estimate) -> str:
    """Return the plug-in, or an empty text where it does not differ from the value as shown.

    >>> plugin(Estimate(0.5, unit="cosine", plugin=0.7)), plugin(Estimate(0.5, unit="cosine", plugin=0.50001))
    ('0.700', '')
    """
    text = "" if estimate.undefined else _with_unit(estimate.plugin, estimate)
    return "" if text == value(estimate) else text


def null(estimate: Estimate) -> str:
    """Return the null, or an empty text if there is none."""
    return "" if estimate.undefined or math.isnan(estimate.null) else _with_unit(estimate.null, estimate)


def _with_unit(x: float, estimate: Estimate) -> str:
    """Return a number of an estimate with its unit, and with the decimals that the width of the interval supports."""
    factor, sign = {"share": (100, "\u00a0%"), "degrees": (1, "°")}.get(estimate.unit, (1, ""))
    half_width = factor * (estimate.high - estimate.low) / 2
    max_decimals = MOST_DECIMALS.get(estimate.unit, OTHER_DECIMALS)
    if 0 < half_width < math.inf:
        most = visible_decimals(factor * estimate.low, factor * estimate.high, max_decimals)
        decimals = min(max(1 - math.floor(math.log10(half_width)), 0), most)
    elif estimate.unit in MOST_DECIMALS:
        decimals = max_decimals
    else:
        return number(x)
    return f"{factor * x:.{decimals}f}{sign}"


def share(x: float) -> str:
    """Return a share as a percentage without a line break before the sign, or that it is undefined."""
    return "undefined" if math.isnan(x) else percent(x).replace(" ", "\u00a0")


def points(change: Estimate) -> str:
    """Return the change of a share in percentage points, for example '−2.6'."""
    return _signed_points(change.value)


def points_interval(change: Estimate) -> str:
    """Return the interval of the change of a share in percentage points, or that there is none or no change."""
    if math.isnan(change.low):
        return "no interval"
    if change.low == change.high == 0:
        return "no change"
    return f"{_signed_points(change.low)} to {_signed_points(change.high)}"


def _signed_points(share_change: float) -> str:
    """Return percentage points with a sign, and with a second decimal if one decimal would hide the sign.

    >>> _signed_points(0.284), _signed_points(-0.0003), _signed_points(0.0)
    ('+28.4', '−0.03', '0.0')
    """
    for decimals in (1, 2):
        text = f"{100 * share_change:+.{decimals}f}"
        if float(text) != 0:
            return text.replace("-", "−")
    return "0.0"


def effect(change: Estimate) -> str:
    """Return 'rises', 'falls', 'stays the same' or 'does not change measurably' according to the interval."""
    if change.low == change.high == 0:
        return "stays the same"
    return "rises" if change.low > 0 else "falls" if change.high < 0 else "does not change measurably"
