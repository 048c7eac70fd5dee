"""Matching rows in two different spaces or of opposite signs, whose cosines do not show that they match."""

from __future__ import annotations

import math

import numpy as np

#: Level of the test that the rows of one modality predict those of the other.
DEPENDENCE_LEVEL = 1e-4
#: Standard errors by which pairs must be nearer after a rotation than as they are, at one-sided 1 %.
ROTATION_Z = 2.33
#: Share of the alignment of the best rotation that a change of sign reaches, if the rows are negated and not rotated.
MIN_NEGATED_SHARE = 0.5
#: Fewest pairs, and most principal directions of each modality, for the test of a rotation.
MIN_ROTATION_PAIRS, MAX_ROTATION_DIRECTIONS = 50, 128


def dependence_p_value(x: np.ndarray, y: np.ndarray, /) -> float:
    """Return the p-value of the hypothesis that the order of the rows of y has nothing to do with that of x.

    Parameters
    ----------
    x : numpy.ndarray
        Rows (n, d_x).
    y : numpy.ndarray
        Rows (n, d_y).

    Returns
    -------
    float
        Probability that shuffled rows have a cross-covariance of at least this squared norm |X'Y|_F^2. It is that of
        the gamma distribution with the mean and the variance over all permutations. No rotation changes it.

    References
    ----------
    Kazi-Aoual et al. 1995, Comput. Stat. Data Anal. 20 (moments over permutations). Gretton et al. 2008, NIPS 20
    (gamma approximation).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, rotation = rng.normal(size=(200, 8)), np.linalg.qr(rng.normal(size=(8, 8)))[0]
    >>> dependence_p_value(x, x @ rotation) < 1e-10, dependence_p_value(x, rng.permutation(x)) > 0.01
    (True, True)
    """
    from scipy.special import gammaincc  # imported late: scipy.special takes a tenth of a second

    n = len(x)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    (trace_x, squares_x, diagonal_x), (trace_y, squares_y, diagonal_y) = _gram_sums(x), _gram_sums(y)
    if n < 5 or trace_x <= 0 or trace_y <= 0:
        return 1.0
    mean = trace_x * trace_y / (n - 1)
    spread_x, spread_y = (n - 1) * squares_x - trace_x**2, (n - 1) * squares_y - trace_y**2
    uneven_x = n * (n + 1) * diagonal_x - (n - 1) * (trace_x**2 + 2 * squares_x)
    uneven_y = n * (n + 1) * diagonal_y - (n - 1) * (trace_y**2 + 2 * squares_y)
    variance = 2 * spread_x * spread_y / ((n - 1) ** 2 * (n + 1) * (n - 2))
    variance += uneven_x * uneven_y / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    if variance <= 1e-12 * mean**2:
        return 1.0
    return float(gammaincc(mean**2 / variance, float(np.sum((x.T @ y) ** 2)) * mean / variance))


def has_rotated_pairs(x: np.ndarray, y: np.ndarray, /) -> bool:
    """Return whether rows match that only a rotation of one modality would align.

    Parameters
    ----------
    x : numpy.ndarray
        Rows (n, d_x).
    y : numpy.ndarray
        The matching rows (n, d_y).

    Returns
    -------
    bool
        True if the rows depend on each other at p < 1e-4, and a rotation brings pairs nearer that it was not fitted to.
        It is fitted to one half of the pairs and judged on the other half, both ways. Its gain must exceed zero at 1 %.
        Widths may differ. False for fewer than 50 pairs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, rotation = rng.normal(size=(200, 8)), np.linalg.qr(rng.normal(size=(8, 8)))[0]
    >>> has_rotated_pairs(x, x @ rotation), has_rotated_pairs(x, rng.permutation(x))
    (True, False)
    """
    n = len(x)
    if n < MIN_ROTATION_PAIRS or dependence_p_value(x, y) >= DEPENDENCE_LEVEL:
        return False
    as_they_are, rotated = _centred_products(x, y)
    gains = rotated - as_they_are
    return bool(gains.mean() > ROTATION_Z * gains.std(ddof=1) / math.sqrt(n))


def has_negated_pairs(x: np.ndarray, y: np.ndarray, /) -> bool:
    """Return whether a change of sign of y aligns the pairs at least half as well as the best rotation of x does.

    Parameters
    ----------
    x : numpy.ndarray
        Rows (n, d).
    y : numpy.ndarray
        The matching rows (n, d).

    Returns
    -------
    bool
        Judged by the mean products of centred rows. The rotation is fitted to one half of the pairs and judged on the
        other half, both ways. False for fewer than 50 pairs, and for rows that do not depend on each other at p < 1e-4.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, rotation = rng.normal(size=(200, 8)), np.linalg.qr(rng.normal(size=(8, 8)))[0]
    >>> has_negated_pairs(x, -x + rng.normal(size=x.shape)), has_negated_pairs(x, x @ rotation)
    (True, False)
    """
    if len(x) < MIN_ROTATION_PAIRS or dependence_p_value(x, y) >= DEPENDENCE_LEVEL:
        return False
    as_they_are, rotated = _centred_products(x, y)
    return bool(-as_they_are.mean() >= MIN_NEGATED_SHARE * rotated.mean())


def _centred_products(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the products of centred matching rows as they are, and after a rotation fitted to other pairs."""
    n = len(x)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    as_they_are = np.einsum("ij,ij->i", x, y) if x.shape[1] == y.shape[1] else np.zeros(n)
    x, y = _leading_coordinates(x), _leading_coordinates(y)
    order = np.random.default_rng(0).permutation(n)
    rotated = np.empty(n)
    for fit, test in ((order[: n // 2], order[n // 2 :]), (order[n // 2 :], order[: n // 2])):
        basis_x, _, basis_y = np.linalg.svd(x[fit].T @ y[fit], full_matrices=False)
        rotated[test] = np.einsum("ij,ij->i", x[test] @ basis_x @ basis_y, y[test])
    return as_they_are, rotated


def _gram_sums(rows: np.ndarray) -> tuple[float, float, float]:
    """Return the trace of K = R R', the trace of K^2 and the sum of its squared diagonal."""
    squares = np.einsum("ij,ij->i", rows, rows)
    return float(squares.sum()), float(np.sum((rows.T @ rows) ** 2)), float(squares @ squares)


def _leading_coordinates(rows: np.ndarray) -> np.ndarray:
    """Return centred rows in their leading principal directions."""
    directions = np.linalg.eigh(rows.T @ rows)[1]
    return np.asarray(rows @ directions[:, -MAX_ROTATION_DIRECTIONS:])
