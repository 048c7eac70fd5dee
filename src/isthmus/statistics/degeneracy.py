"""Degenerate data: constant or collapsed modalities, few items and few directions of variance, found from moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isthmus.linalg import remembered
from isthmus.statistics.moments import Moments

#: Largest variance, as a share of the mean squared length, of rows that are all the same but for rounding.
MAX_CONSTANT_SPREAD = 1e-12
#: The same for products in float32, of which the subtraction of the mean leaves up to 1.4e-6.
MAX_FLOAT32_SPREAD = 3e-6
#: Mean squared distance of equal pairs, and variance of equal cosines, that products in float32 leave.
MAX_FLOAT32_DISTANCE = 1e-8
#: Length of the mean, relative to the rows, above which the rows are nearly all the same.
MIN_NARROW_LENGTH = 0.999
#: Share of the squared length along one direction above which the rows lie along it.
MIN_LINE_SHARE = 0.999
#: Directions of variance below which a modality has few of them. Measures of leading directions use at least 8.
MIN_DIRECTIONS = 8
#: Most items that count as few.
MAX_FEW_ITEMS = 5
#: Largest variance of paired cosines that are all equal but for rounding.
MAX_EQUAL_VARIANCE = 1e-12

#: Kinds of degenerate data of one modality.
COLLAPSED_KINDS = ("constant", "narrow", "line", "few directions")
#: Kinds of degenerate data for which the order of the rows cannot be judged.
UNJUDGED_KINDS = (*COLLAPSED_KINDS, "equal cosines", "few items")
#: Kind of degenerate data whose matching rows are the negatives of each other.
NEGATED_ROWS = "negated rows"


@dataclass(frozen=True)
class Degeneracy:
    """One way in which data are degenerate.

    Parameters
    ----------
    kind : str
        'constant', 'narrow', 'line', 'few directions': all rows of a modality are the same, or nearly the same, or lie
        along one direction, or vary in few directions. 'equal cosines': all matching pairs have one cosine. 'equal
        rows', 'negated rows': matching rows are the same, or are the negatives of each other. 'few items': there are
        two to five items. 'near copies': rows nearly equal other rows of their modality. 'common rows': two sets
        without pairs have rows in common.
    modalities : tuple of str
        Names of the modalities that it is about.
    message : str
        A clause in plain words, without a full stop.

    Examples
    --------
    >>> Degeneracy("constant", ("image",), "all rows of image are the same").to_dict()["modalities"]
    ['image']
    """

    kind: str
    modalities: tuple[str, ...]
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values.

        Returns
        -------
        dict
            One entry per field.
        """
        return {**asdict(self), "modalities": list(self.modalities)}


def find_degeneracies(moments: Moments, names: tuple[str, str], /) -> list[Degeneracy]:
    """Return all ways in which the data are degenerate, from their moments alone.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs, as NumPy arrays.
    names : tuple of str
        Names of the two modalities.

    Returns
    -------
    list of Degeneracy
        Empty for ordinary data.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(50, 16))
    >>> [entry.message for entry in find_degeneracies(Moments.of(np.ones((50, 16)), X), ("image", "text"))]
    ['all rows of image are the same']
    """
    constant = constant_names(moments, names)
    degeneracies = []
    if constant:
        degeneracies.append(Degeneracy("constant", tuple(constant), constant_message(constant, moments)))
    means, squares = (moments.mean_x, moments.mean_y), (moments.xx, moments.yy)
    for name, mean, gram, n_distinct in zip(names, means, squares, moments.n_distinct, strict=True):
        if name not in constant:
            noise = MAX_FLOAT32_SPREAD if _has_float32_products(moments) else 1e-13
            n_rows = max(n_distinct, moments.by_item.n_items)  # sets without pairs have different numbers of rows
            degeneracies += _collapsed_modality(name, mean, gram / moments.n, n_rows, noise)
    degeneracies += _equal_pairs(moments, names, constant)
    items = moments.by_item.n_items
    # Many pairs of a constant modality are few items because their rows are the same, which is already said.
    if items <= MAX_FEW_ITEMS and not (constant and moments.n > MAX_FEW_ITEMS):
        count = "is only 1 item" if items == 1 else f"are only {items} items"
        degeneracies.append(Degeneracy("few items", names, f"there {count}"))
    return degeneracies


