"""The mark of numbers that were computed from a random sample of the items."""

from __future__ import annotations

import math

from isthmus.statistics.result import Estimate
from isthmus.utils.format import number, percent


def sampling_clause(items: int, /, *estimates: Estimate) -> str:
    """Return the sample that estimates come from and their standard errors, '' if they come from all items.

    Parameters
    ----------
    items : int
        Number of all items.
    *estimates : Estimate
        Estimates of one unit and one sample.

    Returns
    -------
    str
        Part of a sentence.

    Examples
    --------
    >>> recall = Estimate(0.5, 0.49, 0.51, unit="share", sampled=10_000)
    >>> sampling_clause(20_000, recall)
    'a random sample of 10,000 of 20,000 items, standard error 0.5 %'
    >>> sampling_clause(20_000, Estimate(0.5))
    ''
    """
    sampled = max(estimate.sampled for estimate in estimates)
    if not sampled:
        return ""
    errors = [(estimate.standard_error, estimate.unit) for estimate in estimates if estimate.sampled]
    texts = dict.fromkeys(
        percent(error) if unit == "share" else number(error) for error, unit in errors if not math.isnan(error)
    )
    clause = f"a random sample of {sampled:,} of {items:,} items"
    return f"{clause}, standard error{'s' if len(texts) > 1 else ''} {' and '.join(texts)}" if texts else clause


def sample_remark(sampled: int, items: int, /) -> str:
    """Return the sample that all numbers below a heading come from, in brackets. '' if it is all items.

    Parameters
    ----------
    sampled : int
        Number of items in the sample.
    items : int
        Number of all items.

    Returns
    -------
    str
        End of the heading.

    Examples
    --------
    >>> sample_remark(2_000, 20_000), sample_remark(500, 500)
    (' (a random sample of 2,000 of 20,000 items)', '')
    """
    return f" (a random sample of {sampled:,} of {items:,} items)" if sampled < items else ""
