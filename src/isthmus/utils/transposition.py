"""Modalities of which one is transposed: a column for each item instead of a row."""

from __future__ import annotations

from collections.abc import Sequence


def transposed_clause(shape_x: Sequence[int], shape_y: Sequence[int], /) -> str:
    """Return the clause that one of two modalities is transposed, '' if their shapes do not show it.

    Parameters
    ----------
    shape_x, shape_y : sequence of int
        Shapes (n, d) of both, whose columns differ in number.

    Returns
    -------
    str
        The clause.

    Examples
    --------
    >>> transposed_clause((1000, 512), (512, 1000)), transposed_clause((1000, 512), (1000, 768))
    ('one of them is transposed: rows must be items, so give array.T of the one whose columns are', '')
    """
    if min(len(shape_x), len(shape_y)) < 2:
        return ""
    if tuple(shape_x) == tuple(shape_y)[::-1]:
        return "one of them is transposed: rows must be items, so give array.T of the one whose columns are"
    first_is, second_is = shape_x[0] == shape_y[1], shape_y[0] == shape_x[1]
    if first_is == second_is or shape_x[0] == shape_y[0]:
        return ""
    number, (rows, columns) = ("second", shape_y) if second_is else ("first", shape_x)
    return f"the {number} looks transposed, {columns:,} items of width {rows:,}; give its transpose, array.T"