def constant_modalities(moments: Moments) -> tuple[bool, bool]:
    """Return for each modality whether its rows are all the same but for rounding.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs, as NumPy arrays.

    Returns
    -------
    tuple of bool
        True if the variance is at most 1e-12 of the mean squared length, or 3e-6 of it for products in float32.

    Examples
    --------
    >>> constant_modalities(Moments.of(np.ones((4, 2)), np.eye(4, 2) + 1))
    (True, False)
    """
    tolerance = MAX_FLOAT32_SPREAD if _has_float32_products(moments) else MAX_CONSTANT_SPREAD
    squared_lengths = [float(np.trace(gram)) / moments.n for gram in (moments.xx, moments.yy)]
    is_constant = [
        squared_length - float(mean @ mean) <= tolerance * squared_length
        for squared_length, mean in zip(squared_lengths, (moments.mean_x, moments.mean_y), strict=True)
    ]
    return is_constant[0], is_constant[1]


def constant_names(moments: Moments, names: tuple[str, str], /) -> list[str]:
    """Return the names of the modalities whose rows are all the same but for rounding.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs, as NumPy arrays.
    names : tuple of str
        Names of the two modalities.

    Returns
    -------
    list of str
        Those of `constant_modalities`.

    Examples
    --------
    >>> constant_names(Moments.of(np.ones((4, 2)), np.eye(4, 2) + 1), ("image", "text"))
    ['image']
    """
    return [name for name, flag in zip(names, constant_modalities(moments), strict=True) if flag]


def find_collapse(rows: np.ndarray, name: str) -> str:
    """Return how the rows of one modality are collapsed.

    Parameters
    ----------
    rows : (n, d) array
        Rows in float64.
    name : str
        Name of the modality.

    Returns
    -------
    str
        A clause without a full stop: all rows are the same or nearly the same, lie along one direction, or vary in few
        directions. Empty if the rows are not collapsed.

    Examples
    --------
    >>> find_collapse(np.outer([1.0, -2.0, 3.0, 1.5, -1.0], [0.6, 0.8]), "image")
    'the rows of image lie along one direction'
    """
    mean, second_moment = rows.mean(axis=0), rows.T @ rows / len(rows)
    squared_length = float(np.trace(second_moment))
    if squared_length - float(mean @ mean) <= MAX_CONSTANT_SPREAD * squared_length:
        return f"all rows of {name} are the same"
    entries = _collapsed_modality(name, mean, second_moment, len(rows), 1e-13)
    return entries[0].message if entries else ""


def constant_message(names: Sequence[str], moments: Moments) -> str:
    """Return a clause that all rows of these modalities are the same.

    Parameters
    ----------
    names : sequence of str
        Names of the constant modalities.
    moments : Moments
        Moments of the pairs. If their products are in float32, the clause states what these cannot tell.

    Returns
    -------
    str
        The clause, without a full stop.

    Examples
    --------
    >>> constant_message(["image", "text"], Moments.of(np.ones((4, 2)), np.ones((4, 2))))
    'all rows of image are the same, and all rows of text are the same'
    """
    message = ", and ".join(f"all rows of {name} are the same" for name in names)
    if _has_float32_products(moments):
        message += ", as far as products in float32 can tell"
    return message


def _has_float32_products(moments: Moments) -> bool:
    return moments.matmul_dtype == "float32"


