"""Conditions under which a measure has a meaning, and the messages if they fail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.metrics._context import MetricContext
from isthmus.statistics.degeneracy import constant_message, constant_modalities, has_equal_pairs
from isthmus.statistics.mean_variance import effective_items
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.format import counted, too_few

#: Items per dimension above which a spectrum hardly depends on n. On power-law spectra of 256 dimensions, ranks and
#: effective ranks are then 1 to 4 % below those of a hundred items per dimension.
ITEMS_PER_DIM = 10

#: Squared distance of two means that are equal but for rounding, as a share of the squared lengths of the rows.
MAX_EQUAL_MEANS = 1e-24

NOT_UNIT_ROWS = "the formula holds for unit rows; use normalize=True"
EQUAL_ROWS = "the rows of one modality are all equal"
NEARLY_EQUAL_ROWS = "the rows of one modality differ by no more than rounding errors"
EQUAL_ROWS_IN_EACH = "the rows of each modality are all equal"
EQUAL_ROWS_IN_BOTH = "the rows of both modalities are all equal"
EQUAL_MEANS = "the two means are equal"
ONE_ITEM = "there is only one item"


#: Data on which a measure has no meaning, as it declares them in `undefined_if`, in words.
DEGENERATE_CASES = {
    "constant side": "all rows of the modality are the same",
    "constant modality": "all rows of one modality are the same",
    "constant modalities": "all rows of each modality are the same",
    "one vector": "all rows of both modalities are one row",
    "equal pairs": "every row is the same as its matching row",
}


def degenerate_reason(context: MetricContext, cases: Sequence[str]) -> str | None:
    """Return the first of the degenerate cases that the data are, in words with their names, or None."""
    x, y = context.names
    is_constant_x, is_constant_y = context.cached("constant", lambda c: constant_modalities(c.moments), _swapped)
    are_equal = are_pairs_equal(context)
    for case in cases:
        if case == "constant side" and is_constant_x:
            return constant_message([x], context.moments)
        if case == "constant modality" and (is_constant_x or is_constant_y):
            return constant_message([x if is_constant_x else y], context.moments)
        if case == "constant modalities" and is_constant_x and is_constant_y:
            return constant_message([x, y], context.moments)
        if case == "one vector" and is_constant_x and is_constant_y and are_equal:
            return f"all rows of {x} and of {y} are one row"
        if case == "equal pairs" and are_equal:
            return f"every row of {x} is the same as its matching row of {y}"
    return None


def _swapped(flags: tuple[bool, bool]) -> tuple[bool, bool]:
    return flags[1], flags[0]


def missing_items(context: MetricContext, required: int) -> str:
    """Return the note of an interval that needs more items, counted by `effective_items`, or ''."""
    effective = effective_items(context.moments)
    if effective >= required:
        return ""
    requirement = f"no interval: {required:,} items are needed"
    n_items = context.moments.by_item.n_items
    if n_items < required:
        return requirement
    return f"{requirement}, and {n_items:,} with so different numbers of pairs count as {int(effective):,}"


def few_items_note(context: MetricContext) -> str:
    """Return the note of measures of the spectrum if there are fewer items than dimensions, else ''."""
    n, d = context.moments.by_item.n_items, context.moments.dim_x
    return f"{too_few(n, 'item')} for {d:,} dimensions: {ITEMS_PER_DIM * d:,} are needed" if n < d else ""


def has_unit_rows(context: MetricContext) -> bool:
    """Return True if the rows of both modalities have length 1."""
    m = context.moments
    return context.normalize or all(abs(float(np.trace(gram)) / m.n - 1) < 1e-6 for gram in (m.xx, m.yy))


def has_equal_means(context: MetricContext) -> bool:
    """Return True if the two means are equal but for rounding. Rounded rows that are equal have means that differ."""
    m = context.moments
    gap = m.mean_x - m.mean_y
    return (
        are_pairs_equal(context) or float(gap @ gap) <= MAX_EQUAL_MEANS * float(np.trace(m.xx) + np.trace(m.yy)) / m.n
    )


def are_pairs_equal(context: MetricContext) -> bool:
    """Return True if every row is the same as its matching row but for rounding."""
    return context.cached("equal pairs", lambda c: has_equal_pairs(c.moments), bool)


def undefined(reason: str) -> Estimate:
    """Return an estimate without a value."""
    return Estimate(NAN, undefined=reason)


def too_few_items(n: int, min_items: int) -> Estimate:
    """Return the undefined estimate of fewer than `min_items` items that have a matching row."""
    return undefined(f"{counted(n, 'item')} with a matching row, at least {min_items} are needed")
