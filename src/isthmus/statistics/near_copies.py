"""Rows that are nearly equal to other rows of their modality, such as frames of one video."""

from __future__ import annotations

import numpy as np

from isthmus.compute.masks import true_positions
from isthmus.statistics.degeneracy import Degeneracy

#: Kind of degenerate data that rows with near copies are.
NEAR_COPIES = "near copies"
#: Random projections in which distances of rows are estimated.
N_PROJECTIONS = 32
#: Distances, in median distances, up to which rows may be near copies, the largest first.
SCALES = (0.2, 0.1, 0.05, 0.025)
#: Share of the pairs within twice a distance that are within it, if copies are separate from other rows. In a cloud of
#: one dimension it is one half, and less in more.
SEPARATE_SHARE = 0.75
#: Near copies of a row, and pairs of them in the sample, from which on they matter.
MIN_COPIES, MIN_PAIRS_OF_COPIES = 0.25, 10
#: Pairs that are compared exactly, and largest difference of a coordinate of rows that are equal and no near copies.
MAX_COMPARED, EQUAL_TOLERANCE = 2_000, 1e-6


def count_near_copies(rows: np.ndarray, n_rows: int, /) -> float:
    """Return the mean number of rows that nearly equal a row, and that are clearly separate from all others.

    Parameters
    ----------
    rows : numpy.ndarray
        Random sample (m, d) of the unit rows of one modality, m at most some thousands.
    n_rows : int
        Number of all rows.

    Returns
    -------
    float
        Estimate for all rows, 0 below a quarter, or below ten pairs of near copies in the sample. It is also 0 if the
        distances of near copies and of other rows are not separate. Equal rows do not count.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(100, 64))
    >>> frames = np.repeat(rows, 5, axis=0) + 0.01 * rng.normal(size=(500, 64))
    >>> count_near_copies(frames, 500), count_near_copies(rng.normal(size=(500, 64)), 500)
    (4.0, 0.0)
    """
    m, dim = rows.shape
    if m < MIN_PAIRS_OF_COPIES:
        return 0.0
    projections = np.random.default_rng(0).standard_normal((dim, N_PROJECTIONS))
    projected = (rows - rows.mean(axis=0)) @ projections
    projected = (projected / (np.sqrt(np.mean(projected**2)) or 1.0)).astype(np.float32)
    squares = np.einsum("ij,ij->i", projected, projected)
    squared_distances = projected @ (-2 * projected.T)
    squared_distances += squares
    squared_distances += squares[:, None]
    limits = np.median(squared_distances[: min(m, 200)]) * (2 * np.array(SCALES)) ** 2
    first, second = np.divmod(np.asarray(true_positions(squared_distances <= limits[0])), m)
    first, second = first[first < second], second[first < second]
    near = squared_distances[first, second]
    for limit in limits:
        closest = np.flatnonzero(near <= limit / 4)
        if len(closest) < MIN_PAIRS_OF_COPIES:
            return 0.0  # smaller distances have fewer
        pairs = closest[:: max(1, len(closest) // MAX_COMPARED)]
        is_different = np.abs(rows[first[pairs]] - rows[second[pairs]]).max(axis=1) > EQUAL_TOLERANCE
        n_copies = float(len(closest) * is_different.mean())
        n_near = np.count_nonzero(near <= limit) - (len(closest) - n_copies)  # without equal rows
        if n_copies >= max(MIN_PAIRS_OF_COPIES, SEPARATE_SHARE * n_near):
            copies = 2 * n_copies / m * (n_rows - 1) / (m - 1)
            return copies if copies >= MIN_COPIES else 0.0
    return 0.0


def find_near_copies(
    rows: tuple[np.ndarray, np.ndarray], sizes: tuple[int, int], names: tuple[str, str], /, *, paired: bool = True
) -> list[Degeneracy]:
    """Return that rows of either modality have near copies, their effect, and what to do about them.

    Parameters
    ----------
    rows : tuple of numpy.ndarray
        Random samples (m, d) of the unit rows of both modalities.
    sizes : tuple of int
        Numbers of all rows.
    names : tuple of str
        Names of the modalities.
    paired : bool, default True
        Whether the rows of the two match.

    Returns
    -------
    list of Degeneracy
        One entry, or none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image, text = rng.normal(size=(2, 100, 64)).repeat(5, axis=1)
    >>> image += 0.01 * rng.normal(size=image.shape)
    >>> find_near_copies((image, text), (500, 500), ("image", "text"))[0].message[:42]
    'a row of image has 4.0 near copies on aver'
    """
    copies = {name: count_near_copies(sample, size) for name, sample, size in zip(names, rows, sizes, strict=True)}
    counts = [
        f"a row of {name} has {count:,.{0 if count >= 10 else 1}f}" for name, count in copies.items() if count > 0
    ]
    if not counts:
        return []
    effect = f"{' and '.join(counts)} near copies on average, which count as independent"
    if paired:
        message = (
            f"{effect} and as wrong answers to each other: intervals are too short, and recall is too low; if they "
            "show one item, pair by its identifier (--key IDS.npy,IDS.npy, or key= in Python)"
        )
    else:
        message = f"{effect}, so that intervals are too short; if they show one item, keep one row of each item"
    return [Degeneracy(NEAR_COPIES, tuple(name for name, count in copies.items() if count > 0), message)]