def has_equal_pairs(moments: Moments) -> bool:
    """Return whether every row is the same as its matching row, but for rounding.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs, as NumPy arrays.

    Returns
    -------
    bool
        True if the mean squared distance of the pairs is at most 1e-12 of the squared lengths. For products in float32
        it is 1e-8 of them.

    Examples
    --------
    >>> has_equal_pairs(Moments.of(np.eye(3), np.eye(3)))
    True
    """
    if moments.dim_x != moments.dim_y:
        return False
    return _are_equal_up_to_sign(moments, 1)


def _are_equal_up_to_sign(moments: Moments, sign: int) -> bool:
    """Return whether every row of y, times the sign, is the same as its matching row, but for rounding."""
    squared_lengths = float(np.trace(moments.xx) + np.trace(moments.yy)) / moments.n
    tolerance = MAX_FLOAT32_DISTANCE if _has_float32_products(moments) else MAX_CONSTANT_SPREAD
    return squared_lengths - 2 * sign * moments.mean_paired <= tolerance * squared_lengths


def negated_rows_clause(names: tuple[str, str]) -> str:
    """Return that every row of the second modality is the negative of its match, and what to do."""
    return (
        f"every row of {names[1]} is the negative of its matching row of {names[0]} (a sign flip); multiply the rows "
        "of one of them by -1"
    )


def _collapsed_modality(
    name: str, mean: np.ndarray, second_moment: np.ndarray, n_rows: int, noise: float
) -> list[Degeneracy]:
    """Return how one modality that is not constant is degenerate. `noise` is the rounding of its squared length."""
    squared_length = float(np.trace(second_moment))
    length = float(np.linalg.norm(mean)) / np.sqrt(squared_length)
    if length > MIN_NARROW_LENGTH:
        share = f"{100 * length:.5g}" if length < 0.999995 else "more than 99.999"
        message = f"the rows of {name} are nearly all the same (their mean has {share} % of their length)"
        return [Degeneracy("narrow", (name,), message)]
    # The Frobenius norm is an upper bound of the largest eigenvalue.
    largest_bound, line = float(np.linalg.norm(second_moment)), MIN_LINE_SHARE * squared_length
    if largest_bound > line and float(remembered.eigvalsh(second_moment)[-1]) > line:
        return [Degeneracy("line", (name,), f"the rows of {name} lie along one direction")]
    covariance, fewest = second_moment - np.outer(mean, mean), min(MIN_DIRECTIONS, n_rows - 1, len(mean))
    largest_bound = float(np.linalg.norm(covariance))
    smallest = max(1e-10 * largest_bound, noise * squared_length)
    # k directions above a variance and d - k others have a trace of at most sqrt(k) times the norm + d times it.
    if float(np.trace(covariance)) - len(mean) * smallest > np.sqrt(fewest) * largest_bound:
        return []
    variances = remembered.eigvalsh(covariance)
    directions = int(np.count_nonzero(variances > max(1e-10 * variances[-1], noise * squared_length)))
    if directions < fewest:
        message = f"the rows of {name} vary in only {directions} of {len(mean):,} directions"
        return [Degeneracy("few directions", (name,), message)]
    return []


def _equal_pairs(moments: Moments, names: tuple[str, str], constant_names: Sequence[str]) -> list[Degeneracy]:
    if has_equal_pairs(moments):
        return [
            Degeneracy("equal rows", names, f"every row of {names[0]} is the same as its matching row of {names[1]}")
        ]
    if len(constant_names) < 2 and moments.dim_x == moments.dim_y and _are_equal_up_to_sign(moments, -1):
        return [Degeneracy(NEGATED_ROWS, names, negated_rows_clause(names))]
    variance = moments.cos_sq / moments.n - moments.mean_paired**2
    tolerance = MAX_FLOAT32_DISTANCE if _has_float32_products(moments) else MAX_EQUAL_VARIANCE
    if len(constant_names) < 2 and moments.n > 1 and variance <= tolerance:
        message = f"all matching pairs have the same cosine, {moments.mean_paired:.4g}"
        return [Degeneracy("equal cosines", names, message)]
    return []
