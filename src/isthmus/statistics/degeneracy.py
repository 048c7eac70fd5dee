"""Degenerate data: constant or collapsed modalities, few items and few directions of variance, found from moments."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isthmus.statistics.moments import Moments

#: Largest variance, as a share of the mean squared length, of rows that are all the same but for rounding.
MAX_CONSTANT_SPREAD = 1e-12
#: Length of the mean, relative to the rows, above which the rows are nearly all the same.
MIN_NARROW_LENGTH = 0.999
#: Share of the squared length along one direction above which the rows lie along it.
MIN_LINE_SHARE = 0.999
#: Directions of variance below which a modality has few of them. Measures of leading directions use at least 8.
MIN_DIRECTIONS = 8
#: Most items that count as few.
MAX_FEW_ITEMS = 5
#: Largest variance of the paired cosines that are all equal but for rounding.
MAX_EQUAL_VARIANCE = 1e-12

#: Kinds of degenerate data for which the order of the rows cannot be judged.
UNJUDGED_KINDS = ("constant", "narrow", "line", "equal cosines", "few items")


@dataclass(frozen=True)
class Degeneracy:
    """One way in which data are degenerate.

    Parameters
    ----------
    kind : {'constant', 'narrow', 'line', 'few directions', 'equal cosines', 'equal rows', 'few items'}
        All rows of a modality are the same, or nearly the same, or lie along one direction, or vary in few
        directions. All matching pairs have one cosine. Matching rows are the same. There are two to five items.
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
    degeneracies = _constant_modalities(moments, names)
    constant_names = {name for entry in degeneracies for name in entry.modalities}
    for name, mean, gram in zip(names, (moments.mean_x, moments.mean_y), (moments.xx, moments.yy), strict=True):
        if name not in constant_names:
            degeneracies += _collapsed_modality(name, mean, gram / moments.n, moments.by_item.n_items)
    degeneracies += _equal_pairs(moments, names, constant_names)
    items = moments.by_item.n_items
    # Many pairs of a constant modality are few items because their rows are the same, which is already said.
    if items <= MAX_FEW_ITEMS and not (constant_names and moments.n > MAX_FEW_ITEMS):
        count = "is only 1 item" if items == 1 else f"are only {items} items"
        degeneracies.append(Degeneracy("few items", names, f"there {count}"))
    return degeneracies


def has_constant_rows(mean: np.ndarray, second_moment: np.ndarray) -> bool:
    """Return whether rows are all the same but for rounding.

    Parameters
    ----------
    mean : (d,) array
        Mean row.
    second_moment : (d, d) array
        Mean of the outer products of the rows.

    Returns
    -------
    bool
        True if the variance is at most 1e-12 of the mean squared length.

    Examples
    --------
    >>> has_constant_rows(np.array([1.0, 0.0]), np.diag([1.0, 0.0]))
    True
    """
    squared_length = float(np.trace(second_moment))
    return squared_length - float(mean @ mean) <= MAX_CONSTANT_SPREAD * squared_length


def has_equal_pairs(moments: Moments) -> bool:
    """Return whether every row is the same as its matching row, but for rounding.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs, as NumPy arrays.

    Returns
    -------
    bool
        True if the mean squared distance of the pairs is at most 1e-12 of the squared lengths.

    Examples
    --------
    >>> has_equal_pairs(Moments.of(np.eye(3), np.eye(3)))
    True
    """
    if moments.dim_x != moments.dim_y:
        return False
    squared_lengths = float(np.trace(moments.xx) + np.trace(moments.yy)) / moments.n
    return squared_lengths - 2 * moments.mean_paired <= MAX_CONSTANT_SPREAD * squared_lengths


def _constant_modalities(moments: Moments, names: tuple[str, str]) -> list[Degeneracy]:
    sums = ((moments.mean_x, moments.xx), (moments.mean_y, moments.yy))
    constant = tuple(
        name for name, (mean, gram) in zip(names, sums, strict=True) if has_constant_rows(mean, gram / moments.n)
    )
    if not constant:
        return []
    message = f"all rows of {constant[0]} are the same"
    if len(constant) == 2:
        message += f", and all rows of {constant[1]} are the same"
    return [Degeneracy("constant", constant, message)]


def _collapsed_modality(name: str, mean: np.ndarray, second_moment: np.ndarray, n_items: int) -> list[Degeneracy]:
    """Return how one modality that is not constant is degenerate."""
    squared_length = float(np.trace(second_moment))
    length = float(np.linalg.norm(mean)) / np.sqrt(squared_length)
    if length > MIN_NARROW_LENGTH:
        message = f"the rows of {name} are nearly all the same (their mean has {100 * length:.5g} % of their length)"
        return [Degeneracy("narrow", (name,), message)]
    if float(np.linalg.eigvalsh(second_moment)[-1]) > MIN_LINE_SHARE * squared_length:
        return [Degeneracy("line", (name,), f"the rows of {name} lie along one direction")]
    variances = np.linalg.eigvalsh(second_moment - np.outer(mean, mean))
    directions = int(np.count_nonzero(variances > max(1e-10 * variances[-1], 1e-13 * squared_length)))
    if directions < min(MIN_DIRECTIONS, n_items - 1, len(mean)):
        message = f"the rows of {name} vary in only {directions} of {len(mean):,} directions"
        return [Degeneracy("few directions", (name,), message)]
    return []


def _equal_pairs(moments: Moments, names: tuple[str, str], constant_names: set[str]) -> list[Degeneracy]:
    if has_equal_pairs(moments):
        return [
            Degeneracy("equal rows", names, f"every row of {names[0]} is the same as its matching row of {names[1]}")
        ]
    variance = moments.cos_sq / moments.n - moments.mean_paired**2
    if len(constant_names) < 2 and moments.n > 1 and variance <= MAX_EQUAL_VARIANCE:
        message = f"all matching pairs have the same cosine, {moments.mean_paired:.4g}"
        return [Degeneracy("equal cosines", names, message)]
    return []
