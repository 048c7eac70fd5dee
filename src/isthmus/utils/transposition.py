"""Modalities of which one is transposed: a column for each item instead of a row."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.utils.errors import InputError

#: Predicate about modalities of two different spaces, and what to do about them.
SEPARATE_SPACES = "do not come from one shared space"
SEPARATE_SPACES_ADVICE = "give both projections of one model, or map both (isthmus fit RidgeCCA)"


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


def check_same_dim(shape_x: Sequence[int], shape_y: Sequence[int], address_x: str, address_y: str) -> None:
    """Raise `InputError` if the two modalities have different dimensions.

    Parameters
    ----------
    shape_x, shape_y : sequence of int
        Shapes (n, d) of the rows, or (d,).
    address_x, address_y : str
        Files or arrays that the message names.
    """
    d_x, d_y = shape_x[-1], shape_y[-1]
    if d_x != d_y:
        if clause := transposed_clause(shape_x, shape_y):
            raise InputError(f"{address_x} has shape {tuple(shape_x)} and {address_y} {tuple(shape_y)}: {clause}")
        raise InputError(
            f"{address_x} has width {d_x} and {address_y} has width {d_y}: they {SEPARATE_SPACES}; "
            f"{SEPARATE_SPACES_ADVICE}"
        )
