"""The evaluation of one measure: its estimates, or the reason why they are undefined."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from isthmus.data.components import NO_INTERVAL
from isthmus.data.unpaired_sets import NO_PAIRS
from isthmus.metrics._conditions import degenerate_reason, too_few_items, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import Metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.degeneracy import MAX_FEW_ITEMS
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError
from isthmus.utils.format import too_few

#: Exceptions of a computation that fails on the given data. All others are programming errors.
FAILURES = (InputError, np.linalg.LinAlgError, ArithmeticError, ValueError)


def _computed(entry: Metric, context: MetricContext) -> Any:
    """Return the estimate of a measure. If it fails or has no meaning on these data, it is undefined with the reason.

    Other exceptions than `FAILURES`, such as TypeError and AttributeError, are raised.
    """
    if entry.needs_pairs and context.original.sets is not None:
        return undefined(NO_PAIRS)
    try:
        n_items = _n_items(entry, context) if entry.min_items > 1 else 1
        if n_items < entry.min_items:
            return too_few_items(n_items, entry.min_items)
        reason = degenerate_reason(context, entry.undefined_if)
        return undefined(reason) if reason else entry.compute(context)
    except FAILURES as error:
        return undefined(failure_reason(error))


def _n_items(entry: Metric, context: MetricContext) -> int:
    """Return the number of items with a matching row that the measure is computed from."""
    return context.moments.by_item.n_items if entry.requires == "moments" else context.shared(PairedRows).n


def failure_reason(error: Exception) -> str:
    """Return why a computation failed on these data, in plain words.

    Parameters
    ----------
    error : Exception
        What the computation raised.

    Returns
    -------
    str
        The message of an `InputError`, else a sentence about the kind of failure.

    Examples
    --------
    >>> failure_reason(ZeroDivisionError("float division by zero"))
    'its computation divides by zero or overflows on these data'
    """
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, np.linalg.LinAlgError):
        return "its computation does not converge on these data"
    if isinstance(error, ArithmeticError):
        return "its computation divides by zero or overflows on these data"
    return f"its computation fails on these data: {' '.join(str(error).split())[:200]}"


NO_ROWS = "no interval: it needs rows, and moments contain none; measure the pairs"
#: Reason of an interval that is missing without another one.
NO_VARIATION = "no interval: these items are too few, or do not vary"


def evaluate(entry: Metric, context: MetricContext) -> dict[str, Estimate]:
    """Compute the estimates of one measure.

    Parameters
    ----------
    entry : Metric
        The measure.
    context : MetricContext
        The data.

    Returns
    -------
    dict of str to Estimate
        The estimates by name, with the unit and the definition that the measure declares. An estimate whose
        computation fails on these data is undefined with the reason.

    Raises
    ------
    InputError
        If the measure needs rows and the context has only moments, or it needs labels and there are none. If it does
        not return an `Estimate` of a number.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> from isthmus.metrics import registry
    >>> X, Y = np.eye(2), -np.eye(2)
    >>> evaluate(registry()["mean_paired_cosine"], MetricContext(isthmus.Moments.of(X, Y)))["mean_paired_cosine"].value
    -1.0
    """
    x, y = context.names
    if entry.requires != "moments" and context.pairs is None:
        raise InputError(f"{entry.name} needs rows, and moments contain none; measure the pairs")
    if entry.requires == "labels" and context.pairs is not None and context.pairs.labels is None:
        name = entry.name.removesuffix("_{side}")
        raise InputError(f"{name} needs labels; give Pairs(..., labels=) one for each item")
    contexts = [context, context.swapped()] if "{side}" in entry.name else [context]
    no_interval = entry.interval.removeprefix("none: ") if entry.interval.startswith("none: ") else ""
    definition = entry.definition.replace("{x}", x).replace("{y}", y)
    estimates = {}
    for name, ordered in zip(entry.names(x, y), contexts, strict=True):
        estimate = _computed(entry, ordered)
        if not isinstance(estimate, Estimate):
            raise InputError(f"measure {name} returned {type(estimate).__name__}, expected Estimate")
        if np.ndim(estimate.value) != 0:
            raise InputError(f"measure {name}: value has shape {np.shape(estimate.value)}, expected a number")
        is_missing = math.isnan(estimate.low) and not no_interval and not estimate.undefined
        note = estimate.note or ("" if not is_missing else NO_ROWS if context.pairs is None else NO_VARIATION)
        invalid = None if no_interval or estimate.undefined else _no_valid_interval(entry, context)
        if invalid:
            estimate, note = dataclasses.replace(estimate, low=NAN, high=NAN), invalid
        sampled = 0 if entry.requires == "moments" or estimate.undefined else context.sampled
        estimates[name] = dataclasses.replace(
            estimate, unit=entry.unit, definition=definition, note=note, no_interval=no_interval, sampled=sampled
        )
    return estimates


def _no_valid_interval(entry: Metric, context: MetricContext) -> str | None:
    """Return why the interval of a measure would not be valid on these data, or None."""
    if context.pairs is not None and context.pairs.dependence is not None:
        return context.pairs.dependence
    n_items = context.moments.by_item.n_items
    if entry.requires == "moments" and n_items <= MAX_FEW_ITEMS:
        return f"{NO_INTERVAL}{too_few(n_items, 'item')} to estimate a standard error, {MAX_FEW_ITEMS + 1} are needed"
    if n_items < entry.min_interval_items:
        return f"{NO_INTERVAL}{entry.min_interval_items} items are needed"
    return None
